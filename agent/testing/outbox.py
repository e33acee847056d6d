"""A twin of the Outbox port without a disk: commits at once, or when the test says so.

outbox = ScriptedOutbox()
async with outbox.open():
    outbox.refuse()        # the disk refuses: what is appended waits and is not handed out
    outbox.accept()        # it takes writes again
    outbox.acked           # (device, seq) of everything acknowledged, in order
    outbox.rejected        # (device, seq, reason) of everything rejected
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

from agent.core.clock import Clock, SystemClock
from agent.core.errors import ConnectionLost
from agent.core.flow import Batch, Gap, Record, ResendRequest, Stream
from agent.core.ids import ulid
from agent.core.ports import Memo, OutboxStats, Resent
from agent.outbox.gaps import gap_of, merged
from agent.outbox.memo import CachedMemo
from agent.outbox.split import pieces
from agent.settings.outbox import OutboxSettings


class ScriptedOutbox:
    """Obeys the same contract suite as the real one; what it keeps is gone with it."""

    def __init__(
        self,
        settings: OutboxSettings | None = None,
        *,
        clock: Clock | None = None,
        max_record_bytes: int = 96 << 10,
    ) -> None:
        self.memo: Memo = CachedMemo()
        self.acked: list[tuple[str, int]] = []
        self.rejected: list[tuple[str, int, str]] = []
        self.is_open = False
        self._settings = settings or OutboxSettings()
        self._clock = clock or SystemClock()
        self._max_record_bytes = max_record_bytes
        self._kept: dict[int, Record] = {}
        self._waiting: list[Record] = []
        self._streams: dict[str, Stream] = {}
        self._epoch = ulid(self._clock.now_ms())
        self._row = 0
        self._accepting = True
        self._dropped = 0
        self._reader: ScriptedReader | None = None

    # --- the script ---------------------------------------------------------------------------------------------------

    def refuse(self) -> None:
        """From now on nothing is committed."""
        self._accepting = False

    def accept(self) -> None:
        """Commit what waits, and from now on at once."""
        self._accepting = True
        self._commit()

    # --- the port -----------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        self.is_open = True
        try:
            yield
        finally:
            self.is_open = False

    def append(self, content: Batch | Gap, /) -> None:
        stream = self._streams.setdefault(content.device, Stream(self._epoch, content.device))
        if isinstance(content, Gap):
            self._add(Record(0, stream, 0, self._clock.now_ms(), content))
        else:
            for batch, packed in pieces(content, self._max_record_bytes):
                seq, stream.next = stream.next, stream.next + 1
                self._add(Record(0, stream, seq, self._clock.now_ms(), batch, historical=False, size=len(packed)))

    async def flush(self) -> None:
        self._commit()

    @contextmanager
    def reader(self) -> Iterator[ScriptedReader]:
        reader = self._reader = ScriptedReader(self, [*self._kept, *(one.row for one in self._waiting)])
        try:
            yield reader
        finally:
            if self._reader is reader:
                self._reader = None

    def end_session(self, reason: str, /) -> None:
        if self._reader is not None:
            self._reader.over = reason
            self._reader.ready.set()

    async def resend(self, request: ResendRequest, /) -> Resent | None:
        del request
        return None  # what is acknowledged is gone

    def scanned(self, device: str, due: int, done: int, late: int, /) -> None:
        scans = self._streams.setdefault(device, Stream(self._epoch, device)).scans
        scans.due, scans.done, scans.late = scans.due + due, scans.done + done, scans.late + late

    def streams(self) -> Sequence[Stream]:
        return list(self._streams.values())

    def recorded(self, device: str, /) -> int | None:
        return None  # every twin is a first run

    @property
    def stats(self) -> OutboxStats:
        kept = [*self._kept.values(), *self._waiting]
        reader = self._reader
        off = [row for row in reader.told if row in self._kept and row not in reader.flight] if reader else []
        historical = [one for one in reader.flight.values() if one.historical] if reader else []
        return OutboxStats(
            records=len(kept),
            bytes=sum(one.size for one in kept),
            oldest_ts=kept[0].ts if kept else None,
            backlog=len(kept) if reader is None else reader.backlog_left + len(historical) + len(off),
            quarantined=len(self.rejected),
            dropped_records=self._dropped,
            committing=self._accepting,
        )

    # --- inside -------------------------------------------------------------------------------------------------------

    def _add(self, record: Record) -> None:
        self._row += 1
        record.row = self._row
        over = sum(one.size for one in [*self._kept.values(), *self._waiting]) + record.size - self._settings.max_bytes
        if over > 0 and record.seq and self._settings.when_full == "drop_newest":
            self._lose(record, "dropped")
            return
        self._waiting.append(record)
        if over > 0:
            for old in [one for one in self._kept.values() if one.seq]:
                if over > 0 and (self._reader is None or old.row not in self._reader.flight):
                    over -= old.size
                    if self._kept.pop(old.row, None) is None:  # the declaration of another has pushed it out
                        continue
                    self._lose(old, "dropped")
        if self._accepting:
            self._commit()

    def _lose(self, record: Record, kind: str, reason: str | None = None) -> None:
        readings = len(record.content.readings) if isinstance(record.content, Batch) else 0
        gap = gap_of(
            "quarantined" if kind == "quarantined" else "dropped",
            record.stream, record.seq, record.ts, readings, now_ms=self._clock.now_ms(), reason=reason,
        )  # fmt: skip
        self._dropped += 1
        told = self._reader.told if self._reader is not None else set()
        for known in [*self._kept.values(), *self._waiting]:
            if isinstance(known.content, Gap) and known.row not in told:
                one = merged(known.content, gap)
                if one is not None:
                    known.content = one
                    return
        self._add(Record(0, record.stream, 0, record.ts, gap))

    def _commit(self) -> None:
        if self._accepting:
            for record in self._waiting:
                self._kept[record.row] = record
            self._waiting.clear()
            self._settle()
            if self._reader is not None:
                self._reader.ready.set()

    def _settle(self) -> None:
        for stream in self._streams.values():
            holds = [
                one.seq if isinstance(one.content, Batch) else one.content.from_seq
                for one in [*self._kept.values(), *self._waiting]
                if one.stream is stream
            ]
            stream.low = min((hold for hold in holds if hold is not None), default=stream.next)

    def take(self, reader: ScriptedReader, limit: int, *, live: bool) -> list[Record]:
        """Records a reader has not had yet, from one lane."""
        wanted = [row for row in self._kept if row not in reader.told and (row not in reader.old) == live]
        result = []
        for row in sorted(wanted, key=lambda one: reader.old.get(one, one))[:limit]:
            kept = self._kept[row]
            record = (
                kept
                if live
                else Record(row, kept.stream, kept.seq, kept.ts, kept.content, historical=True, size=kept.size)
            )
            reader.told.add(row)
            reader.flight[row] = record
            result.append(record)
        return result

    def rows(self) -> list[int]:
        """All that is committed."""
        return list(self._kept)

    def left(self, reader: ScriptedReader) -> int:
        """Records of the backlog a reader has not had yet."""
        rows = [*self._kept, *(one.row for one in self._waiting)]
        return sum(row in reader.old and row not in reader.told for row in rows)

    def over(self, record: Record, rejected: str | None) -> None:
        """The end of a record: acknowledged, or rejected with a reason."""
        if rejected is None:
            self.acked.append((record.stream.device, record.seq))
        elif not record.seq:
            return
        self._kept.pop(record.row, None)
        if rejected is not None:
            self.rejected.append((record.stream.device, record.seq, rejected))
            self._lose(record, "quarantined", rejected)
        self._settle()

    def later(self, reader: ScriptedReader, record: Record) -> None:
        """To the end of the reader's backlog."""
        reader.old[record.row] = self._row + len(reader.old) + 1
        reader.told.discard(record.row)
        reader.ready.set()


