"""How many scans of a device were due, by its intervals: also while it cannot be reached. Pure.

What was done and what was skipped the collector counts; nobody but the clock counts what an absent device owes.
"""

from __future__ import annotations

from collections.abc import Sequence


class Owed:
    """Counts what the poll groups of one device ask for. Times are monotonic seconds."""

    def __init__(self, intervals: Sequence[float], now: float) -> None:
        self._intervals = intervals
        self._began = now
        self._counted = 0

    def more(self, now: float) -> int:
        """Scans that have become due since this was asked last; the first ones are due at once."""
        since, total = now - self._began, 0
        for interval in self._intervals:
            total += int(since / interval) + 1
        fresh, self._counted = total - self._counted, total
        return fresh
