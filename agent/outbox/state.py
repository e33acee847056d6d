"""What an outbox knows in memory, and every way it changes but through a commit. Pure; belongs to the event loop."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import msgspec

from agent.core.clock import Clock
from agent.core.flow import Batch, Gap, GapKind, Record
from agent.core.ids import ulid
from agent.outbox.again import Again
from agent.outbox.bounds import AgeLimit, File, allowed
from agent.outbox.file.transaction import Row
from agent.outbox.gaps import declares, gap_of, key_of
from agent.outbox.lanes import LANE_BYTES, LANE_RECORDS, Lanes
from agent.outbox.losses import LossCounter
from agent.outbox.memo import CachedMemo
from agent.outbox.restamp import Unset, offset_of
from agent.outbox.ring import Ring, Waiting
from agent.outbox.spared import Spared
from agent.outbox.streams import StreamBook, Track
from agent.settings.outbox import OutboxSettings


class OpenGap(msgspec.Struct):
    """A gap on disk that nobody has been told yet: it may still grow."""

    row: int
    gap: Gap
    size: int
    track: Track


class OutboxState:
    """All figures and queues of one outbox."""

    def __init__(self, settings: OutboxSettings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.memo = CachedMemo()
        self.ring = Ring()
        self.book = StreamBook(ulid(clock.now_ms()))
        self.lanes: Lanes | None = None
        self.lane_bounds = (LANE_BYTES, LANE_RECORDS)
        self.session = 0
        self.late = 0  #: waiting for their commit, appended before the present cut
        self.committing = 0  #: gaps and batches in the transaction under way
        self.acked: dict[int, int] = {}  #: row → stream; they go with the next commit
        self.doomed: dict[int, int] = {}  #: the same for rows to be dropped; their gaps are in the ring
        self.refused: dict[int, tuple[str, int]] = {}  #: row → reason, stream: to quarantine
        self.again = Again()
        self.declared: list[tuple[int, int, int]] = []  #: stream, first and last number, of gaps that were acknowledged
        self.open_gaps: dict[Hashable, OpenGap] = {}
        self.records = 0
        self.bytes = 0
        self.last_row = 0  #: highest row number ever given away
        self.last_committed = 0  #: highest row number on disk
        self.oldest: tuple[int, int] | None = None
        self.file = File()
        self.free_disk: int | None = None
        self.quarantined = 0
        self.dropped = 0
        self.appended = 0  #: packed bytes of all that came in
        self.written = 0  #: payload
        self.written_disk: int | None = None  #: log, checkpoints and all, where the system counts that
        self.age = AgeLimit(settings.max_age, 0)
        self.losses = LossCounter()
        self.unset = Unset()
        self.spared = Spared(on=settings.disk == "on_outage")
        self.recorded: dict[str, int] = {}  #: by device, when earlier runs appended their last record, or later
        self.adopted = False  #: what the file knew is taken over, and the time before this run declared
        self.unknown_loss: tuple[str, int] | None = None  #: reason and time, where a file could not be read at all

    # --- appending ----------------------------------------------------------------------------------------------------

    @property
    def limit(self) -> int:
        """Bytes the outbox may hold now."""
        return allowed(self.settings.max_bytes, self.settings.min_free_disk, self.free_disk, self.file)

    def filled(self, pages: int, vacant: int) -> None:
        """So the file is, after a commit or when it was opened."""
        self.file = File(pages, vacant, self.bytes - self.ring.bytes - self.spared.bytes)

    def append_batch(self, batch: Batch, packed: bytes) -> None:
        """A number is used up whatever happens; then the batch waits, or is dropped and declared."""
        track, now = self.book.of(batch.device), self.clock.now_ms()
        seq = track.stream.next
        track.stream.next = seq + 1
        if seq == 1 and self.unknown_loss is not None:
            reason, until = self.unknown_loss
            unknown = Gap(id=ulid(now), kind="lost", device=batch.device, from_ts=0, to_ts=until, reason=reason)
            self.declare(track, unknown)
        readings, size = len(batch.readings), len(packed)
        self.appended += size
        newest = self.settings.when_full == "drop_newest"
        # A session begins with snapshots, also where a full outbox drops the newest: a quarter more is for them.
        if newest and self.bytes + size > (self.limit * 5 // 4 if batch.snapshot else self.limit):
            self._lose("dropped", track, seq, now, readings)
            return
        offset = offset_of(self.clock) if batch.clock is not None else None
        self.records += 1
        self.bytes += size
        if self.ring.add(Waiting(track, seq, now, batch, packed, self.session, readings, 0, offset)):
            self._overflow(newest=newest)

    def _overflow(self, *, newest: bool) -> None:
        while self.ring.full and self.ring.batches:
            lost = self.ring.pop(newest=newest)
            self.records -= 1
            self.bytes -= len(lost.packed)
            self._no_longer_late(lost)
            self._lose("overflow", lost.track, lost.seq, lost.ts, lost.readings)

    def append_gap(self, gap: Gap) -> None:
        """A loss somebody else has noticed."""
        self.declare(self.book.of(gap.device, gap.epoch), gap)

    def declare(self, track: Track, gap: Gap) -> None:
        """Put a gap of a stream in line for the next transaction."""
        if self.ring.declare(track, gap, self.clock.now_ms(), self.session):
            self.records += 1

    def _lose(
        self, kind: GapKind, track: Track, seq: int, ts: int, readings: int, reason: str | None = None,
        *, late: bool = False,
    ) -> None:  # fmt: skip
        gap = gap_of(kind, track.stream, seq, ts, readings, now_ms=self.clock.now_ms(), reason=reason)
        gap.late = late
        self.declare(track, gap)
        self.dropped += 1
        self.losses.add(kind, track.stream.device, ts, readings, self.clock.monotonic())

    def _no_longer_late(self, waiting: Waiting) -> bool:
        if self.lanes is None or waiting.session == self.lanes.session:
            return False
        self.late -= 1
        return True

    # --- a reader's doings --------------------------------------------------------------------------------------------

    def cut(self) -> Lanes:
        """A new session: what is on disk is its backlog, and what waits for its commit will be."""
        self.session += 1
        self.late = len(self.ring) + self.committing + len(self.spared)
        max_bytes, max_records = self.lane_bounds
        self.lanes = Lanes(
            last_row=self.last_committed,
            left=max(0, self.records - self.late),
            session=self.session,
            max_bytes=max_bytes,
            max_records=max_records,
        )
        return self.lanes

    def is_gone(self, row: int) -> bool:
        """Whether a row on disk is as good as deleted."""
        return row in self.acked or row in self.doomed or row in self.refused

    def told(self, records: Iterable[Record]) -> None:
        """They are handed out: a gap cannot grow any more, a batch keeps its times."""
        for record in records:
            content = record.content
            if isinstance(content, Gap):
                known = self.open_gaps.get(key_of(content))
                if known is not None and known.row == record.row:
                    del self.open_gaps[key_of(content)]
            elif content.clock is not None and self.unset:
                self.unset.told.add(record.row)

    def ack(self, record: Record) -> None:
        """The broker has it."""
        if record.resent:
            self.again.acked[record.row] = None
            self.again.left -= 1
            return
        number = self.book.holder(record.stream).id
        if isinstance(record.content, Gap):
            if (numbers := declares(record.content)) is not None:
                self.declared.append((number, *numbers))  # a file of version 1 does not know them yet
        elif self.unset.told:  # whoever kept the record for a while may have emptied it
            self.unset.told.discard(record.row)
        if not (self.spared.on and self.spared.acked(record.row)):
            self.acked[record.row] = number
        self.records -= 1
        self.bytes -= record.size

    def refuse(self, record: Record, reason: str) -> None:
        """The broker will never have it. A gap is not given up: it stays, for the next session."""
        if record.resent:
            self.refuse_again(record, reason)
        elif record.seq:
            track = self.book.holder(record.stream)
            self._to_quarantine(record.row, record.size, track, reason)
            readings = len(record.content.readings) if isinstance(record.content, Batch) else 0
            self._lose("quarantined", track, record.seq, record.ts, readings, reason)

    def refuse_again(self, record: Record, reason: str) -> None:
        """Sent once more, it is refused: it was acknowledged once, so `low` stays where it is."""
        self.again.refused[record.row] = reason
        self.again.left -= 1
        readings = len(record.content.readings) if isinstance(record.content, Batch) else 0
        self._lose("quarantined", self.book.holder(record.stream), record.seq, record.ts, readings, reason, late=True)

    def unreadable(self, row: Row) -> None:
        """A row on disk is not what was written."""
        track = self.book.by_id(row.stream)
        reason = "record damaged on disk"
        if track is not None:
            self._to_quarantine(row.row, row.size, track, reason)
            self._lose("lost", track, row.seq, row.ts, row.readings, reason)

    def _to_quarantine(self, row: int, size: int, track: Track, reason: str) -> None:
        self.refused[row] = (reason, track.id)
        self.quarantined += 1
        self.records -= 1
        self.bytes -= size

    @property
    def in_memory(self) -> int:
        """Records that are nowhere else."""
        return len(self.ring) + len(self.spared)

    @property
    def flowing(self) -> bool:
        """Whether what is written now is not there to stay: rows wait to go, or a broker has taken all there was."""
        lanes = self.lanes
        taken = lanes is not None and lanes.next_range is None and not (lanes.live or lanes.flight or lanes.put_off)
        return taken or bool(self.acked or self.doomed or self.refused)

    def spills(self, now: float) -> bool:
        """Whether what is in memory only goes along with the next commit.

        For acknowledgements alone it does not: each record that went along would have its own acknowledgement written,
        which took the next one along, and nothing would ever be spared.
        """
        waits = self.ring or self.doomed or self.refused or self.memo.dirty
        return bool(waits) or self.spared.due(self.lanes, now)

    # --- bounds -------------------------------------------------------------------------------------------------------

    def may_drop(self, row: int) -> bool:
        """What is in flight is never dropped: it may be with the broker already."""
        return not self.is_gone(row) and (self.lanes is None or row not in self.lanes.flight)

    def drop(self, row: Row, kind: GapKind) -> None:
        """Give up a row on disk. It goes, and its gap is written, in the next transaction."""
        track = self.book.by_id(row.stream)
        if track is None:
            return
        if self.lanes is not None:
            self.lanes.withdraw([row.row])
        self.doomed[row.row] = row.stream
        self.records -= 1
        self.bytes -= row.size
        self._lose(kind, track, row.seq, row.ts, row.readings)
