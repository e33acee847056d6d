"""The bytes of a record on disk: one format byte, msgpack, CRC-32. Decodable without any other state.

A batch is laid out in columns: what a scan repeats (time, quality, unit) costs a few bytes per batch instead of per
reading, so a plain float reading takes its tag, nine bytes and little else. A column is one of

    [0, value]                 every reading has this value
    [1, [values], indexes]     a few distinct values, one byte per reading
    [2, [values]]              as they are

Columns of optional fields that no reading has are left out. Times are differences to the batch's time. The checksum is
there because SQLite has none of its own: a flipped bit must become a declared loss, never a wrong value.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from agent.core.errors import AgentError
from agent.core.flow import Batch, Gap, Reading

BATCH = b"\x01"
GAP = b"\x02"
SMALL = b"\x03"  #: a batch, deflated

#: Optional fields of a reading by their number in the format. Numbers are for ever; new fields get new ones.
OPTIONAL = ("src", "unit", "label", "code", "status", "reason", "why")

#: Smaller batches are left as they are, bytes.
_WORTH_DEFLATING = 256

Column = list[Any]
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode
_decode_gap = msgspec.msgpack.Decoder(Gap).decode


class Undecodable(AgentError):
    """These bytes are no record, or no longer."""


class PackedReadings(msgspec.Struct, gc=False):
    """The readings of a batch, turned on their side. Optional columns without any value are None."""

    tag: list[Any]
    value: list[Any]
    ts: list[Any]
    quality: list[Any]
    optional: list[list[Any] | None]

    def part(self, start: int, end: int) -> PackedReadings:
        """The columns of some readings in a row."""
        optional = [None if column is None else column[start:end] for column in self.optional]
        return PackedReadings(
            self.tag[start:end], self.value[start:end], self.ts[start:end], self.quality[start:end],
            [None if column is None or column.count(None) == len(column) else column for column in optional],
        )  # fmt: skip


def columns(readings: Sequence[Reading]) -> PackedReadings:
    """Take the readings apart; one list comprehension a field is the cheapest way Python has."""
    n = len(readings)
    optional: list[list[Any]] = [
        [r.src for r in readings],
        [r.unit for r in readings],
        [r.label for r in readings],
        [r.code for r in readings],
        [r.status for r in readings],
        [r.reason for r in readings],
        [r.why for r in readings],
    ]
    return PackedReadings(
        [r.tag for r in readings],
        [r.value for r in readings],
        [r.ts for r in readings],
        [r.quality for r in readings],
        [None if column.count(None) == n else column for column in optional],
    )


def squeeze(column: Sequence[Any]) -> Column:
    """The smallest of the three forms. Only for text, None and whole numbers: True and 1.0 would pass for 1."""
    n = len(column)
    if n and column.count(column[0]) == n:
        return [0, column[0]]
    # A column that is mostly different at its head is not worth counting: the tags of a scan are.
    if n > 8 and len(set(column[:64])) <= 32 and len(distinct := dict.fromkeys(column)) <= min(256, n // 2):
        index = {value: position for position, value in enumerate(distinct)}
        return [1, list(distinct), bytes(map(index.__getitem__, column))]
    return [2, column]


def relative(column: Sequence[Any], base: int) -> Column:
    """The same for times, as differences to `base`."""
    form, values, *places = squeeze(column)
    if form == 0:
        return [0, None if values is None else values - base]
    return [form, [None if value is None else value - base for value in values], *places]


def _spread(column: Column, n: int) -> list[Any]:
    form = column[0]
    if form == 0:
        return [column[1]] * n
    if form == 1:
        values = column[1]
        return [values[position] for position in column[2]]
    values = column[1]
    if form != 2 or len(values) != n:
        msg = "a column has the wrong length"
        raise Undecodable(msg)
    return list(values)


def _absolute(column: list[Any], base: int) -> list[Any]:
    return [None if value is None else value + base for value in column]


def _seal(kind: bytes, body: bytes) -> bytes:
    sealed = kind + body
    return sealed + zlib.crc32(sealed).to_bytes(4, "little")


def pack_columns(batch: Batch, c: PackedReadings) -> bytes:
    """The bytes of `batch`, whose readings are in `c`.

    Raises what msgpack raises for a value it cannot hold (`make_storable` cures that).
    """
    optional: dict[int, Column] = {}
    for number, column in enumerate(c.optional):
        if column is not None:
            optional[number] = relative(column, batch.ts) if number == 0 else squeeze(column)
    return pack_parts(
        batch, len(c.tag), squeeze(c.tag), c.value, relative(c.ts, batch.ts), squeeze(c.quality), optional
    )  # fmt: skip


def pack_parts(
    batch: Batch, n: int, tags: object, values: Sequence[object], times: Column, qualities: Column,
    optional: Mapping[int, object],
) -> bytes:  # fmt: skip
    """The bytes of a batch of `n` readings, whose columns are ready."""
    body = _encode([
        batch.device, batch.ts, batch.cat, batch.snapshot, batch.clock, batch.bad, batch.uncertain,
        n, tags, values, times, qualities, optional,
    ])  # fmt: skip
    return _seal(BATCH, body)


def pack_batch(batch: Batch) -> bytes:
    """The bytes of a batch, with its checksum."""
    return pack_columns(batch, columns(batch.readings))


def pack_gap(gap: Gap) -> bytes:
    """The bytes of a gap, with its checksum."""
    return _seal(GAP, _encode(gap))


def squeezed(packed: bytes) -> bytes:
    """The bytes of a batch, deflated where that is worth it: half the disk and flash wear for some CPU."""
    if packed[:1] != BATCH or len(packed) < _WORTH_DEFLATING:
        return packed
    small = _seal(SMALL, zlib.compress(memoryview(packed)[1:-4], 1))
    return small if len(small) < len(packed) else packed


def unpack(packed: bytes) -> Batch | Gap:
    """What was packed. Raises Undecodable."""
    if len(packed) < 6 or zlib.crc32(packed[:-4]) != int.from_bytes(packed[-4:], "little"):
        msg = "checksum does not match"
        raise Undecodable(msg)
    body = memoryview(packed)[1:-4]
    unpackers: dict[bytes, Callable[[memoryview], Batch | Gap]] = {
        BATCH: _unpack_batch, GAP: _decode_gap, SMALL: _inflate,
    }  # fmt: skip
    unpacker = unpackers.get(packed[:1])
    if unpacker is None:
        msg = f"unknown format {packed[:1].hex()}"
        raise Undecodable(msg)
    try:
        return unpacker(body)
    except (msgspec.MsgspecError, zlib.error, ValueError, TypeError, IndexError, KeyError) as error:
        msg = f"cannot be decoded: {error}"
        raise Undecodable(msg) from error


def _inflate(body: memoryview) -> Batch:
    return _unpack_batch(memoryview(zlib.decompress(body)))


def _unpack_batch(body: memoryview) -> Batch:
    device, ts, cat, snapshot, clock, bad, uncertain, n, tags, values, times, qualities, optional = _decode(body)
    if len(values) != n:
        msg = "the values have the wrong length"
        raise Undecodable(msg)
    nothing = [None] * n
    rest = [_spread(optional[number], n) if number in optional else nothing for number in range(len(OPTIONAL))]
    if 0 in optional:
        rest[0] = _absolute(rest[0], ts)
    readings = list(
        map(Reading, _spread(tags, n), values, _absolute(_spread(times, n), ts), _spread(qualities, n), *rest)
    )
    return Batch(device, ts, readings, cat, snapshot, clock, bad, uncertain)


def make_storable(batch: Batch) -> Batch:
    """The batch with every value msgpack cannot hold made bad. Values of devices always fit: this is for bugs."""
    return spoilt(batch, _unstorable)


def _unstorable(reading: Reading) -> str | None:
    try:
        _encode(reading)
    except (OverflowError, TypeError, ValueError, UnicodeError, RecursionError, msgspec.MsgspecError):
        return f"a value of type {type(reading.value).__name__} cannot be stored"
    return None


def spoilt(batch: Batch, why: Callable[[Reading], str | None]) -> Batch:
    """The batch with every reading bad, and without its value, for which `why` has words."""
    readings = []
    bad = batch.bad
    uncertain = batch.uncertain
    for reading in batch.readings:
        reason = why(reading)
        if reason is not None:
            bad += reading.quality != "bad"
            uncertain -= reading.quality == "uncertain"
            readings.append(
                Reading(
                    tag=reading.tag.encode("utf-8", "replace").decode(),
                    value=None,
                    ts=reading.ts,
                    quality="bad",
                    code="BadEncodingLimitsExceeded",
                    reason=reason,
                )
            )
        else:
            readings.append(reading)
    made = Batch(batch.device, batch.ts, readings, batch.cat, batch.snapshot, batch.clock, bad, uncertain)
    made.backfill = batch.backfill
    return made
