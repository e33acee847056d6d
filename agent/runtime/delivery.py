"""Delivering within one broker session: a cut, its live lane and its backlog lane, and what the broker's answers mean.

How a refusal ends is the error's word: a bounded one is tried again a few times while everything else flows; a lasting
one (no permission, say) parks its device, whose records stay in the file and come again with a new cut; a full broker
pauses all.
"""

from __future__ import annotations

import asyncio
from asyncio import Future, TaskGroup
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from typing import NamedTuple

from agent.core.clock import Clock
from agent.core.errors import AgentError, ConnectionLost, Refused, Rejected, TransientError
from agent.core.flow import Batch, Record
from agent.core.ports import Outbox, Reader
from agent.runtime.replay import DEFAULT_RATE, LanePlan, TokenBucket, start_delay
from agent.runtime.suspects import Suspects
from agent.runtime.talk import Talk
from agent.settings.publishers import Replay
from agent.telemetry import metrics
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Repeats

#: Records asked of the outbox at a time: a good part of a window, little memory.
LIVE_TAKE = 64
BACKLOG_TAKE = 16
#: While live data are behind, what is sent once more waits; they are looked at again after this, seconds.
LOOK_AGAIN = 0.05
#: A refusal that lasts longer than this parks its device, seconds; a shorter one pauses the lanes.
PARKING = 30.0
#: So many records may wait in memory for another try; more of them park their device.
MAX_WAITING = 50

log = get_logger("publisher")

_NOTHING = Batch(device="", ts=0, readings=[])


class Hooks(NamedTuple):
    """What a cut asks of its route. `settle` and `snapshot` stand around the cut, no await between."""

    settle: Callable[[], None]  #: hand what devices hold back to the outboxes
    snapshot: Callable[[], None]  #: append the newest of every device
    say_refused: Callable[[AgentError, str], None]  #: why, device
    opened: Callable[[], None] = lambda: None  #: records may flow
    held: Callable[[str], None] = lambda _why: None  #: records have to wait
    remember: Callable[[], None] = lambda: None  #: what is known of suspects has changed


