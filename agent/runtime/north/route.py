"""Northbound: one route, that is a publisher with its encoder and its outbox.

    outbox.reader() ─▶ record ─▶ dialogue ─▶ messages ─▶ session.send ─▶ PUBACK ─▶ reader.ack

One attempt is one broker session (session.py). Within it a *cut* divides backlog from live; at each cut the first live
record of every device is a snapshot. A record is acknowledged, rejected or retried exactly as the broker said.
"""

from __future__ import annotations

import asyncio
from asyncio import TaskGroup
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from agent.core.backoff import Backoff
from agent.core.clock import Clock
from agent.core.errors import ConnectionLost, TransientError
from agent.core.flow import Limits, Message
from agent.core.image import Image
from agent.core.ports import Adjustable, Dialogue, Encoder, Learning, Outbox, Publisher, Session, Stateful, WillMaker
from agent.runtime.files import Files
from agent.runtime.north.repair import ResendService
from agent.runtime.north.route_state import RouteState
from agent.runtime.north.session import Lasting, RouteSession, WithWillError
from agent.runtime.north.suspects import Suspects
from agent.runtime.north.unwelcome import Unwelcome
from agent.runtime.supervisor import Attempt, Failure, Supervisor
from agent.settings.publishers import Replay
from agent.telemetry import metrics

#: Full jitter up to a minute, so that a plant does not come back in one wave.
FIRST_RETRY = 1.0
LONGEST_RETRY = 60.0

#: A broker that takes less cannot be told anything: a status and a reading with their topics, bytes.
SMALLEST_PACKET = 512


