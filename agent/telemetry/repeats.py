"""Say a repeating fact rarely: at once, then at most once a minute, after ten minutes every ten."""

from __future__ import annotations

from collections.abc import Hashable

#: So many facts are kept, one for each unit of a bus and then some; beyond, the one known for longest is forgotten, and
#: is news when it comes again.
MOST_KEYS = 300

_MINUTE = 60.0
_BEGINNINGS = 3  #: of a state that comes and goes, said a minute


class Repeats:
    """Decides whether a repetition of `key` is logged now. The caller passes monotonic seconds."""

    def __init__(self, *, first: float = _MINUTE, later: float = 600.0) -> None:
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


class Flapping:
    """Decides what is logged of a state that comes and goes: at most three beginnings a minute, since a second outage
    is news, and an end where the beginning was said. While it lasts it is paced as :class:`Repeats` does. The caller
    passes monotonic seconds. `said`: its end is to be said though its beginning was not.
    """

    def __init__(self, *, said: bool = False) -> None:
        self._repeats = Repeats()
        self._begun: list[float] = []  #: when beginnings were said; no deque: 760 bytes, four a device
        self._quiet = 0
        self.said = said  #: the log's last word is that it is so

    def lasts(self, now: float, *, news: bool = True) -> int | None:
        """It is so, for the first time or still. None: keep quiet (counted if `news`). Else say it, with the count."""
        if not self.said:
            if len(self._begun) == _BEGINNINGS and now < self._begun[0] + _MINUTE:
                self._quiet += news
                return None
            self._repeats.over(None)
            self._begun = [*self._begun, now][-_BEGINNINGS:]
        repeats = self._repeats.due(None, now)
        if repeats is None:
            return None
        quiet, self._quiet = self._quiet, 0
        self.said = True
        return repeats + quiet

    def ended(self) -> bool:
        """It is not so any more. Whether to say that."""
        said, self.said = self.said, False
        return said
