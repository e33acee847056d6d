"""Northbound: one route, that is a publisher with its encoder and its outbox.

    outbox.reader() ─▶ record ─▶ dialogue ─▶ messages ─▶ session.send ─▶ PUBACK ─▶ reader.ack

One attempt is one broker session. Within it a *cut* divides backlog from live; at each cut the first live record of
every device is a snapshot. A record is acknowledged, rejected or retried exactly as the broker said.
"""

from __future__ import annotations

import asyncio
from asyncio import Future, TaskGroup
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Literal

from agent.core.backoff import Backoff
from agent.core.clock import Clock
from agent.core.errors import AgentError, ConnectionLost
from agent.core.flow import DeviceChanged, Message, Offline, Online, Tick
from agent.core.image import Image
from agent.core.ports import Dialogue, Encoder, Outbox, Publisher, Session
from agent.runtime.cut import Cut, Hooks
from agent.runtime.mailbox import Mailbox
from agent.runtime.supervisor import Attempt, Failure, Supervisor
from agent.settings.base import Replay
from agent.telemetry import metrics
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Repeats

#: Full jitter up to a minute, so that a plant does not come back in one wave.
FIRST_RETRY = 1.0
LONGEST_RETRY = 60.0
#: Last words (offline status) may take this long before the connection is closed anyway, seconds.
LAST_WORDS = 1.0

log = get_logger("route")


class _EnoughError(Exception):
    """The session is to end on purpose: ends its task group from inside."""


