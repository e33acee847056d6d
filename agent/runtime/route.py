"""Northbound: one route, that is a publisher with its encoder and its outbox.

    outbox.reader() ─▶ record ─▶ dialogue ─▶ messages ─▶ session.send ─▶ PUBACK ─▶ reader.ack

One attempt is one broker session. Within it a *cut* divides backlog from live; at each cut the first live record of
every device is a snapshot. A record is acknowledged, rejected or retried exactly as the broker said.
"""

from __future__ import annotations

import asyncio
from asyncio import TaskGroup
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from agent.core.backoff import Backoff
from agent.core.clock import Clock
from agent.core.errors import AgentError, ConnectionLost, TransientError
from agent.core.flow import AgentChanged, DeviceChanged, Message, Offline, Online, Tick
from agent.core.image import Image
from agent.core.ports import Adjustable, Dialogue, Encoder, Learning, Outbox, Publisher, Session, Stateful, WillMaker
from agent.runtime.beside import Beside, Ears
from agent.runtime.delivery import Delivery, Hooks
from agent.runtime.files import Files
from agent.runtime.refusals import Refusals
from agent.runtime.repair import Repair
from agent.runtime.supervisor import Attempt, Failure, Supervisor
from agent.runtime.suspects import Suspects
from agent.runtime.talk import Talk
from agent.runtime.unwelcome import Unwelcome
from agent.settings.publishers import Replay
from agent.telemetry import metrics
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Repeats

#: Full jitter up to a minute, so that a plant does not come back in one wave.
FIRST_RETRY = 1.0
LONGEST_RETRY = 60.0
#: Last words (offline status) may take this long before the connection is closed anyway, seconds.
LAST_WORDS = 1.0
#: The first repetition comes this soon after connecting: by then the first records have made their streams, seconds.
FIRST_TICK = 1.0

#: A broker that takes less cannot be told anything: a status and a reading with their topics, bytes.
SMALLEST_PACKET = 512

log = get_logger("publisher")


class _EnoughError(Exception):
    """The session is to end on purpose: ends its task group from inside."""


class _WithWillError(Exception):
    """The session ended on purpose, and the broker is to say the will: ends the connection from inside."""


