"""Which numbers of one stream a database has, and which are missing. Pure.

base     first number that must be accounted for: 1 where the stream was heard from its beginning or the agent names it
         as an earlier epoch, else the first number heard
bound    nothing below it is still on its way: the greatest of `low`, the `next` of an ended epoch, a `down` gap's end

missing = [base, bound) less what was received less what was declared lost
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from agent.consumer.contract import GapNotice
from agent.consumer.intervals import IntervalSet

#: Where an open end is written down: beyond every number (int8).
OPEN_END = 1 << 62
#: Intervals of a stream, received and declared lost together. Each transaction reads and writes them (20,000: 35 ms),
#: and whoever publishes may leave any number out; beyond, the oldest holes are given up. Half of the records lost one
#: by one, at one a second, get there in eleven hours without repair.
MOST_INTERVALS = 20_000
#: Kinds that explain a missing number; `down` and `missed` excuse a time, never a number.
DECLARING = ("dropped", "expired", "quarantined", "overflow", "lost")

Ranges = Iterable[tuple[int, int]]


class Key(NamedTuple):
    """What sequence numbers count in. Databases lock streams in this order."""

    agent: str
    epoch: str
    device: str


class Book:
    """Bookkeeping of one stream. Ranges are half-open."""

    def __init__(
        self, base: int | None = None, low: int = 1, bound: int = 1, seen: Ranges = (), declared: Ranges = ()
    ) -> None:
        self.base = base
        self.low = low
        self.bound = bound
        self.seen = _set_of(seen)
        self.declared = _set_of(declared)

    def began(self) -> None:
        """The stream is known from its very beginning."""
        self.base = 1

    def says_low(self, low: int) -> None:
        """Nothing below `low` waits at the agent. Where it is 1, nothing was sent before we listened."""
        if low == 1:
            self.base = 1
        self.low = max(self.low, low)
        self.bound = max(self.bound, self.low)

    def ended(self, following: int) -> None:
        """The epoch is over, or named by a later one: numbers below `following` exist, and nothing else will come."""
        self.bound = max(self.bound, following)

    def hear(self, seq: int, *, first: bool) -> bool:
        """Enter a record that is complete; False where it was received before. `first`: it may set the base."""
        if first and self.base is None:
            self.base = seq
        if seq in self.seen:
            return False
        self.seen.add(seq)
        return True

    def declare(self, gap: GapNotice) -> None:
        """A gap about this stream. What arrives after it was declared counts as received."""
        if gap.kind == "down":
            if gap.to_seq is not None:
                self.ended(gap.to_seq + 1)
        elif gap.kind in DECLARING and gap.from_seq is not None:
            self.declared.add(gap.from_seq, OPEN_END if gap.to_seq is None else gap.to_seq + 1)

    def close(self) -> None:
        """The store it was in is gone: nothing of it can be had any more."""
        self.declared.add(1, OPEN_END)

    def give_up(self) -> list[tuple[int, int]]:
        """Where there are too many intervals the older half counts as declared lost: what was missing, [first, end).

        Which of those numbers were received the ledger does not know any more: see `doubtful`.
        """
        if len(self.seen) + len(self.declared) <= MOST_INTERVALS:
            return []
        larger = list(self.seen if len(self.seen) > len(self.declared) else self.declared)
        first, until = larger[0][0] if self.base is None else self.base, larger[len(larger) // 2][1]
        missing = [lost for hole in self.seen.holes(first, until) for lost in self.declared.holes(*hole)]
        lowest = min(first, *(begin for begin, _ in self.seen))
        self.seen = _set_of((max(begin, until), end) for begin, end in self.seen if end > until)
        self.declared.add(lowest, until)
        return missing

    def doubtful(self, seq: int) -> bool:
        """Whether only the rows tell if it was received: it was declared lost, perhaps by `give_up`."""
        return seq in self.declared and seq not in self.seen

    def holes(self) -> Iterator[tuple[int, int]]:
        """Missing ranges [first, end), in order."""
        if self.base is None or self.base >= self.bound:
            return
        declared = self.declared
        for first, end in self.seen.holes(self.base, self.bound):
            yield from declared.holes(first, end)

    @property
    def lacking(self) -> int:
        """How many numbers are missing."""
        return sum(end - first for first, end in self.holes())


def committed_at(seen: Ranges, slots: Iterable[tuple[int, int]], seq: int) -> int | None:
    """Start of the slot of the record `seq`, or of the next one before it that came; else of the first; None: no slot.

    `slots`: when records were committed, and how many, in order. Old slots may be thrown away (the ledger is not), and
    the ledger may have given up old numbers.
    """
    slots, seen = list(slots), list(seen)
    later = sum(end - max(begin, seq + 1) for begin, end in seen if end > seq + 1)
    for slot, records in reversed(slots):
        if later < records:
            return slot
        later -= records
    return slots[0][0] if slots else None


def _set_of(ranges: Ranges) -> IntervalSet:
    found = IntervalSet()
    for first, end in ranges:
        found.add(first, end)
    return found
