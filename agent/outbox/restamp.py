"""Times that were taken before the wall clock was set, put right once it is. Pure.

What a clock shows while it is not set is off by one amount until somebody sets it. That amount is known in this run:
how far the wall clock stands from the monotonic one, then and now. So a record that nobody has been handed yet gets the
right times; one that was handed out keeps its content for ever, and its mark.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from agent.core.clock import Clock
from agent.core.flow import Batch, Reading

#: Steps of the wall clock below this are drift being corrected, milliseconds.
STEP_MS = 1000
#: A reading stamped by the agent lies this close before the end of its batch; others have a source's time.
_NEAR_MS = 600_000


class Unset:
    """Rows of this run whose times are those of a clock that was not set, as ranges with the clock's offset."""

    def __init__(self) -> None:
        self._ranges: list[tuple[int, int, int]] = []  # first row, last row, wall minus monotonic
        self.told: set[int] = set()  #: rows handed out and not acknowledged: they stay as they are

    def __bool__(self) -> bool:
        return bool(self._ranges)

    def add(self, row: int, offset: int) -> None:
        """A row was committed. Rows come in rising order; those in between are looked at and left alone."""
        if self._ranges and abs(self._ranges[-1][2] - offset) < STEP_MS:
            self._ranges[-1] = (self._ranges[-1][0], row, self._ranges[-1][2])
        else:
            self._ranges.append((row, row, offset))

    def next(self) -> tuple[int, int, int] | None:
        """The range to look at next."""
        return self._ranges[0] if self._ranges else None

    def passed(self, row: int | None) -> None:
        """Everything of the first range up to `row` is done; None: all of it."""
        first, last, offset = self._ranges[0]
        if row is None or row >= last:
            self._ranges.pop(0)
        else:
            self._ranges[0] = (max(first, row + 1), last, offset)


def offset_of(clock: Clock) -> int:
    """Wall clock minus monotonic clock, milliseconds: constant until the wall clock is set."""
    return clock.now_ms() - round(clock.monotonic() * 1000)


def restamped(batch: Batch, correction: int) -> Batch:
    """The batch as a clock that was set would have made it. Times of a source are left alone."""
    near = min(abs(correction) // 2, _NEAR_MS)
    return Batch(
        batch.device, batch.ts + correction, list(_readings(batch, correction, near)), batch.cat, batch.snapshot, None,
        batch.bad, batch.uncertain, batch.backfill,
    )  # fmt: skip


def _readings(batch: Batch, correction: int, near: int) -> Iterator[Reading]:
    for reading in batch.readings:
        if abs(batch.ts - reading.ts) <= near:
            yield msgspec.structs.replace(reading, ts=reading.ts + correction)
        else:
            yield reading
