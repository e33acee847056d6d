"""The columns of several answers, or of tags of several kinds, as the columns of one batch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from agent.core.columns import ColumnLayout, ReadingColumns

#: A device has a batch for each set of poll groups that fall due together: so many of them are remembered.
_REMEMBERED = 16


class Joined:
    """Of one device. The same layouts in the same order are the same layout."""

    def __init__(self) -> None:
        self._layouts: dict[tuple[ColumnLayout, ...], ColumnLayout] = {}

    def __call__(self, parts: Sequence[ReadingColumns]) -> ReadingColumns:
        """All of them as one."""
        ts = parts[0].ts
        return ReadingColumns(
            self._layout(tuple([part.layout for part in parts])),
            list(chain.from_iterable([part.values for part in parts])),
            ts if isinstance(ts, int) and all(part.ts == ts for part in parts) else _times(parts),
            None if all(part.src is None for part in parts) else _sources(parts),
            None if all(part.labels is None for part in parts) else _labels(parts),
            parts,
        )

    def _layout(self, parts: tuple[ColumnLayout, ...]) -> ColumnLayout:
        known = self._layouts.get(parts)
        if known is None:
            if len(self._layouts) >= _REMEMBERED:
                self._layouts.clear()
            tags = tuple(chain.from_iterable(part.tags for part in parts))
            units = tuple(chain.from_iterable(part.units or [None] * len(part.tags) for part in parts))
            known = self._layouts[parts] = ColumnLayout(tags, units if any(units) else None)
        return known


def _times(parts: Sequence[ReadingColumns]) -> list[int]:
    each = ([part.ts] * len(part.values) if isinstance(part.ts, int) else part.ts for part in parts)
    return list(chain.from_iterable(each))


def _sources(parts: Sequence[ReadingColumns]) -> list[int | None]:
    return list(chain.from_iterable(part.src or [None] * len(part.values) for part in parts))


def _labels(parts: Sequence[ReadingColumns]) -> list[str | None]:
    return list(chain.from_iterable(part.labels or [None] * len(part.values) for part in parts))
