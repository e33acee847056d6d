"""The readings of a batch as columns, where it was made of whole ones: nobody has to take them apart again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct


class ColumnLayout(Struct, eq=False):
    """What every scan of the same tags repeats. Known by identity: what it comes to elsewhere is made once."""

    tags: tuple[str, ...]  #: each of them once
    units: tuple[str | None, ...] | None = None  #: None: none has one
    packed: Any = None  #: the outbox's own (outbox/whole.py) …
    cuts: Any = None  #: … and again (outbox/split.py)


class ReadingColumns(Struct, eq=False, gc=False):
    """Readings that are all good, and have nothing else to say. They say the same as the batch's `readings`."""

    layout: ColumnLayout
    values: Sequence[object]
    ts: Sequence[int] | int  #: one int stands for all
    src: Sequence[int | None] | None = None
    labels: Sequence[str | None] | None = None  #: None: none has one
    parts: Sequence[ReadingColumns] = ()  #: of several answers, in order: what these were joined of
