"""Batches cut to what one message may carry, before they get their sequence number; packed once for all routes."""

from __future__ import annotations

import sys
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate

import msgspec
from msgspec import structs

from agent.core.columns import ColumnLayout, ReadingColumns
from agent.core.flow import MAX_BATCH_READINGS, Batch, Reading
from agent.core.sizes import least, over
from agent.outbox.file.pack import columns, make_storable, pack_columns, spoilt, squeezed
from agent.outbox.weights import NUMBERS, sizes, total, values_weight
from agent.outbox.whole import pack_whole, repeated

#: Envelope of a message, topic included, bytes.
ENVELOPE = 768
#: A batch and its bytes.
Piece = tuple[Batch, bytes]


def plan(weights: Sequence[int], limit: int, most: int = MAX_BATCH_READINGS) -> list[tuple[int, int]]:
    """Where to cut: ranges in order, each at most `limit` bytes and `most` readings, of about equal weight.

    A reading that may be larger than the limit stands alone.
    """
    n = len(weights)
    sums = list(accumulate(weights, initial=0))
    parts = max(-(-sums[-1] // max(1, limit)), -(-n // most), 1)
    aim = -(-sums[-1] // parts)
    ranges = []
    start = 0
    while start < n:
        base = sums[start]
        end = min(bisect_left(sums, base + aim), bisect_right(sums, base + limit) - 1, start + most, n)
        end = max(end, start + 1)
        ranges.append((start, end))
        start = end
    return ranges


def pieces(batch: Batch, max_bytes: int) -> list[Piece]:
    """The batch, or what it is cut into, each with its bytes. The batch itself is never changed; raises nothing."""
    limit, c = max(1, max_bytes - ENVELOPE), batch.columns
    try:
        if c is not None and (packed := pack_whole(batch, c, limit)) is not None:
            return [(batch, packed)]
        return (None if c is None else _cut(batch, c, limit)) or _pieces(batch, max_bytes)
    except (OverflowError, TypeError, ValueError, UnicodeError, RecursionError, msgspec.MsgspecError):
        return _pieces(make_storable(batch), max_bytes)


def _pieces(batch: Batch, max_bytes: int) -> list[Piece]:
    limit = max(1, max_bytes - ENVELOPE)
    c = columns(batch.readings)
    n = len(c.tag)
    if n <= MAX_BATCH_READINGS and total(c) <= limit:
        return [(batch, pack_columns(batch, c))]
    weights = sizes(c)
    if max(weights) > limit and (fit := fitting(batch, max_bytes)) is not batch:
        return _pieces(fit, max_bytes)
    ranges = plan(weights, limit)
    if len(ranges) <= 1:
        return [(batch, pack_columns(batch, c))]
    result = []
    for start, end in ranges:
        part = c.part(start, end)
        piece = _piece(batch, start, end)
        piece.bad, piece.uncertain = part.quality.count("bad"), part.quality.count("uncertain")
        result.append((piece, pack_columns(piece, part)))
    return result


def _cut(batch: Batch, c: ReadingColumns, limit: int) -> list[Piece] | None:
    """Numbers of the same tags are cut at the same places in every scan; None where a look at each is needed."""
    if c.src is not None or c.labels is not None or values_weight(c.values):
        return None
    layout = c.layout
    if layout.cuts is None or layout.cuts[0] != limit:
        layout.cuts = limit, _cuts(layout, limit)
    result = []
    for start, end, part in layout.cuts[1]:
        piece = batch if end - start == len(c.values) else _piece(batch, start, end)
        ts = c.ts if isinstance(c.ts, int) else c.ts[start:end]
        packed = pack_whole(piece, ReadingColumns(part, c.values[start:end], ts), sys.maxsize)
        if packed is None:
            return None
        result.append((piece, packed))
    return result


def _cuts(layout: ColumnLayout, limit: int) -> list[tuple[int, int, ColumnLayout]]:
    weights = sizes(repeated(layout))
    if max(weights) > limit:
        return []
    cuts = []
    for start, end in plan(weights, limit):
        units = None if layout.units is None else layout.units[start:end]
        told = units is not None and units.count(None) < end - start
        cuts.append((start, end, ColumnLayout(layout.tags[start:end], units if told else None)))
    return cuts


def _piece(batch: Batch, start: int, end: int) -> Batch:
    return structs.replace(batch, readings=batch.readings[start:end], columns=None)


def fitting(batch: Batch, most: int) -> Batch:
    """The batch, every value bad that takes more than this in whatever form.

    No payload can carry it, so it is not kept: a device that sends nothing else would fill memory and disk with it.
    """
    if all(type(reading.value) in NUMBERS or least(reading.value) <= most for reading in batch.readings):
        return batch

    def why(reading: Reading) -> str | None:
        size = least(reading.value)
        return over(size, most) if size > most else None

    return spoilt(batch, why)


class Packer:
    """Packs a batch once, however many routes append it.

    Remembers the last one by identity: routes append one after the other, without an await in between. With `small`
    the bytes are deflated.
    """

    def __init__(self) -> None:
        self._last: Batch | None = None
        self._made: dict[tuple[int, bool], list[Piece]] = {}

    def __call__(self, batch: Batch, max_bytes: int, /, *, small: bool = False) -> list[Piece]:
        if batch is not self._last:
            self._last, self._made = batch, {}
        result = self._made.get((max_bytes, small))
        if result is None:
            result = pieces(batch, max_bytes)
            if small:
                result = [(piece, squeezed(packed)) for piece, packed in result]
            self._made[max_bytes, small] = result
        return result
