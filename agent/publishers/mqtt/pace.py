"""How fast messages go, and how fast they may. Pure; times are monotonic seconds."""

from __future__ import annotations

#: So many seconds' worth may go at once after a pause.
BURST = 1.0


class Pace:
    """Messages of one session. `rate`: messages per second the broker puts up with; None: as fast as they come."""

    def __init__(self, rate: float | None) -> None:
        self.peak = 0  #: most messages sent in one second
        self._rate = rate
        self._due = 0.0
        self._second, self._count = 0, 0

    def early(self, now: float) -> float:
        """Take the next turn; how long it is until then (not above 0: now)."""
        if self._rate is None:
            return 0.0
        each = 1 / self._rate
        self._due = max(self._due, now - max(BURST, each)) + each
        return self._due - now

    def sent(self, now: float) -> None:
        """A message is written."""
        if int(now) != self._second:
            self._second, self._count = int(now), 0
        self._count += 1
        self.peak = max(self.peak, self._count)
