"""How far back readings are kept."""

from __future__ import annotations

from collections.abc import Iterable

from agent.historian.items import Item, Record

#: The clock may be so far ahead of the newest live record, milliseconds.
_AHEAD = 86_400_000


class Retention:
    """By the clock, as far as live records bear it out: one that is set years ahead throws nothing away."""

    def __init__(self, seconds: float | None) -> None:
        self.ms = None if seconds is None else round(seconds * 1000)
        self._newest: int | None = None  #: when the newest live record was committed

    def hear(self, items: Iterable[Item]) -> None:
        """They are about to be stored."""
        live = [one.ts for one in items if isinstance(one, Record) and not one.historical]
        self._newest = max([*live, *([] if self._newest is None else [self._newest])], default=None)

    def cutoff(self, now_ms: int) -> int | None:
        """What is older goes; None: nothing does."""
        if self.ms is None or self._newest is None:
            return None
        return min(now_ms, self._newest + _AHEAD) - self.ms
