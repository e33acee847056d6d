"""One broker session of a route: the first messages, the records, what goes beside them, and `offline` at the end.

talk       what the dialogue says, and what it hears
delivery   the records, from one cut to the next
beside     retained messages: second tries, and what makes the broker disconnect
"""

from __future__ import annotations

import asyncio
from asyncio import TaskGroup
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

from agent.core.clock import Clock
from agent.core.errors import AgentError, ConnectionLost
from agent.core.flow import AgentChanged, DeviceChanged, Offline, Online, Tick
from agent.core.image import Image
from agent.core.ports import Dialogue, Encoder, Outbox, Session, Stateful
from agent.runtime.north.beside import Beside
from agent.runtime.north.delivery import Delivery, Hooks
from agent.runtime.north.repair import ResendService
from agent.runtime.north.route_state import RouteState
from agent.runtime.north.suspects import Suspects
from agent.runtime.north.talk import Talk
from agent.runtime.north.unwelcome import Unwelcome
from agent.settings.publishers import Replay
from agent.telemetry.logging import get_logger

#: Last words (offline status) may take this long before the connection is closed anyway, seconds.
LAST_WORDS = 1.0
#: The first repetition comes this soon after connecting: by then the first records have made their streams, seconds.
FIRST_TICK = 1.0

log = get_logger("publisher")


class WithWillError(Exception):
    """The session ended on purpose, and the broker is to say the will: ends the connection from inside."""


class _EnoughError(Exception):
    """The session is to end on purpose: ends its task group from inside."""


class Lasting(NamedTuple):
    """What of a route outlives its sessions."""

    name: str
    encoder: Encoder
    outbox: Outbox
    image: Image
    wants: Callable[[str], bool]
    clock: Clock
    state: RouteState
    repair: ResendService
    suspects: Suspects
    unwelcome: Unwelcome
    leaving: asyncio.Event  #: the route is to end


class RouteSession:
    """Publishes over one connection, until that breaks, or the route or the dialogue ends it."""

    def __init__(self, route: Lasting, session: Session, dialogue: Dialogue, replay: Replay) -> None:
        self._route = route
        self._session = session
        self._dialogue = dialogue
        self._tick_s: float | None = getattr(route.encoder, "tick", None)
        self._beside = Beside(session, route.unwelcome, route.clock, route.state.refused)
        self._talk = Talk(session, dialogue, route.outbox.streams, self._beside, route.repair.hears)
        self._delivery = Delivery(
            route.name,
            route.outbox,
            self._talk,
            clock=route.clock,
            replay=replay,
            hooks=Hooks(
                settle=route.image.settle,
                snapshot=partial(_snapshot, route),
                refused=route.state.refused,
                opened=partial(route.state.online, session.limits),
                held=route.state.held,
                remember=partial(route.suspects.keep, route.outbox.memo),
            ),
            suspects=route.suspects,
        )

    @property
    def delivered(self) -> bool:
        """Whether a record has reached the broker."""
        return self._delivery.delivered

    def hurry(self) -> None:
        """The end is near: nothing lingers any more."""
        self._delivery.hurry()

    def adjust(self, replay: Replay, devices: Sequence[str]) -> None:
        """Share the window otherwise from now on; whether these `devices` are carried has changed."""
        for device in devices:
            self._changed(device)
        self._delivery.renew(replay)

    def say_agent(self) -> None:
        """What the agent says of itself has changed: repeat its status now."""
        if self._tick_s is not None:
            self._talk.changed(AgentChanged(ts=self._route.clock.now_ms()))

    async def run(self) -> None:
        """From the first messages to `offline`. Raises what breaks the session, and WithWillError."""
        route, talk = self._route, self._talk
        unlisten = route.image.listen(self._changed)  # before the first messages: they take their time
        try:
            async with TaskGroup() as group:
                group.create_task(self._watch(), name=f"publisher {route.name}: watch")
                await talk.say(
                    Online(ts=route.clock.now_ms(), limits=self._session.limits, streams=route.outbox.streams())
                )
                await self._work(group)
                heard = await self._last_words()
                raise _EnoughError
        except* _EnoughError:
            route.state.offline(talk.why if talk.leave.is_set() else "stopped")
        finally:
            unlisten()
            self._leave_out()
        if talk.stateful and (self._session.limits.will or not heard):
            raise WithWillError

    async def _work(self, group: TaskGroup) -> None:
        """Publish until somebody wants to end it."""
        talk, delivery, name = self._talk, self._delivery, f"publisher {self._route.name}"
        lanes: list[Coroutine[Any, Any, None]] = [
            talk.mail(), talk.hear(), delivery.run(), self._beside.second_tries(delivery.quiet, delivery.unpark),
        ]  # fmt: skip
        if self._tick_s is not None:
            lanes.append(self._tick(self._tick_s))
        tasks = [group.create_task(lane, name=name) for lane in lanes]
        ends = [group.create_task(event.wait(), name=f"{name}: end") for event in (self._route.leaving, talk.leave)]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for task in (*ends, *tasks):
            task.cancel()
        await asyncio.wait(tasks)

    async def _watch(self) -> None:
        await self._session.closed()
        reason = "the connection was closed"
        raise ConnectionLost(reason)

    async def _tick(self, seconds: float) -> None:
        route, wait = self._route, min(FIRST_TICK, seconds)
        while True:
            await route.clock.sleep(wait)
            wait = seconds
            await self._talk.beside(Tick(ts=route.clock.now_ms(), streams=route.outbox.streams()))

    async def _last_words(self) -> bool:
        """Publish `offline`; whether the broker has acknowledged it."""
        route = self._route
        words = self._dialogue(Offline(ts=route.clock.now_ms(), streams=route.outbox.streams()))
        if not isinstance(self._dialogue, Stateful):  # whose messages are numbered
            words = self._beside.allowed(words)
        if not self._talk.whole:  # a message was made and never written
            words = words[-1:]
        try:
            async with asyncio.timeout(LAST_WORDS):
                await (await self._session.send(words))
        except (TimeoutError, AgentError) as error:
            why = str(error) or f"no answer within {LAST_WORDS:g} s"  # a time-out has no words of its own
            log.warning("publisher.offline", publisher=route.name, reason=f"`offline` could not be published: {why}")
            return False
        return True

    def _changed(self, device: str) -> None:
        self._talk.changed(DeviceChanged(device=device, ts=self._route.clock.now_ms()))

    def _leave_out(self) -> None:
        """Something makes the broker disconnect, a topic or all that end alike: it is left out from now on."""
        route = self._route
        topic = route.unwelcome.ended(heard=self._delivery.heard, now=route.clock.monotonic())
        if topic is not None:
            log.error("publisher.left_out", publisher=route.name, broker=self._session.limits.server, topic=topic)


def _snapshot(route: Lasting) -> None:
    """Append the newest of every device: with the cut, and no await between."""
    if not getattr(route.encoder, "snapshots", True):
        return
    unsynced: Literal["unsynced"] | None = None if route.clock.synced else "unsynced"
    for device in route.image.devices:
        if route.wants(device):
            for batch in route.image.snapshot(device, route.clock.now_ms(), clock=unsynced):
                route.outbox.append(batch)
