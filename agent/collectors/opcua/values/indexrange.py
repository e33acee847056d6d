"""Parts of arrays (OPC 10000-4, 7.27). Pure.

`"3"`, `"2,3"` one element, given as a plain value; `"0:9"` ten of them; `"0:1,2:3"` a part of a matrix.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

_PART = re.compile(r"(\d+)(?::(\d+))?")


class IndexRange(NamedTuple):
    """`sizes`: the most elements each dimension may have."""

    text: str
    sizes: tuple[int, ...]

    @property
    def single(self) -> bool:
        """One element of an array or a matrix: its tag has a plain value."""
        return set(self.sizes) == {1} and ":" not in self.text


def parse_index_range(text: str) -> IndexRange:
    """Raises ValueError that says what to write instead."""
    sizes = []
    for part in text.split(","):
        match = _PART.fullmatch(part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
        if match is None or last < first or (match[2] and last == first):
            raise ValueError(f'{text!r} is not an index range; write "3", "0:9" or "0:1,2:3"')
        sizes.append(last - first + 1)
    return IndexRange(text, tuple(sizes))


class IgnoredError(Exception):
    """The server gave more than was asked for."""


def within(part: IndexRange, inner: Callable[[Any], object] | None) -> Callable[[Any], object]:
    """A converter for values of this part. A server that ignores the range must not fill the tag with the rest."""

    def convert(value: Any) -> object:
        rows = value
        for size in part.sizes:
            if not isinstance(rows, list | tuple | str | bytes):
                break
            if len(rows) > size:
                raise IgnoredError(f"the server ignores the index range {part.text}")
            rows = rows[0] if rows else None
        made = value if inner is None else inner(value)
        for _ in part.sizes if part.single else ():
            if isinstance(made, list) and len(made) <= 1:
                made = made[0] if made else None
        return made

    return convert