class Route:
    """Keeps one outbox drained."""

    def __init__(
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
    ) -> None:
        self.name = name
        self.outbox = outbox
        self.wants = wants
        self.state: Literal["online", "offline"] = "offline"
        self.reason: str | None = "not connected yet"
        self.mqtt: str | None = None
        self._publisher = publisher
        self._encoder = encoder
        self._image = image
        self._clock = clock
        self._replay = replay
        self._leaving = asyncio.Event()
        self._repeats = Repeats()
        self._failures = 0
        self._down_since = clock.monotonic()
        self._up = metrics.PUBLISHER_UP.labels(name)
        self._up.set(0)

    async def run(self) -> None:
        """Publish until :meth:`leave`; never raises but for cancellation."""
        supervisor = Supervisor(
            f"publisher {self.name}",
            clock=self._clock,
            backoff=Backoff(first=FIRST_RETRY, cap=LONGEST_RETRY),
            report=self._lost,
        )
        async with TaskGroup() as group:
            running = group.create_task(supervisor.run(self._attempt), name=f"publisher {self.name}")
            leaving = group.create_task(self._leaving.wait(), name=f"publisher {self.name}: leave")
            await asyncio.wait((running, leaving), return_when=asyncio.FIRST_COMPLETED)
            leaving.cancel()
            if self.state == "offline":  # between sessions there is nobody to say goodbye to
                running.cancel()

    async def drain(self) -> None:
        """Return when everything appended so far was delivered, or there is no broker to deliver it to."""
        await self.outbox.flush()
        while self.outbox.stats.records and self.state == "online":
            await self._clock.sleep(0.02)

    def leave(self) -> None:
        """Say offline, close, and end :meth:`run`."""
        self._leaving.set()

    # --- one broker session -------------------------------------------------------------------------------------------

    async def _attempt(self, attempt: Attempt) -> None:
        if self._leaving.is_set():
            return
        dialogue = self._encoder.begin(self._image, self.outbox.memo)
        await self.outbox.flush()  # what the dialogue put into the memo is durable before the CONNECT
        async with self._publisher.open(dialogue.will, dialogue.listens) as session:
            attempt.healthy()
            metrics.CONNECTS.labels(self.name).inc()
            await self._converse(session, dialogue)

    async def _converse(self, session: Session, dialogue: Dialogue) -> None:
        mailbox = Mailbox()

        def changed(device: str) -> None:
            mailbox.post(dialogue(DeviceChanged(device=device, ts=self._clock.now_ms())))

        cut = Cut(
            self.name,
            self.outbox,
            session,
            dialogue,
            clock=self._clock,
            replay=self._replay,
            hooks=Hooks(self._image.settle, self._snapshot, self._say_refused),
        )
        unlisten: Callable[[], None] = lambda: None  # noqa: E731 - replaced as soon as there is something to end
        try:
            async with TaskGroup() as group:
                group.create_task(self._watch(session), name=f"publisher {self.name}: watch")
                await session.send(dialogue(self._online(session)))
                unlisten = self._image.listen(changed)
                self._is_online(session)
                lanes: list[Coroutine[Any, Any, None]] = [
                    self._mail(session, mailbox),
                    self._hear(session, dialogue, mailbox),
                    cut.run(),
                ]
                if self._encoder.tick is not None:
                    lanes.append(self._tick(dialogue, mailbox, self._encoder.tick))
                tasks = [group.create_task(lane, name=f"publisher {self.name}") for lane in lanes]
                await self._leaving.wait()
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
                await self._last_words(session, dialogue)
                raise _EnoughError
        except* _EnoughError:
            self._is_offline("stopped")
        finally:
            unlisten()

    def _online(self, session: Session) -> Online:
        return Online(ts=self._clock.now_ms(), limits=session.limits, streams=self.outbox.streams())

    async def _watch(self, session: Session) -> None:
        await session.closed()
        reason = "the connection was closed"
        raise ConnectionLost(reason)

    async def _mail(self, session: Session, mailbox: Mailbox) -> None:
        while True:
            self._said(await session.send(await mailbox.take()))

    async def _hear(self, session: Session, dialogue: Dialogue, mailbox: Mailbox) -> None:
        async for incoming in session.incoming():
            mailbox.post(dialogue(incoming))

    async def _tick(self, dialogue: Dialogue, mailbox: Mailbox, seconds: float) -> None:
        while True:
            await self._clock.sleep(seconds)
            mailbox.post(dialogue(Tick(ts=self._clock.now_ms(), streams=self.outbox.streams())))

    async def _last_words(self, session: Session, dialogue: Dialogue) -> None:
        words: Sequence[Message] = dialogue(Offline(ts=self._clock.now_ms(), streams=self.outbox.streams()))
        try:
            async with asyncio.timeout(LAST_WORDS):
                await (await session.send(words))
        except (TimeoutError, AgentError) as error:
            log.warning("route.offline", publisher=self.name, reason=f"goodbye was not heard: {error!r}")

    def _said(self, outcome: Future[None]) -> None:
        """Beside the data nothing is repeated: the next connection says it all again."""
        outcome.add_done_callback(self._refused_beside)

    def _refused_beside(self, outcome: Future[None]) -> None:
        error = None if outcome.cancelled() else outcome.exception()
        if error is not None and not isinstance(error, ConnectionLost):
            self._say_refused(str(error), "")

    # --- state --------------------------------------------------------------------------------------------------------

    def _say_refused(self, reason: str, device: str) -> None:
        repeats = self._repeats.due(("refused", reason), self._clock.monotonic())
        if repeats is not None:
            log.warning("route.refused", publisher=self.name, device=device or None, reason=reason, repeats=repeats)

    def _is_online(self, session: Session) -> None:
        self.state, self.reason, self.mqtt = "online", None, session.limits.mqtt
        self._up.set(1)
        self._repeats.over("down")
        log.info(
            "route.online",
            publisher=self.name,
            mqtt=session.limits.mqtt,
            window=session.limits.window,
            max_packet_bytes=session.limits.max_packet_bytes,
            backlog=self.outbox.stats.records,
            down_for=round(self._clock.monotonic() - self._down_since, 1),
            attempts=self._failures,
        )
        self._failures = 0

    def _is_offline(self, reason: str) -> None:
        if self.state == "online":
            self._down_since = self._clock.monotonic()
        self.state, self.reason, self.mqtt = "offline", reason, None
        self._up.set(0)

    def _lost(self, failure: Failure) -> None:
        self._is_offline(failure.reason)
        self._failures += 1
        repeats = self._repeats.due("down", self._clock.monotonic())
        if repeats is not None:
            waiting = self.outbox.stats.records
            log.warning("route.offline", publisher=self.name, reason=failure.reason, waiting=waiting, repeats=repeats)

    def _snapshot(self) -> None:
        """Append the newest of every device: with the cut, and no await between."""
        if not self._encoder.snapshots:
            return
        unsynced: Literal["unsynced"] | None = None if self._clock.synced else "unsynced"
        for device in self._image.devices:
            if self.wants(device):
                for batch in self._image.snapshot(device, self._clock.now_ms(), clock=unsynced):
                    self.outbox.append(batch)
