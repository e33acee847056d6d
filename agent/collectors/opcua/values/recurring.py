"""What is known of tags that come together again and again: a polled chunk, a subscription that tells all it has.

Known by identity: the same tuple object. Pure.
"""

from __future__ import annotations

#: Tags in a set worth remembering. Where values change one by one most sets come once, and each takes 0.7 kB.
FEWEST = 8
_PER_TAG = 2  #: so often a tag is remembered: chunks overlap only where they are read anew


class Together:
    """Some tags, and what their answer was last time: plain numbers all of them."""

    __slots__ = ("judged", "kinds", "rows", "sources", "tags", "ticks")

    def __init__(self, tags: tuple[int, ...]) -> None:
        self.tags = tags
        self.rows = rows_of(tags)
        self.kinds: list[int] = []
        self.ticks: list[int | None] = []
        self.sources: list[int] | None = None  #: what these ticks are …
        self.judged = 0  #: … as of then, epoch ms

    def again(self, ticks: list[int | None], now_ms: int) -> list[int] | None:
        """Their source times where they stand still. A clock that was set back judges anew."""
        still = self.sources is not None and now_ms >= self.judged and ticks == self.ticks
        return self.sources.copy() if still and self.sources is not None else None


class Recurring:
    """Of one device. Bounded: about as many tags as there are."""

    def __init__(self) -> None:
        self._known: dict[int, Together] = {}  # by the id of their tuple, which lives as long as this
        self._tags = 0

    def get(self, tags: tuple[int, ...]) -> Together | None:
        """None where they have not come together lately."""
        return self._known.get(id(tags))

    def add(self, tags: tuple[int, ...], size: int) -> Together:
        """They have come together; `size`: of the tag table."""
        self._tags += len(tags)
        if self._tags > _PER_TAG * size:
            self.forget()
            self._tags = len(tags)
        made = self._known[id(tags)] = Together(tags)
        return made

    def forget(self) -> None:
        """All of it."""
        self._known.clear()
        self._tags = 0


def rows_of(tags: tuple[int, ...]) -> slice | None:
    """Where they stand in a table of all tags, if they stand there side by side."""
    if not tags or tags[-1] - tags[0] != len(tags) - 1:
        return None
    rows = range(tags[0], tags[-1] + 1)
    return slice(rows.start, rows.stop) if tags == tuple(rows) else None