class Route:
    """Keeps one outbox drained."""

    def __init__(  # noqa: PLR0913 - what northbound.py puts together
        self,
        name: str,
        publisher: Publisher,
        encoder: Encoder,
        outbox: Outbox,
        image: Image,
        *,
        clock: Clock,
        replay: Replay,
        wants: Callable[[str], bool],
        files: Sequence[tuple[str, Path]] = (),
    ) -> None:
        """`files`: key and path of each secret or certificate without which it cannot connect."""
        self.name = name
        self.outbox = outbox
        self.wants = wants
        self.standing = RouteState(name, outbox, clock)
        self._publisher = publisher
        self._encoder = encoder
        self._image = image
        self._clock = clock
        self._replay = replay
        self._supervisor = Supervisor(
            f"publisher {name}",
            clock=clock,
            backoff=Backoff(first=FIRST_RETRY, cap=LONGEST_RETRY),
            report=self._lost,
        )
        self._leaving = asyncio.Event()
        self._draining = False
        self._session: RouteSession | None = None
        self._repair = ResendService(name, outbox, clock)
        self._suspects = Suspects()
        self._lasting = Lasting(
            name, encoder, outbox, image, wants, clock, self.standing, self._repair, self._suspects, Unwelcome(),
            self._leaving,
        )  # fmt: skip
        self._useless: str | None = None  # why nothing can be said to the broker, although it is there
        self._dialogue: Dialogue | None = None
        self._files = Files(f"publisher {name}", files, clock, self.standing.offline)

    @property
    def state(self) -> Literal["online", "degraded", "offline"]:
        """Degraded: the broker is there, and takes nothing of use."""
        return self.standing.state

    @property
    def reason(self) -> str | None:
        """Why it is not online."""
        return self.standing.reason

    @property
    def conflict(self) -> str | None:
        """Session of another agent that speaks under our id at this broker, as far as this session has heard."""
        return getattr(self._dialogue, "conflict", None)

    @property
    def next_attempt(self) -> float | None:
        """When the next connection is tried, monotonic seconds; None while one stands or is tried."""
        return self._supervisor.next_attempt

    def wake(self) -> None:
        """Try to connect now where it waits: what stood in the way may have changed."""
        self._supervisor.wake()

    async def run(self) -> None:
        """Publish until :meth:`leave`; never raises but for cancellation."""
        async with TaskGroup() as group:
            repairing = group.create_task(self._repair.run(), name=f"publisher {self.name}: repair")
            running = group.create_task(self._supervisor.run(self._attempt), name=f"publisher {self.name}")
            leaving = group.create_task(self._leaving.wait(), name=f"publisher {self.name}: leave")
            await asyncio.wait((running, leaving), return_when=asyncio.FIRST_COMPLETED)
            leaving.cancel()
            repairing.cancel()
            if self.state == "offline":  # between sessions there is no broker to publish `offline` to
                running.cancel()

    async def drain(self) -> None:
        """Return when everything appended so far was delivered, or there is no broker to deliver it to."""
        self._draining = True
        await self.outbox.flush()
        if self._session is not None:
            self._session.hurry()
        while self.outbox.stats.records and self.state == "online":
            await self._clock.sleep(0.02)
        await self.outbox.flush()  # the last status says `low` as of the last commit

    def adjust(self, publisher: Publisher, replay: Replay, devices: Sequence[str]) -> None:
        """Go on in the present session with what may change within one: window, replay, which `devices` it carries.

        `publisher` is built from the new configuration, and never opened.
        """
        self._replay = replay
        if isinstance(self._publisher, Adjustable):
            self._publisher.adjust(publisher)
        if self._session is not None:
            self._session.adjust(replay, devices)

    def say_agent(self) -> None:
        """What the agent says of itself has changed: repeat its status now."""
        if self._session is not None:
            self._session.say_agent()

    def leave(self) -> None:
        """Say offline, close, and end :meth:`run`."""
        self._leaving.set()

    async def _attempt(self, attempt: Attempt) -> None:
        if self._leaving.is_set():
            return
        await self._files.usable()
        self._suspects.recall(self.outbox.memo)
        if isinstance(self._publisher, Learning) and self._dialogue is None:
            self._publisher.recall(self.outbox.memo)
        dialogue = self._dialogue = self._encoder.begin(self._image, self.outbox.memo)
        await self.outbox.flush()  # what the dialogue put into the memo is durable before the CONNECT
        will = self._will_maker(dialogue) if isinstance(dialogue, Stateful) else dialogue.will
        try:
            async with self._publisher.open(will, dialogue.listens) as session:
                self._useless = too_small(session.limits)
                if self._useless is not None:  # the records wait, they are not to blame
                    raise TransientError(self._useless, retry_after=LONGEST_RETRY)
                attempt.healthy()
                metrics.CONNECTS.labels(self.name).inc()
                await self._publish(session, dialogue, attempt)
        except WithWillError:
            self.standing.offline("stopped")
        finally:
            self._suspects.ended()
            self._suspects.keep(self.outbox.memo)  # durable before the next CONNECT
        if isinstance(dialogue, Stateful) and not self._leaving.is_set():
            raise ConnectionLost(dialogue.why)

    async def _publish(self, session: Session, dialogue: Dialogue, attempt: Attempt) -> None:
        current = self._session = RouteSession(self._lasting, session, dialogue, self._replay)
        if self._draining:
            current.hurry()
        try:
            await current.run()
        finally:
            if current.delivered:
                attempt.carried()
            self._session = None

    def _will_maker(self, dialogue: Stateful) -> WillMaker:
        async def make() -> Message:
            will = dialogue.connecting()
            await self.outbox.flush()
            return will

        return make

    def _lost(self, failure: Failure) -> None:
        self.standing.lost(failure, degraded=failure.reason == self._useless)


def too_small(limits: Limits) -> str | None:
    """Why nothing can be said to a broker with these limits."""
    limit = limits.max_packet_bytes
    if limit is None or limit >= SMALLEST_PACKET:
        return None
    return (
        f"the broker takes packets of {limit} bytes at most, too small for any message; have its maximum packet size "
        f"raised, to {SMALLEST_PACKET} bytes at least"
    )
