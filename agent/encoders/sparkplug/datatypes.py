"""Data types of metrics: which one a tag has, and how its values are written (specification 6.4.16). Pure.

Integers of up to 32 bits go into int_value (negative ones sign-extended to 32 bits), larger ones and times into
long_value. Arrays are packed little-endian (the published examples say otherwise; the text counts).
"""

from __future__ import annotations

import base64
import datetime as dt
import struct
import sys
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import msgspec


class DataType(IntEnum):
    """Numbers of the enumeration in the standard."""

    INT8 = 1
    INT16 = 2
    INT32 = 3
    INT64 = 4
    UINT8 = 5
    UINT16 = 6
    UINT32 = 7
    UINT64 = 8
    FLOAT = 9
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12
    DATETIME = 13
    TEXT = 14
    UUID = 15
    BYTES = 17
    INT8_ARRAY = 22
    INT16_ARRAY = 23
    INT32_ARRAY = 24
    INT64_ARRAY = 25
    UINT8_ARRAY = 26
    UINT16_ARRAY = 27
    UINT32_ARRAY = 28
    UINT64_ARRAY = 29
    FLOAT_ARRAY = 30
    DOUBLE_ARRAY = 31
    BOOLEAN_ARRAY = 32
    STRING_ARRAY = 33
    DATETIME_ARRAY = 34


_D = DataType
_CATALOGUE: dict[str, DataType] = {
    "bool": _D.BOOLEAN, "int8": _D.INT8, "int16": _D.INT16, "int32": _D.INT32, "int64": _D.INT64, "uint8": _D.UINT8,
    "uint16": _D.UINT16, "uint32": _D.UINT32, "uint64": _D.UINT64, "float16": _D.FLOAT, "float32": _D.FLOAT,
    "float64": _D.DOUBLE, "string": _D.STRING, "datetime": _D.DATETIME, "guid": _D.UUID, "bytes": _D.BYTES,
    "xml": _D.STRING, "nodeid": _D.STRING, "statuscode": _D.UINT32, "qualifiedname": _D.STRING,
    "localizedtext": _D.STRING, "structure": _D.STRING,
}  # fmt: skip
_ARRAYS: dict[DataType, DataType] = {
    _D.INT8: _D.INT8_ARRAY, _D.INT16: _D.INT16_ARRAY, _D.INT32: _D.INT32_ARRAY, _D.INT64: _D.INT64_ARRAY,
    _D.UINT8: _D.UINT8_ARRAY, _D.UINT16: _D.UINT16_ARRAY, _D.UINT32: _D.UINT32_ARRAY, _D.UINT64: _D.UINT64_ARRAY,
    _D.FLOAT: _D.FLOAT_ARRAY, _D.DOUBLE: _D.DOUBLE_ARRAY, _D.BOOLEAN: _D.BOOLEAN_ARRAY, _D.STRING: _D.STRING_ARRAY,
    _D.DATETIME: _D.DATETIME_ARRAY,
}  # fmt: skip
#: little-endian `struct` code of an element
_ELEMENT = {
    _D.INT8_ARRAY: "b", _D.INT16_ARRAY: "h", _D.INT32_ARRAY: "i", _D.INT64_ARRAY: "q", _D.UINT8_ARRAY: "B",
    _D.UINT16_ARRAY: "H", _D.UINT32_ARRAY: "I", _D.UINT64_ARRAY: "Q", _D.FLOAT_ARRAY: "f", _D.DOUBLE_ARRAY: "d",
}  # fmt: skip
#: lowest and highest value of the integers
RANGES: dict[DataType, tuple[int, int]] = {
    _D.INT8: (-(1 << 7), (1 << 7) - 1), _D.INT16: (-(1 << 15), (1 << 15) - 1), _D.INT32: (-(1 << 31), (1 << 31) - 1),
    _D.INT64: (-(1 << 63), (1 << 63) - 1), _D.UINT8: (0, (1 << 8) - 1), _D.UINT16: (0, (1 << 16) - 1),
    _D.UINT32: (0, (1 << 32) - 1), _D.UINT64: (0, (1 << 64) - 1),
}  # fmt: skip
LONG = frozenset({_D.INT64, _D.UINT64})
#: Largest finite value of a Float and a Double. Protobuf makes infinity of what is beyond it, and calls that no error.
FLOAT_MAX = 3.4028234663852886e38
DOUBLE_MAX = sys.float_info.max
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_WIDEST = (1 << 64) - 1