class Delivery:
    """The lanes of one session."""

    def __init__(
        self,
        name: str,
        outbox: Outbox,
        talk: Talk,
        *,
        clock: Clock,
        replay: Replay,
        hooks: Hooks,
        suspects: Suspects | None = None,
    ) -> None:
        self._name = name
        self._outbox = outbox
        self._talk = talk
        self._clock = clock
        self._replay = replay
        self._plan = LanePlan(replay, talk.limits.window)
        self._anew = asyncio.Event()  #: a new cut is due
        self._hooks = hooks
        self._parked: dict[str, float] = {}
        self._paused_until = 0.0
        self._flying: set[Future[None]] = set()
        self._quiet: asyncio.Event | None = None  # set when records may go on
        self._suspects = suspects if suspects is not None else Suspects()
        self._suspects.session(talk.limits.max_packet_bytes)
        self._alone = asyncio.Lock()  #: held while something is sent next to a suspect
        self._waited: set[str] = set()  # devices with suspects that have let the others go first
        self.delivered = False  #: a record of this session has reached the broker
        self.heard = False  #: the broker has taken something in this session
        self._later: list[tuple[float, Record]] = []
        self._hurried = False
        self._repeats = Repeats()
        self._live_left = 0  # of the live records that were taken, those not sent yet
        self._lingering: deque[tuple[float, Record]] = deque()
        self._reader: Reader | None = None
        self._backlog_room = asyncio.Semaphore(self._plan.backlog_window)
        self._result = {word: metrics.PUBLISHED.labels(name, word) for word in ("ok", "rejected", "retried")}
        self._bytes = metrics.PUBLISHED_BYTES.labels(name)

    async def run(self) -> None:
        """Deliver until cancelled or the session is lost."""
        while True:
            if self._talk.why:
                self._hooks.held(self._talk.why)
            await self._talk.may_open()
            self._anew.clear()
            self._plan = LanePlan(self._replay, self._talk.limits.window)
            with ExitStack() as stack:
                async with self._talk.turn:
                    self._hooks.settle()
                    reader = self._reader = stack.enter_context(self._outbox.reader())
                    self._hooks.snapshot()
                    await self._talk.open(self._clock.now_ms())
                self._hooks.opened()
                await self._lanes(reader)
                if not self._talk.leave.is_set():  # who leaves does so because somebody may not have heard it all
                    self._release(reader)
                self._lingering.clear()
                self._later.clear()  # not acknowledged, so the next cut hands them out again

    async def _lanes(self, reader: Reader) -> None:
        """Until a new cut is due: for parked devices, or because the dialogue wants to open anew."""
        self._backlog_room = asyncio.Semaphore(self._plan.backlog_window)
        self._live_left = 0
        live_first = self._plan.order == "live_first"
        working = [self._backlog(reader), self._live(reader)] if live_first else [self._in_order(reader)]
        working.append(self._again(reader))
        async with TaskGroup() as group:
            ends = [
                group.create_task(self._second_tries(reader), name="second tries"),
                group.create_task(self._wanted_anew(), name="new cut"),
            ]
            if self._talk.stateful:
                ends.append(group.create_task(self._talk.interrupted(), name="course"))
            lanes = [group.create_task(lane, name="lane") for lane in working]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for task in (*ends, *lanes):
                task.cancel()
        # What is in flight belongs to this reader: the next one would hand it out a second time.
        if self._flying:
            await asyncio.wait(self._flying)

    async def _wanted_anew(self) -> None:
        await self._anew.wait()

    def renew(self, replay: Replay) -> None:
        """Make a new cut: the lanes are shared otherwise, or other devices are carried, from now on."""
        self._replay = replay
        self._anew.set()

    def unpark(self) -> None:
        """Parked devices have waited long enough."""
        self._parked = dict.fromkeys(self._parked, 0.0)

    def hurry(self) -> None:
        """The end is near: nothing lingers any more."""
        self._hurried = True
        if self._reader is not None:
            self._release(self._reader)

    def _release(self, reader: Reader) -> None:
        while self._lingering:
            reader.ack(self._lingering.popleft()[1])

    async def _second_tries(self, reader: Reader) -> None:
        """Returns when parked devices are due: a new cut hands their records out again."""
        while True:
            await self._clock.sleep(1.0)
            now = self._clock.monotonic()
            while self._lingering and self._lingering[0][0] <= now:
                reader.ack(self._lingering.popleft()[1])
            due = [record for at, record in self._later if at <= now]
            self._later = [(at, record) for at, record in self._later if at > now]
            for record in due:
                reader.retry(record)
            if any(until <= now for until in self._parked.values()):
                self._parked = {device: until for device, until in self._parked.items() if until > now}
                return

    @asynccontextmanager
    async def quiet(self) -> AsyncIterator[None]:
        """Meanwhile no record is sent, and none is in flight: what else is sent now answers for itself."""
        go_on = self._quiet = asyncio.Event()
        try:
            while self._flying:
                await asyncio.wait(self._flying)
            yield
        finally:
            self._quiet = None
            go_on.set()

    # --- lanes --------------------------------------------------------------------------------------------------------

    async def _live(self, reader: Reader) -> None:
        while True:
            await self._deliver_live(await reader.live(LIVE_TAKE), reader)

    async def _deliver_live(self, records: Sequence[Record], reader: Reader) -> None:
        self._live_left = len(records)
        for record in records:
            await self._deliver(record, reader)
            self._live_left -= 1

    async def _again(self, reader: Reader) -> None:
        """What somebody asked for once more, at the rate of a backlog, while live data keep up."""
        bucket = TokenBucket(self._plan.rate or DEFAULT_RATE, self._clock.monotonic())
        while True:
            for record in await reader.again(BACKLOG_TAKE):
                if delay := bucket.take(self._clock.monotonic()):
                    await self._clock.sleep(delay)
                while self._live_left or reader.behind:
                    await self._clock.sleep(LOOK_AGAIN)
                await self._backlog_room.acquire()
                outcome = await self._deliver(record, reader)
                if outcome is None:
                    self._backlog_room.release()
                else:
                    outcome.add_done_callback(partial(_release, self._backlog_room))

    async def _start(self, reader: Reader) -> None:
        if reader.backlog_left:
            await self._clock.sleep(start_delay())

    async def _backlog(self, reader: Reader) -> None:
        await self._start(reader)
        bucket = TokenBucket(self._plan.rate, self._clock.monotonic())
        while True:
            began, sent = 0.0, 0
            while sent == 0 or reader.backlog_left:
                for record in await reader.backlog(BACKLOG_TAKE):
                    began = began or self._clock.monotonic()
                    if delay := bucket.take(self._clock.monotonic()):
                        await self._clock.sleep(delay)
                    await self._backlog_room.acquire()
                    outcome = await self._deliver(record, reader)
                    if outcome is None:
                        self._backlog_room.release()
                    else:
                        outcome.add_done_callback(partial(_release, self._backlog_room))
                        sent += 1
            self._backlog_done(sent, began)

    async def _in_order(self, reader: Reader) -> None:
        await self._start(reader)
        bucket = TokenBucket(self._plan.rate, self._clock.monotonic())
        while True:
            began, sent = self._clock.monotonic(), 0
            while reader.backlog_left:
                for record in await reader.backlog(BACKLOG_TAKE):
                    if delay := bucket.take(self._clock.monotonic()):
                        await self._clock.sleep(delay)
                    sent += await self._deliver(record, reader) is not None
            if sent:
                self._backlog_done(sent, began)
            await self._deliver_live(await reader.live(LIVE_TAKE), reader)

    def _backlog_done(self, sent: int, began: float) -> None:
        seconds = round(self._clock.monotonic() - began, 1)
        log.info("publisher.backlog_done", publisher=self._name, records=sent, seconds=seconds)

    async def _deliver(self, record: Record, reader: Reader) -> Future[None] | None:
        """Hand one record to the broker; None where its device is parked, or nobody will ever take it."""
        if self._parked and record.stream.device in self._parked:
            reader.put_off(record)
            return None
        if self._paused_until and (pause := self._paused_until - self._clock.monotonic()) > 0:
            await self._clock.sleep(pause)
        if self._suspects:
            async with self._alone:
                return await self._send_warily(record, reader)
        return await self._send(record, reader)

    async def _send_warily(self, record: Record, reader: Reader) -> Future[None] | None:
        """Send what is accused last, and alone: it may be what makes the broker hang up."""
        if not self._suspects.accused(record):
            return await self._send(record, reader)
        if times := self._suspects.guilty(record):
            self._suspects.convicted(record)
            self._quarantine(record, reader, f"the broker hangs up on it without a word: {times} times, it alone")
            return None
        device = record.stream.device
        if device not in self._waited:
            self._waited.add(device)
            self._parked[device] = self._clock.monotonic() + self._suspects.patience(device)
            reader.put_off(record)
            return None
        if self._flying:
            await asyncio.wait(self._flying)
        outcome = await self._send(record, reader)
        if outcome is not None:
            await asyncio.wait((outcome,))
        return outcome

    async def _send(self, record: Record, reader: Reader) -> Future[None] | None:
        if self._quiet is not None:
            await self._quiet.wait()
        try:
            outcome, size = await self._talk.deliver(record)
        except Rejected as never:
            self._quarantine(record, reader, never.reason)
            return None
        except Refused as later:
            self._refused(record, reader, later)
            return None
        except AgentError:
            raise
        except Exception as bug:
            # Ours: it ends the session like any bug, but it must not stand in front of all others for ever.
            if not self._suspects.unsayable(record):
                raise
            self._quarantine(record, reader, f"we cannot say it, {type(bug).__name__}: {bug}; please report this")
            return None
        self._flying.add(outcome)
        outcome.add_done_callback(partial(self._answered, record, reader))
        self._bytes.inc(size)
        return outcome

    # --- answers ------------------------------------------------------------------------------------------------------

    def _answered(self, record: Record, reader: Reader, outcome: Future[None]) -> None:
        self._flying.discard(outcome)
        if outcome.cancelled():
            return
        error = outcome.exception()
        if error is None:
            self._result["ok"].inc()
            self.heard = self.delivered = True
            if self._suspects.remembers:
                self._suspects.cleared(record)
            linger = 0.0 if self._hurried else self._talk.linger
            if linger:
                if isinstance(record.content, Batch):
                    record.content = _NOTHING  # a minute of batches would fill the memory; the file has them
                self._lingering.append((self._clock.monotonic() + linger, record))
            else:
                reader.ack(record)
        elif isinstance(error, Rejected):
            self._suspects.cleared(record)
            self._quarantine(record, reader, error.reason)
        elif isinstance(error, ConnectionLost):
            if error.blames:
                self._suspects.dropped(record, proven=self.heard)
        elif isinstance(error, TransientError):
            self._refused(record, reader, error)

    def _refused(self, record: Record, reader: Reader, error: TransientError) -> None:
        device = record.stream.device
        self._hooks.say_refused(error, device)
        self._result["retried"].inc()
        retry_after = error.retry_after or 1.0
        limit = error.attempts if isinstance(error, Refused) else None
        if limit is None and retry_after < PARKING:
            self._paused_until = self._clock.monotonic() + retry_after
            reader.retry(record)
            return
        if limit is not None and (attempts := self._suspects.refused(record)) >= limit:
            self._quarantine(record, reader, f"{error.reason}, {attempts} times")
        elif retry_after >= PARKING or len(self._later) >= MAX_WAITING:
            self._parked[device] = self._clock.monotonic() + retry_after
            reader.put_off(record)
        else:
            self._later.append((self._clock.monotonic() + retry_after, record))

    def _quarantine(self, record: Record, reader: Reader, reason: str) -> None:
        self._result["rejected"].inc()
        self._suspects.gone(record)
        self._hooks.remember()
        stream = record.stream
        if (repeats := self._repeats.due(stream.device, self._clock.monotonic())) is not None:
            where = {"publisher": self._name, "device": stream.device, "epoch": stream.epoch, "seq": record.seq}
            log.error("publisher.quarantined", reason=reason, **where, repeats=repeats)
        reader.reject(record, reason)


def _release(room: asyncio.Semaphore, _outcome: Future[None]) -> None:
    room.release()
