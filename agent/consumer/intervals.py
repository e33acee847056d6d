"""Sets of whole numbers as intervals: memory follows the holes, not the numbers. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator


class IntervalSet:
    """Half-open intervals, sorted, apart from each other.

    starts: [ 1,      8, 20 ]
    ends:   [ 5,     12, 21 ]      holds 1-4, 8-11, 20
    """

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def add(self, first: int, end: int | None = None) -> None:
        """Add [first, end); one number where `end` is left out. An empty interval adds nothing."""
        end = first + 1 if end is None else end
        if end <= first:
            return
        if self._ends and first == self._ends[-1]:  # the usual case: numbers arrive in order
            self._ends[-1] = end
            return
        left = bisect_left(self._ends, first)
        right = bisect_right(self._starts, end)
        if left < right:
            first = min(first, self._starts[left])
            end = max(end, self._ends[right - 1])
        self._starts[left:right] = [first]
        self._ends[left:right] = [end]

    def __contains__(self, number: int) -> bool:
        place = bisect_right(self._starts, number) - 1
        return place >= 0 and number < self._ends[place]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(zip(self._starts, self._ends, strict=True))

    def __len__(self) -> int:
        """How many intervals: what it costs."""
        return len(self._starts)

    def holes(self, first: int, end: int) -> Iterator[tuple[int, int]]:
        """Intervals of [first, end) that are not held, in order."""
        place = bisect_right(self._ends, first)
        while first < end:
            start = self._starts[place] if place < len(self._starts) else end
            if start > first:
                yield first, min(start, end)
            if place >= len(self._starts):
                return
            first = max(first, self._ends[place])
            place += 1

    def copy(self) -> IntervalSet:
        """An independent one."""
        twin = IntervalSet()
        twin._starts, twin._ends = self._starts.copy(), self._ends.copy()
        return twin