class Route:
    """Keeps one outbox drained."""

    def __init__(  # noqa: PLR0913 - what app.py puts together
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
        self.state: Literal["online", "degraded", "offline"] = "offline"
        self.reason: str | None = "not connected yet"
        self.protocol: str | None = None  #: what this session speaks
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
        self._cut: Delivery | None = None
        self._talk: Talk | None = None
        self._repair = Repair(name, outbox, clock)
        self._suspects = Suspects()
        self._unwelcome = Unwelcome()
        self.refusals = Refusals(clock)
        self._useless: str | None = None  # why nothing can be said to the broker, although it is there
        self._dialogue: Dialogue | None = None
        self._repeats = Repeats()
        self._troubles: set[tuple[str, str]] = set()  # said of the present trouble, each once
        self._up_since = 0.0
        self._failures = 0
        self._down_since = clock.monotonic()
        self._files = Files(f"publisher {name}", files, clock, self._is_offline)
        self._up = metrics.PUBLISHER_UP.labels(name)
        self._up.set(0)

    @property
    def conflict(self) -> str | None:
        """Session of another agent that speaks under our id at this broker, as far as this session has heard."""
        return getattr(self._dialogue, "conflict", None)

    @property
    def since(self) -> float:
        """When it came into its state, monotonic seconds."""
        return self._up_since if self.state == "online" else self._down_since

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
            if self.state == "offline":  # between sessions there is nobody to say goodbye to
                running.cancel()

    async def drain(self) -> None:
        """Return when everything appended so far was delivered, or there is no broker to deliver it to."""
        self._draining = True
        await self.outbox.flush()
        if self._cut is not None:
            self._cut.hurry()
        while self.outbox.stats.records and self.state == "online":
            await self._clock.sleep(0.02)
        await self.outbox.flush()  # the goodbye says `low` as of the last commit

    def adjust(self, publisher: Publisher, replay: Replay, devices: Sequence[str]) -> None:
        """Go on in the present session with what may change within one: window, replay, which `devices` it carries.

        `publisher` is built from the new configuration, and never opened.
        """
        self._replay = replay
        if isinstance(self._publisher, Adjustable):
            self._publisher.adjust(publisher)
        if self._talk is not None:
            for device in devices:
                self._talk.changed(DeviceChanged(device=device, ts=self._clock.now_ms()))
        if self._cut is not None:
            self._cut.renew(replay)

    def say_agent(self) -> None:
        """What the agent says of itself has changed: repeat its status now."""
        if self._talk is not None and getattr(self._encoder, "tick", None) is not None:
            self._talk.changed(AgentChanged(ts=self._clock.now_ms()))

    def leave(self) -> None:
        """Say offline, close, and end :meth:`run`."""
        self._leaving.set()

    # --- one broker session -------------------------------------------------------------------------------------------

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
                self._look_at(session)
                attempt.healthy()
                metrics.CONNECTS.labels(self.name).inc()
                await self._converse(session, dialogue, attempt)
        except _WithWillError:
            self._is_offline("stopped")
        finally:
            self._suspects.ended()
            self._suspects.keep(self.outbox.memo)  # durable before the next CONNECT
        if isinstance(dialogue, Stateful) and not self._leaving.is_set():
            raise ConnectionLost(dialogue.why)

    def _look_at(self, session: Session) -> None:
        """TransientError where nothing can be said to this broker; the records wait, they are not to blame."""
        limit = session.limits.max_packet_bytes
        self._useless = None
        if limit is not None and limit < SMALLEST_PACKET:
            self._useless = (
                f"the broker takes packets of {limit} bytes at most, too small for any message; have its maximum "
                f"packet size raised, to {SMALLEST_PACKET} bytes at least"
            )
            raise TransientError(self._useless, retry_after=LONGEST_RETRY)

    def _will_maker(self, dialogue: Stateful) -> WillMaker:
        async def make() -> Message:
            will = dialogue.connecting()
            await self.outbox.flush()
            return will

        return make

    async def _converse(self, session: Session, dialogue: Dialogue, attempt: Attempt) -> None:
        beside = Beside(session, self._unwelcome, self._clock, Ears(self._refused_beside, self._heard, self._unparked))
        talk = self._talk = Talk(session, dialogue, self.outbox.streams, beside, self._repair.hears)

        def changed(device: str) -> None:
            talk.changed(DeviceChanged(device=device, ts=self._clock.now_ms()))

        self._cut = cut = Delivery(
            self.name,
            self.outbox,
            talk,
            clock=self._clock,
            replay=self._replay,
            hooks=Hooks(
                settle=self._image.settle,
                snapshot=self._snapshot,
                say_refused=self._say_refused,
                opened=partial(self._is_online, session),
                held=self._is_held,
                remember=partial(self._suspects.keep, self.outbox.memo),
            ),
            suspects=self._suspects,
        )
        if self._draining:
            cut.hurry()
        unlisten = self._image.listen(changed)  # before the greeting: it takes its time
        try:
            async with TaskGroup() as group:
                group.create_task(self._watch(session), name=f"publisher {self.name}: watch")
                await talk.say(self._online(session))
                lanes: list[Coroutine[Any, Any, None]] = [
                    talk.mail(), talk.hear(), cut.run(), beside.second_tries(cut.quiet),
                ]  # fmt: skip
                if (tick := getattr(self._encoder, "tick", None)) is not None:
                    lanes.append(self._tick(talk, tick))
                tasks = [group.create_task(lane, name=f"publisher {self.name}") for lane in lanes]
                ends = [
                    group.create_task(event.wait(), name=f"publisher {self.name}: end")
                    for event in (self._leaving, talk.leave)
                ]
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                for task in (*ends, *tasks):
                    task.cancel()
                await asyncio.wait(tasks)
                heard = await self._last_words(session, dialogue, beside, whole=talk.whole)
                raise _EnoughError
        except* _EnoughError:
            self._is_offline(talk.why if talk.leave.is_set() else "stopped")
        finally:
            unlisten()
            if cut.delivered:
                attempt.carried()
            self._leave_out(self._unwelcome.ended(heard=cut.heard, now=self._clock.monotonic()), session)
            self._cut = self._talk = None
        if talk.stateful and (session.limits.will or not heard):
            raise _WithWillError

    def _online(self, session: Session) -> Online:
        return Online(ts=self._clock.now_ms(), limits=session.limits, streams=self.outbox.streams())

    async def _watch(self, session: Session) -> None:
        await session.closed()
        reason = "the connection was closed"
        raise ConnectionLost(reason)

    async def _tick(self, talk: Talk, seconds: float) -> None:
        wait = min(FIRST_TICK, seconds)
        while True:
            await self._clock.sleep(wait)
            wait = seconds
            await talk.beside(Tick(ts=self._clock.now_ms(), streams=self.outbox.streams()))

    async def _last_words(self, session: Session, dialogue: Dialogue, beside: Beside, *, whole: bool) -> bool:
        """Say goodbye; whether the broker heard it. Not `whole`: a message was made and never written."""
        words = dialogue(Offline(ts=self._clock.now_ms(), streams=self.outbox.streams()))
        if not isinstance(dialogue, Stateful):  # whose messages are numbered
            words = beside.allowed(words)
        try:
            async with asyncio.timeout(LAST_WORDS):
                await (await session.send(words if whole else words[-1:]))
        except (TimeoutError, AgentError) as error:
            log.warning("publisher.offline", publisher=self.name, reason=f"goodbye was not heard: {error!r}")
            return False
        return True

    def _heard(self) -> None:
        """The broker has taken something beside the data."""
        if self._cut is not None:
            self._cut.heard = True

    def _unparked(self) -> None:
        """What the broker was suspected to hang up on has had its turn."""
        if self._cut is not None:
            self._cut.unpark()

    def _refused_beside(self, error: AgentError) -> None:
        self._say_refused(error, "")

    def _leave_out(self, topic: str | None, session: Session) -> None:
        """The broker hangs up on this, a topic or all that end alike, and goes without it from now on."""
        if topic is not None:
            log.error("publisher.left_out", publisher=self.name, broker=session.limits.server, topic=topic)

    # --- state --------------------------------------------------------------------------------------------------------

    def _say_refused(self, error: AgentError, device: str) -> None:
        """One cause is one line, whatever the topic."""
        reason = str(error)
        if device:
            self.refusals.met(device, reason)
        cause = getattr(error, "code", None) or reason
        repeats = self._repeats.due(("refused", cause), self._clock.monotonic())
        if repeats is not None:
            log.warning("publisher.refused", publisher=self.name, device=device or None, reason=reason, repeats=repeats)

    def _is_online(self, session: Session) -> None:
        if self.state == "online":
            return
        self.state, self.reason, self.protocol = "online", None, session.limits.protocol
        self._up.set(1)
        self._up_since = self._clock.monotonic()
        log.info(
            "publisher.online",
            publisher=self.name,
            broker=session.limits.server,
            mqtt=session.limits.protocol,
            window=session.limits.window,
            max_packet_bytes=session.limits.max_packet_bytes,
            backlog=self.outbox.stats.records,
            down_for=round(self._clock.monotonic() - self._down_since, 1),
            attempts=self._failures,
        )
        self._failures = 0

    def _is_held(self, why: str) -> None:
        """The broker is there, but nothing may be said yet."""
        if self.reason != why:
            log.info("publisher.held", publisher=self.name, reason=why)
        self._is_offline(why)

    def _is_offline(self, reason: str) -> None:
        now = self._clock.monotonic()
        if self.state == "online":
            self._down_since = now
            if (
                now - self._up_since >= LONGEST_RETRY
            ):  # else it is the same trouble going on: a rival under our name, say
                for known in self._troubles:
                    self._repeats.over(known)
                self._troubles.clear()
        self.state = "degraded" if reason == self._useless else "offline"
        self.reason, self.protocol = reason, None
        self._up.set(0)

    def _lost(self, failure: Failure) -> None:
        self._is_offline(failure.reason)
        self._failures += 1
        trouble = ("down", failure.reason)
        self._troubles.add(trouble)
        repeats = self._repeats.due(trouble, self._clock.monotonic())
        if repeats is not None:
            waiting = self.outbox.stats.records
            log.warning(
                "publisher.offline", publisher=self.name, reason=failure.reason, waiting=waiting,
                retry_in_s=failure.retry_in_s, repeats=repeats,
            )  # fmt: skip

    def _snapshot(self) -> None:
        """Append the newest of every device: with the cut, and no await between."""
        if not getattr(self._encoder, "snapshots", True):
            return
        unsynced: Literal["unsynced"] | None = None if self._clock.synced else "unsynced"
        for device in self._image.devices:
            if self.wants(device):
                for batch in self._image.snapshot(device, self._clock.now_ms(), clock=unsynced):
                    self.outbox.append(batch)
