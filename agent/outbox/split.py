"""Batches cut to what one message may carry, before they get their sequence number; packed once for all routes.

The estimate is an upper bound of the JSON the reference encoder makes, from the columns packing needs anyway. It is
cheap, not tight: an encoder with a fatter form still splits (`part`) what turns out too large.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Sequence
from itertools import accumulate
from operator import add

import msgspec

from agent.core.flow import MAX_BATCH_READINGS, Batch, Reading
from agent.core.sizes import least, over
from agent.outbox.file.pack import OPTIONAL, PackedReadings, columns, make_storable, pack_columns, spoilt, squeezed

#: Envelope of a message, topic included, bytes.
ENVELOPE = 768
#: {"tag":"","value":,"ts":1763760000120,"quality":"uncertain"}, and the longest number.
_PLAIN = 60 + 25
#: ,"reason":"" is the longest key around an optional value.
_KEY = 12
_NUMBERS = frozenset((float, int, bool, type(None)))

#: A batch and its bytes.
Piece = tuple[Batch, bytes]


def _text(value: str) -> int:
    # Plain ASCII is one byte a character; a control character or a quote takes up to six, anything else at most four.
    plain = value.isascii() and value.isprintable() and '"' not in value and "\\" not in value
    return len(value) if plain else 6 * len(value)


def _value(value: object) -> int:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list | tuple):
        return sum(26 + _value(item) for item in value)
    if isinstance(value, dict):
        return sum(26 + 4 + _text(name) + _value(item) for name, item in value.items())
    return 0  # a number is in _PLAIN


def _is_text(number: int) -> bool:
    return OPTIONAL[number] not in {"src", "status"}


def total(c: PackedReadings) -> int:
    """Upper bound of the JSON bytes of all readings, without looking at each."""
    n = len(c.tag)
    result = n * _PLAIN + _text("".join(c.tag))
    if not _NUMBERS.issuperset(map(type, c.value)):
        result += sum(map(_value, c.value))
    for number, column in enumerate(c.optional):
        if column is not None:
            result += n * _KEY + (_text("".join(filter(None, column))) if _is_text(number) else n * 14)
    return result


def _texts(column: list[str]) -> list[int]:
    lengths = list(map(len, column))
    joined = "".join(column)
    return lengths if _text(joined) == len(joined) else list(map(_text, column))


def sizes(c: PackedReadings) -> list[int]:
    """Upper bound of the JSON bytes of each reading."""
    result = _texts(c.tag)
    same = _PLAIN
    if not _NUMBERS.issuperset(map(type, c.value)):
        result = list(map(add, result, map(_value, c.value)))
    for number, column in enumerate(c.optional):
        if column is None:
            continue
        same += _KEY
        if not _is_text(number):
            same += 14
        else:
            result = list(map(add, result, _texts([value or "" for value in column])))
    return [size + same for size in result]


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
    try:
        return _pieces(batch, max_bytes)
    except (OverflowError, TypeError, ValueError, UnicodeError, RecursionError, msgspec.MsgspecError):
        return _pieces(make_storable(batch), max_bytes)


def _pieces(batch: Batch, max_bytes: int) -> list[Piece]:
    c = columns(batch.readings)
    n = len(c.tag)
    limit = max(1, max_bytes - ENVELOPE)
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
        piece = Batch(
            batch.device,
            batch.ts,
            batch.readings[start:end],
            batch.cat,
            batch.snapshot,
            batch.clock,
            part.quality.count("bad"),
            part.quality.count("uncertain"),
            batch.backfill,
        )
        result.append((piece, pack_columns(piece, part)))
    return result


def fitting(batch: Batch, most: int) -> Batch:
    """The batch, every value bad that takes more than this in whatever form.

    No payload can carry it, so it is not kept: a device that sends nothing else would fill memory and disk with it.
    """
    if all(type(reading.value) in _NUMBERS or least(reading.value) <= most for reading in batch.readings):
        return batch

    def why(reading: Reading) -> str | None:
        size = least(reading.value)
        return over(size, most) if size > most else None

    return spoilt(batch, why)


class Packer:
    """Packs a batch once, however many routes append it.

    Remembers the last few by identity: routes append one after the other, without an await in between. With `small`
    the bytes are deflated.
    """

    def __init__(self, remembered: int = 4) -> None:
        self._last: deque[tuple[Batch, tuple[int, bool], list[Piece]]] = deque(maxlen=remembered)

    def __call__(self, batch: Batch, max_bytes: int, /, *, small: bool = False) -> list[Piece]:
        wanted = (max_bytes, small)
        for known, how, result in self._last:
            if known is batch and how == wanted:
                return result
        result = pieces(batch, max_bytes)
        if small:
            result = [(piece, squeezed(packed)) for piece, packed in result]
        self._last.append((batch, wanted, result))
        return result
