"""Whether a gateway has a path to what is behind it. Pure but for the clock.

Exception 0A says that the gateway is misconfigured or overloaded: that concerns every unit behind it, so nobody asks it
for a while. But where it reaches some units and has no path to another, it is the other's affair alone.
"""

from __future__ import annotations

from agent.core.backoff import Backoff
from agent.core.clock import Clock

NO_PATH = 0x0A  #: exception code "gateway path unavailable"
NOT_THERE = (NO_PATH, 0x0B)  #: what a gateway says for a unit that did not answer it; 0B: "target failed to respond"
_PROVES = 60.0  #: seconds for which an answer of another unit proves that there is a path
_FRESH = 5.0  #: likewise, of the same unit


class PathBehind:
    """The path of one connection."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._backoff = Backoff(first=1.0, cap=15.0)
        self._reached: dict[int, float] = {}  #: units whose newest answer came through, and when
        self._open_since = 0.0
        self._until = 0.0

    @property
    def closed(self) -> bool:
        """Nobody is to be asked now: the answer would be 0A."""
        return self._until > 0 and self._clock.monotonic() < self._until

    def answered(self, unit: int, code: int, now: float) -> None:
        """A unit answered, or the gateway for it."""
        if code != NO_PATH:
            if not self._reached:
                self._open_since = now
            self._reached[unit] = now
            return
        if self._reached.get(unit, -_FRESH) > now - _FRESH:
            return  # what was asked just before came through: it is this request that has no path
        self._reached.pop(unit, None)
        if not any(when > now - _PROVES for when in self._reached.values()):
            self._until = now + self._backoff.failed(now - self._open_since if self._open_since else 0.0)
            self._open_since = 0.0

    def silent(self, unit: int) -> None:
        """A unit kept silent: it proves nothing about the path any more."""
        self._reached.pop(unit, None)
