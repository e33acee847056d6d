"""What waits in memory for its commit. Bounded: what overflows becomes a declared gap. Pure.

Normally nothing stays here longer than a commit takes. When the disk refuses, this is all there is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

import msgspec

from agent.core.flow import Batch, Gap
from agent.outbox.gaps import key_of, merged
from agent.outbox.streams import Track

#: Bounds of the ring: packed bytes, and records.
RING_BYTES = 32 << 20
RING_RECORDS = 10_000
#: Batches themselves (plain numbers take some fifteen times their packed size) are kept for the live lane up to this
#: many packed bytes; others are read back from the disk when their turn comes.
LIVE_BYTES = 128 << 10


def bare(content: Batch | Gap) -> Batch | Gap:
    """A batch without its readings, which are on the disk or on their way there. No batch is ever appended so."""
    return Batch(content.device, content.ts, [], backfill=content.backfill) if isinstance(content, Batch) else content


def is_bare(content: Batch | Gap) -> bool:
    """Whether it has to be read back."""
    return isinstance(content, Batch) and not content.readings


class Waiting(msgspec.Struct, gc=False):
    """A batch or a gap on its way to the disk."""

    track: Track
    seq: int  #: 0 for a gap
    ts: int
    content: Batch | Gap  #: bare where too much waits: it is read back from the disk
    packed: bytes  #: empty for a gap, which may still grow
    session: int  #: the cut it was appended after
    readings: int = 0
    row: int = 0
    offset: int | None = None  #: of a wall clock that was not set when it was read


class Ring:
    """First in, first out; gaps ahead of batches, so that no number is ever missing without its declaration."""

    def __init__(self, *, max_bytes: int = RING_BYTES, max_records: int = RING_RECORDS) -> None:
        self.max_bytes = max_bytes
        self.max_records = max_records
        self.batches: deque[Waiting] = deque()
        self.gaps: list[Waiting] = []
        self.bytes = 0
        self._last_gap: dict[Hashable, Waiting] = {}

    def __len__(self) -> int:
        return len(self.batches) + len(self.gaps)

    @property
    def full(self) -> bool:
        """Whether a bound is exceeded still."""
        return self.bytes > self.max_bytes or len(self.batches) > self.max_records

    @property
    def oldest_ts(self) -> int | None:
        """Of the oldest batch."""
        return self.batches[0].ts if self.batches else None

    def add(self, waiting: Waiting) -> bool:
        """At the end; whether a bound is exceeded now."""
        if self.bytes > LIVE_BYTES:
            waiting.content = bare(waiting.content)
        waiting.track.pending += 1
        self.bytes += len(waiting.packed)
        self.batches.append(waiting)
        return self.bytes > self.max_bytes or len(self.batches) > self.max_records

    def pop(self, *, newest: bool) -> Waiting:
        """Give one batch up."""
        waiting = self.batches.pop() if newest else self.batches.popleft()
        self.bytes -= len(waiting.packed)
        waiting.track.pending -= 1
        return waiting

    def declare(self, track: Track, gap: Gap, ts: int, session: int) -> bool:
        """Add a gap, or let the last of its cause grow. True when it is a new one."""
        key = key_of(gap)
        last = self._last_gap.get(key)
        if last is not None and isinstance(last.content, Gap) and (one := merged(last.content, gap)) is not None:
            last.content = one
            return False
        waiting = Waiting(track, 0, ts, gap, b"", session)
        track.pending += 1
        self.gaps.append(waiting)
        self._last_gap[key] = waiting
        return True

    def take(self, max_bytes: int, max_records: int) -> tuple[list[Waiting], list[Waiting]]:
        """Gaps and batches for the next transaction. They stay `pending` until the caller says what became of them."""
        gaps, self.gaps = self.gaps, []
        self._last_gap.clear()
        if self.bytes <= max_bytes and len(self.batches) <= max_records:
            batches = list(self.batches)
            self.batches.clear()
            self.bytes = 0
            return gaps, batches
        batches = []
        size = 0
        while self.batches and len(batches) < max_records and (not batches or size < max_bytes):
            waiting = self.batches.popleft()
            size += len(waiting.packed)
            batches.append(waiting)
        self.bytes -= size
        return gaps, batches

    def put_back(self, gaps: list[Waiting], batches: list[Waiting]) -> None:
        """The transaction did not happen."""
        for waiting in batches:
            self.bytes += len(waiting.packed)
        self.batches.extendleft(reversed(batches))
        self.gaps[:0] = gaps
        self._last_gap = {key_of(gap.content): gap for gap in self.gaps if isinstance(gap.content, Gap)}
