"""Hands records to the broker one by one, and acts on its answers.

How a refusal ends is the error's word: a bounded one is tried again a few times while everything else flows; a lasting
one (no permission, say) parks its device, whose records stay in the file and come again with a new cut; a full broker
pauses all.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from agent.core.clock import Clock, to_beat
from agent.core.errors import AgentError, ConnectionLost, Refused, Rejected, TransientError
from agent.core.flow import Batch, Record
from agent.core.ports import Reader
from agent.runtime.north.suspects import Suspects
from agent.runtime.north.talk import Talk
from agent.telemetry import metrics
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Repeats

#: A refusal that lasts longer than this parks its device, seconds; a shorter one pauses the lanes.
PARKING = 30.0
#: So many records may wait in memory for another try; more of them park their device.
MAX_WAITING = 50

log = get_logger("publisher")

_NOTHING = Batch(device="", ts=0, readings=[])


def _lane(record: Record) -> str:
    """What is parked together: a device's readings, or its gaps, whose topic has access rules of its own."""
    return record.stream.device if record.seq else f"gap/{record.stream.device}"


class Sender:
    """Of one session, over all its cuts."""

    def __init__(
        self,
        name: str,
        talk: Talk,
        *,
        clock: Clock,
        suspects: Suspects,
        refused: Callable[[AgentError, str], None],
        remember: Callable[[], None],
    ) -> None:
        """`refused` is told why, and of which device; `remember` that what is known of suspects has changed."""
        self._name = name
        self._talk = talk
        self._clock = clock
        self._suspects = suspects
        self._tell_refused = refused
        self._remember = remember
        self.delivered = False  #: a record of this session has reached the broker
        self._flying = 0
        self._landed = asyncio.Event()  # nothing flies
        self._quiet: asyncio.Event | None = None  # set when records may go on
        self._alone = asyncio.Lock()  #: held while something is sent next to a suspect
        self._waited: set[str] = set()  # devices with suspects that have let the others go first
        self._parked: dict[str, float] = {}  # by lane
        self._paused_until = 0.0
        self._later: list[tuple[float, Record]] = []
        self._lingering: deque[tuple[float, Record]] = deque()  # acknowledged, and kept a little
        self._lingers = talk.stateful
        self._repeats = Repeats()
        self._result = {word: metrics.PUBLISHED.labels(name, word) for word in ("ok", "rejected", "retried")}
        self._taken = self._result["ok"]
        self._bytes = metrics.PUBLISHED_BYTES.labels(name)

    @property
    def heard(self) -> bool:
        """Whether the broker has taken anything in this session."""
        return self.delivered or self._talk.heard

    # --- between the cuts ---------------------------------------------------------------------------------------------

    async def landed(self) -> None:
        """Return when nothing is in flight any more."""
        while self._flying:
            self._landed.clear()
            await self._landed.wait()

    def forget(self) -> None:
        """The reader is given back: what was not acknowledged is handed out again by the next one."""
        self._lingering.clear()
        self._later.clear()

    def release(self, reader: Reader) -> None:
        """Keep nothing any longer that the broker has acknowledged."""
        while self._lingering:
            reader.ack(self._lingering.popleft()[1])

    def hurry(self) -> None:
        """The end is near: nothing lingers from now on."""
        self._lingers = False

    def unpark(self) -> None:
        """Parked devices have waited long enough."""
        self._parked = dict.fromkeys(self._parked, 0.0)

    async def second_tries(self, reader: Reader) -> None:
        """Returns when parked devices are due: a new cut hands their records out again."""
        while True:
            await self._clock.sleep(to_beat(self._clock.monotonic(), 1.0))
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
            await self.landed()
            yield
        finally:
            self._quiet = None
            go_on.set()

    # --- sending ------------------------------------------------------------------------------------------------------

    def send(
        self, record: Record, reader: Reader, then: Callable[[], object] | None = None
    ) -> Coroutine[Any, Any, bool]:
        """Hand one record to the broker, and call `then` once it has answered. To be awaited at once.

        False where the record's device is parked, or nobody will ever take it.
        """
        careful = self._parked or self._paused_until or self._suspects
        return (self._send_with_care if careful else self._send)(record, reader, then)

    async def _send_with_care(self, record: Record, reader: Reader, then: Callable[[], object] | None) -> bool:
        if self._parked and _lane(record) in self._parked:
            reader.put_off(record)
            return False
        if self._paused_until and (pause := self._paused_until - self._clock.monotonic()) > 0:
            await self._clock.sleep(pause)
        if self._suspects:
            async with self._alone:
                return await self._send_warily(record, reader, then)
        return await self._send(record, reader, then)

    async def _send_warily(self, record: Record, reader: Reader, then: Callable[[], object] | None) -> bool:
        """Send the suspects last, and alone: one may be what makes the broker disconnect."""
        if not self._suspects.accused(record):
            return await self._send(record, reader, then)
        if times := self._suspects.guilty(record):
            self._suspects.convicted(record)
            self._quarantine(
                record, reader, f"the broker disconnected at it without a reason, {times} times, with nothing else sent"
            )
            return False
        lane = _lane(record)
        if lane not in self._waited:
            self._waited.add(lane)
            self._parked[lane] = self._clock.monotonic() + self._suspects.patience(record)
            reader.put_off(record)
            return False
        await self.landed()
        answered = asyncio.Event()
        if not await self._send(record, reader, answered.set):
            return False
        await answered.wait()
        if then is not None:
            then()
        return True

    async def _send(self, record: Record, reader: Reader, then: Callable[[], object] | None) -> bool:
        if self._quiet is not None:
            await self._quiet.wait()
        try:
            size = await self._talk.deliver(record, partial(self._answered, record, reader, then))
        except Rejected as never:
            self._quarantine(record, reader, never.reason)
            return False
        except Refused as later:
            self._refused(record, reader, later)
            return False
        except AgentError:
            raise
        except Exception as bug:
            # Ours: it ends the session like any bug, but it must not stand in front of all others for ever.
            if not self._suspects.unsayable(record):
                raise
            self._quarantine(record, reader, f"we cannot say it, {type(bug).__name__}: {bug}; please report this")
            return False
        self._flying += 1
        self._bytes.value += size
        return True

    # --- answers ------------------------------------------------------------------------------------------------------

    def _answered(
        self, record: Record, reader: Reader, then: Callable[[], object] | None, error: BaseException | None
    ) -> None:
        self._flying -= 1
        if not self._flying:
            self._landed.set()
        if then is not None:
            then()
        if error is None:
            self._taken.value += 1
            self.delivered = True
            if self._suspects.remembers:
                self._suspects.cleared(record)
            if self._lingers and (linger := self._talk.linger):
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
        self._tell_refused(error, device)
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
            self._parked[_lane(record)] = self._clock.monotonic() + retry_after
            reader.put_off(record)
        else:
            self._later.append((self._clock.monotonic() + retry_after, record))

    def _quarantine(self, record: Record, reader: Reader, reason: str) -> None:
        self._result["rejected"].inc()
        self._suspects.gone(record)
        self._remember()
        stream = record.stream
        if (repeats := self._repeats.due(stream.device, self._clock.monotonic())) is not None:
            where = {"publisher": self._name, "device": stream.device, "epoch": stream.epoch, "seq": record.seq}
            log.error("publisher.quarantined", reason=reason, **where, repeats=repeats)
        reader.reject(record, reason)
