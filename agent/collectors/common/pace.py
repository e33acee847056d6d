"""How well a poll group keeps its interval, over the last minute or its last five cycles, whichever is longer. Pure."""

from __future__ import annotations

#: What is looked back on: so many seconds, or so many cycles where that is longer.
SPAN_SECONDS, SPAN_CYCLES = 60.0, 5
_PARTS = 12  #: the span is forgotten in parts


class CyclePace:
    """Counts cycles of one group: those that were due, and those of them that were skipped."""

    def __init__(self, interval: float, start: float) -> None:
        self._interval = interval
        self._cycles = max(SPAN_SECONDS / interval, SPAN_CYCLES)  #: in a whole span
        self._seconds = self._cycles * interval / _PARTS  #: of a part
        self._start = start
        self._at = self._part = 0  #: parts since the start; which of them it is
        self._until = start + self._seconds  #: when the next one begins
        self._begun = False
        self._due = [0] * _PARTS
        self._skipped = [0] * _PARTS

    def keep(self, now: float) -> None:
        """A cycle begins on time. A period has two ends: the first cycle that ever begins counts as none."""
        if now >= self._until:
            self._forget(now)
        if self._begun:
            self._due[self._part] += 1
        self._begun = True

    def skip(self, now: float, cycles: int, *, begins: bool) -> None:
        """So many cycles have become due; all are skipped but the last one, where that begins."""
        if begins:
            self.keep(now)
            cycles -= 1
        elif now >= self._until:
            self._forget(now)
        self._due[self._part] += cycles
        self._skipped[self._part] += cycles

    def _forget(self, now: float) -> None:
        """Another part of the span begins: what was counted in it a span ago is forgotten, and in those left out."""
        at = int((now - self._start) / self._seconds)
        for gone in range(self._at + 1, min(at, self._at + _PARTS) + 1):
            self._due[gone % _PARTS] = self._skipped[gone % _PARTS] = 0
        self._at = at = max(at, self._at)
        self._part = at % _PARTS
        self._until = self._start + (at + 1) * self._seconds

    @property
    def stretch(self) -> float:
        """Period reached over interval: 1 where no cycle of the span was skipped."""
        due, skipped = sum(self._due), sum(self._skipped)
        return due / (due - skipped) if due > skipped else due + 1.0

    @property
    def met(self) -> float:
        """Share of the span's cycles that were not skipped. What lies before the first cycle counts as met."""
        return 1.0 - sum(self._skipped) / self._cycles
