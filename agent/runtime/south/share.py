"""How much of the event loop one device may take for what it says, where others live in it. Pure."""

from __future__ import annotations

_COUNTS = 3  #: a third of it: a second of work takes up so many …
_MOST_OWED = 0.1  #: … and what is owed beyond this is rested, seconds: a scan of ten thousand tags is no reason
_LONGEST = 1.0


class Share:
    """Of one device. A server that never stops sending, or what is slow to take, would leave the others nothing."""

    def __init__(self) -> None:
        self._free = 0.0  # when the others have had their part

    def took(self, seconds: float, now: float) -> float:
        """It took so many seconds of processor time up to now; how long it has to rest."""
        self._free = min(max(self._free, now) + seconds * _COUNTS, now + _LONGEST)
        owed = self._free - now
        return owed if owed > _MOST_OWED else 0.0
