"""Batches of whole columns, packed without being taken apart: what every scan of a device repeats is packed once.

The slow twin is `pack_columns`; the bytes are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Raw
from msgspec.msgpack import encode

from agent.core.columns import ColumnLayout, ReadingColumns
from agent.core.flow import MAX_BATCH_READINGS, Batch
from agent.outbox.file.pack import OPTIONAL, PackedReadings, pack_parts, relative, squeeze
from agent.outbox.weights import KEY, NUMBER, texts_weight, total, values_weight

_GOOD = [0, "good"]
_SRC, _UNIT, _LABEL = OPTIONAL.index("src"), OPTIONAL.index("unit"), OPTIONAL.index("label")


#: Remembered with a layout: the packed tags, the packed units, and what they weigh.
Prepared = tuple[Raw, dict[int, Any], int]


def pack_whole(batch: Batch, c: ReadingColumns, most: int) -> bytes | None:
    """The bytes of the batch; None where it has to be cut: more than `most` bytes of JSON, or too many readings."""
    known: Prepared = c.layout.packed or _prepared(c.layout)
    tags, optional, weight = known
    n, src = len(c.values), c.src
    if src is not None and src.count(None) < n:
        weight += n * (KEY + NUMBER)
        optional = {_SRC: relative(src, batch.ts), **optional}
    if c.labels is not None:
        weight += texts_weight(c.labels)
        optional = {**optional, _LABEL: squeeze(c.labels)}
    if n > MAX_BATCH_READINGS or weight + values_weight(c.values) > most:
        return None
    times = [0, c.ts - batch.ts] if isinstance(c.ts, int) else _times(c, c.ts, batch.ts)
    return pack_parts(batch, n, tags, c.values, times, _GOOD, optional)


def _times(c: ReadingColumns, ts: Sequence[int], base: int) -> list[Any]:
    """As `relative` has them, without a look at each where they are a few, one for each answer."""
    times, n = [part.ts for part in c.parts], len(c.values)
    if n <= 8 or not 0 < len(times) <= min(32, n // 2) or set(map(type, times)) != {int}:
        return relative(ts, base)
    index: dict[Any, int] = {}
    places = [bytes((index.setdefault(part.ts, len(index)),)) * len(part.values) for part in c.parts]
    return [1, [ts - base for ts in index], b"".join(places)]


def repeated(layout: ColumnLayout) -> PackedReadings:
    """What every scan repeats: tags and units."""
    units = None if layout.units is None else list(layout.units)
    return PackedReadings(
        list(layout.tags), [], [], [], [units if number == _UNIT else None for number in range(len(OPTIONAL))]
    )


def _prepared(layout: ColumnLayout) -> Prepared:
    c = repeated(layout)
    units = c.optional[_UNIT]
    packed = {} if units is None else {_UNIT: Raw(encode(squeeze(units)))}
    layout.packed = made = Raw(encode(squeeze(c.tag))), packed, total(c)
    return made