class ScriptedReader:
    """The twin's Reader."""

    def __init__(self, outbox: ScriptedOutbox, old: Sequence[int]) -> None:
        self._outbox = outbox
        self.old = {row: row for row in old}  #: rows of the backlog and their places in it
        self.told: set[int] = set()
        self.flight: dict[int, Record] = {}
        self.ready = asyncio.Event()
        self.over: str | None = None  #: why the session is

    async def live(self, limit: int, /) -> Sequence[Record]:
        return await self._next(limit, live=True)

    async def backlog(self, limit: int, /) -> Sequence[Record]:
        return await self._next(limit, live=False)

    async def again(self, limit: int, /) -> Sequence[Record]:
        return await self._next(0 * limit, live=False)  # there is never any

    @property
    def behind(self) -> bool:
        rows = self._outbox.rows()
        return any(row not in self.told and row not in self.old for row in rows)

    async def _next(self, limit: int, *, live: bool) -> Sequence[Record]:
        while self.over is not None or not (records := self._outbox.take(self, limit, live=live)):
            if self.over is not None:
                raise ConnectionLost(self.over)
            self.ready = asyncio.Event() if self.ready.is_set() else self.ready
            await self.ready.wait()
        return records

    @property
    def backlog_left(self) -> int:
        return self._outbox.left(self)

    def ack(self, record: Record, /) -> None:
        if self.flight.pop(record.row, None) is not None:
            self._outbox.over(record, None)

    def reject(self, record: Record, reason: str, /) -> None:
        if self.flight.pop(record.row, None) is not None:
            self._outbox.over(record, reason)

    def retry(self, record: Record, /) -> None:
        if self.flight.pop(record.row, None) is not None:
            self._outbox.later(self, record)

    def put_off(self, record: Record, /) -> None:
        self.flight.pop(record.row, None)
