"""Say a repeating fact rarely: at once, then at most once a minute, after ten minutes every ten."""

from __future__ import annotations

from collections.abc import Hashable

#: So many facts are kept, one for each unit of a bus and then some; beyond, the one known for longest is forgotten, and
#: is news when it comes again.
MOST_KEYS = 300


class Repeats:
    """Decides whether a repetition of `key` is logged now. The caller passes monotonic seconds."""

    def __init__(self, *, first: float = 60.0, later: float = 600.0) -> None:
        self._first = first
        self._later = later
        self._seen: dict[Hashable, tuple[float, float, int]] = {}  # began, last said, repeats since

    def due(self, key: Hashable, now: float) -> int | None:
        """None: keep quiet (counted). Else say it, with this many repetitions kept quiet since the last time."""
        if key not in self._seen:
            if len(self._seen) >= MOST_KEYS:
                del self._seen[next(iter(self._seen))]
            self._seen[key] = (now, now, 0)
            return 0
        began, said, repeats = self._seen[key]
        every = self._first if now - began < self._later else self._later
        if now - said < every:
            self._seen[key] = (began, said, repeats + 1)
            return None
        self._seen[key] = (began, now, 0)
        return repeats

    def over(self, key: Hashable) -> int:
        """The fact ended: forget it; how many repetitions were never said."""
        return self._seen.pop(key, (0.0, 0.0, 0))[2]
