"""Back-off with full jitter: how long to stay away from a peer that failed. Pure; the caller sleeps."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Delays uniform in (0, min(cap, first * 2**n)].

    The exponent falls back only after a run that carried data, or that stayed healthy longer than the last ceiling.

    Full jitter, so that a plant whose broker restarts does not come back in one wave; the reset rule, so that a peer
    that accepts and drops at once does not turn the first delay into a loop.
    """

    def __init__(
        self, *, first: float = 1.0, cap: float = 60.0, uniform: Callable[[float, float], float] = random.uniform
    ) -> None:
        self._first = first
        self._cap = cap
        self._uniform = uniform
        self._failures = 0

    @property
    def ceiling(self) -> float:
        """Longest delay the last failure could have drawn, seconds; 0 before any failure."""
        if not self._failures:
            return 0.0
        return min(self._cap, self._first * 2.0 ** min(self._failures - 1, 32))

    def reset(self) -> None:
        """The next failure is as good as the first: what stood in the way may have changed."""
        self._failures = 0

    def failed(self, healthy_for: float, *, at_least: float = 0.0, carried: bool = False) -> float:
        """Seconds to wait before the next attempt, after a run healthy for `healthy_for` seconds (0: never).

        `carried`: it did what it is for, however short it was.
        """
        if carried or healthy_for > self.ceiling:
            self._failures = 0
        self._failures += 1
        return max(at_least, self._uniform(self.ceiling * 0.05, self.ceiling))