class UnfitValueError(ValueError):
    """The value cannot be said with the metric's data type."""

    def __init__(self, tag: str, value: object) -> None:
        super().__init__(f"{tag}: {value!r}")
        self.tag = tag
        self.value = value


def of_catalogue(name: str | None) -> DataType | None:
    """Data type for a type of the tag catalogue; None where only a value can tell."""
    if name is None:
        return None
    base, array, _ = name.partition("[]")
    found = _CATALOGUE.get(base)
    if found is None or not array:
        return found
    return _ARRAYS.get(found, _D.STRING)


def of_value(value: object) -> DataType:
    """Best guess for a value whose type nobody has told us."""
    if isinstance(value, bool):
        return _D.BOOLEAN
    if isinstance(value, int):
        return _D.INT64 if value < 1 << 63 else _D.UINT64
    if isinstance(value, float) or value is None:
        return _D.DOUBLE
    if isinstance(value, bytes):
        return _D.BYTES
    if isinstance(value, list) and value:
        guessed = {of_value(one) for one in value}
        return _ARRAYS.get(guessed.pop(), _D.STRING) if len(guessed) == 1 else _D.STRING
    return _D.STRING


def wider(known: DataType, value: object) -> DataType:
    """A data type for values of `known` and this one: the next larger number, at last a string."""
    guess = of_value(value)
    if known is _D.DOUBLE:
        return _D.STRING
    numbers = {*RANGES, _D.FLOAT, _D.DOUBLE}
    if known in numbers and guess in numbers and guess is not known:
        # a number that is both below zero and beyond 2**63 - 1 at times has no integer type
        return _D.DOUBLE if known in (_D.FLOAT, _D.INT64) else guess
    return _D.STRING


def write(metric: Any, kind: DataType, value: object, *, uint32_long: bool = False) -> None:
    """Write a value that is not None. Raises TypeError or ValueError where it does not fit, exactly in a Double."""
    if kind in RANGES:
        low, high = RANGES[kind]
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(value)
        if kind in LONG or (uint32_long and kind is _D.UINT32):
            metric.long_value = value & _WIDEST
        else:
            metric.int_value = value & 0xFFFFFFFF
    elif kind is _D.DOUBLE:
        metric.double_value = _within(value, DOUBLE_MAX)
    elif kind is _D.FLOAT:
        metric.float_value = _within(value, FLOAT_MAX)
    elif kind is _D.BOOLEAN:
        if not isinstance(value, bool):
            raise TypeError(value)
        metric.boolean_value = value
    elif kind is _D.DATETIME:
        metric.long_value = _milliseconds(value)
    elif kind is _D.BYTES:
        metric.bytes_value = _bytes(value)
    elif kind in (_D.STRING, _D.TEXT, _D.UUID):
        metric.string_value = _text(value)
    else:
        metric.bytes_value = _array(kind, value)


def _within(value: Any, most: float) -> float:
    """The number, where it is finite and no digit of an integer is lost."""
    if not -most <= value <= most or float(value) != value:
        raise ValueError(value)
    number: float = value
    return number


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else base64.b64decode(_text(value), validate=True)


def _text(value: object) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _milliseconds(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value & _WIDEST
    if not isinstance(value, str):
        raise TypeError(value)
    instant = dt.datetime.fromisoformat(value)
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=dt.UTC)
    # before 1970 as two's complement, as Java's long has it
    return ((instant - _EPOCH) // dt.timedelta(milliseconds=1)) & _WIDEST


def _array(kind: DataType, value: object) -> bytes:
    if not isinstance(value, list) or any(isinstance(one, list) or one is None for one in value):
        raise TypeError(value)
    if kind is _D.BOOLEAN_ARRAY:
        return len(value).to_bytes(4, "little") + _bits(value)
    if kind is _D.STRING_ARRAY:
        texts = [_text(one).encode() for one in value]
        if any(b"\0" in text for text in texts):
            raise ValueError(value)
        return b"".join(text + b"\0" for text in texts)
    try:
        if kind is _D.DATETIME_ARRAY:
            return struct.pack(f"<{len(value)}Q", *map(_milliseconds, value))
        return struct.pack(f"<{len(value)}{_ELEMENT[kind]}", *value)
    except (struct.error, OverflowError) as error:
        raise ValueError(str(error)) from None


def _bits(values: Sequence[object]) -> bytes:
    """Most significant bit first."""
    packed = bytearray((len(values) + 7) // 8)
    for position, value in enumerate(values):
        if not isinstance(value, bool):
            raise TypeError(value)
        if value:
            packed[position // 8] |= 0x80 >> position % 8
    return bytes(packed)
