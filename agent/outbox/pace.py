"""When the next transaction begins: at once while little comes, gathered while records come thick. Pure.

    little   ──●─────────────────●──────────▶   each record is committed as it comes
    groups   ──●●●|──────────────●●●|───────▶   one transaction for a group, once nothing more of it comes
    thick    ──●─●●──●─●●|─●●─●──●●●|───────▶   one transaction for what 50 ms bring

A transaction costs about as much as twenty records in it. Without a pause the first record would get one of its own,
and so would each record behind it. Times are monotonic seconds.
"""

from __future__ import annotations

from math import exp

#: After a transaction the next one waits this long (seconds), by durability.
PACE = {"memory": 0.005, "commit": 0.005, "fsync": 0.1}
#: So many records a second are thick: two of them fall into the time that is gathered.
THICK = 40.0
#: Thick records are gathered for this long at most, counted from the first of them, seconds.
GATHER = 0.05
#: Devices that are read at one instant answer one after the other: what is still coming is waited for, seconds.
QUIET = 0.008
#: The same where records come in small groups, as was seen: one came right behind a transaction, seconds.
MOMENT = 0.003
#: So many packed bytes are worth a transaction at once: half of what the live lane is given from memory.
ENOUGH_BYTES = 64 << 10

_SPAN = 1.0  #: seconds over which records are counted, the newest most


class CommitPace:
    """Of one outbox."""

    def __init__(self) -> None:
        self._rate = 0.0  #: records a second, as of the newest
        self._newest = self._began = float("-inf")
        self._first: float | None = None  #: of those that are gathered
        self._took = float("-inf")  #: when the newest transaction with records began
        self._grouped = False  #: the next record is likely to have company: the last one had, or missed it

    def appended(self, now: float) -> None:
        """A record has come."""
        self._rate = self._rate * exp((self._newest - now) / _SPAN) + 1.0
        self._newest = now
        if self._first is None:
            self._first = now
            self._grouped |= now - self._took < QUIET

    def begins(self, now: float) -> None:
        """A transaction takes all that is there."""
        if self._first is not None:
            self._grouped &= self._newest > self._first
            self._took = now
        self._began, self._first = now, None

    def rest(self, now: float) -> float:
        """Seconds to wait for more before the next transaction; 0 or less: none."""
        if self._first is None:
            return 0.0
        if self._rate < THICK:
            return min(self._newest + MOMENT, self._first + GATHER) - now if self._grouped else 0.0
        return min(max(self._began + GATHER, self._newest + QUIET), self._first + GATHER) - now
