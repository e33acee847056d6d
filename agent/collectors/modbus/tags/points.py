"""What a tag means on the wire, compiled from its configuration. Pure."""

from __future__ import annotations

from datetime import tzinfo
from functools import lru_cache
from operator import attrgetter
from typing import Literal

from msgspec import Struct

from agent.collectors.modbus.tags.address import Area

ByteOrder = Literal["ABCD", "CDAB", "BADC", "DCBA"]
"""The bytes of a 32-bit value as they arrive (docs/modbus.md)."""

DataType = Literal[
    "bool", "int8", "uint8", "int16", "uint16", "int24", "uint24", "int32", "uint32", "int48", "uint48", "int64",
    "uint64", "float16", "float32", "float64", "bcd16", "bcd32", "sm16", "sm32", "mod10_32", "mod10_48", "mod10_64",
    "unix32", "unix64", "unix64_ms", "unix64_ns", "datetime_iec870", "datetime_6", "datetime_3", "string",
]  # fmt: skip

OTHER_NAMES: dict[str, DataType] = {
    "int": "int16", "uint": "uint16", "word": "uint16", "dint": "int32", "udint": "uint32", "dword": "uint32",
    "lint": "int64", "ulint": "uint64", "lword": "uint64", "real": "float32", "lreal": "float64",
    "float": "float32", "double": "float64",
}  # fmt: skip
"""What PLC programs (IEC 61131-3, table 10) and other gateways call these types."""

TextOrder = Literal["high_first", "low_first", "one_per_register", "one_per_register_high"]

REGISTERS: dict[str, int] = {
    "int8": 1, "uint8": 1, "int16": 1, "uint16": 1, "float16": 1, "bcd16": 1, "sm16": 1,
    "int24": 2, "uint24": 2, "int32": 2, "uint32": 2, "float32": 2, "bcd32": 2, "sm32": 2, "mod10_32": 2, "unix32": 2,
    "int48": 3, "uint48": 3, "mod10_48": 3, "datetime_3": 3,
    "int64": 4, "uint64": 4, "float64": 4, "mod10_64": 4, "unix64": 4, "unix64_ms": 4, "unix64_ns": 4,
    "datetime_iec870": 4,
    "datetime_6": 6,
}  # fmt: skip
"""Registers a value takes, by type; a string takes one per two characters."""

FIELDS: dict[str, tuple[int, int]] = {"int8": (0, 7), "uint8": (0, 7), "int24": (0, 23), "uint24": (0, 23)}
"""Types that are a part of their registers: lowest and highest bit; `bits` may name another byte."""

TIMES = frozenset({"unix32", "unix64", "unix64_ms", "unix64_ns", "datetime_iec870", "datetime_6", "datetime_3"})
"""Types whose value is a date and time, said as text."""

_FOUR = ("ABCD", "CDAB", "BADC", "DCBA")
#: As other products say it.
_CALLED = {
    "big": "ABCD", "big-endian": "ABCD", "little": "DCBA", "little-endian": "DCBA", "word-swap": "CDAB",
    "byte-swap": "BADC", "1234": "ABCD", "3412": "CDAB", "2143": "BADC", "4321": "DCBA",
}  # fmt: skip
_SAME = {
    "AB": "ABCD", "BA": "BADC",
    "ABCDEFGH": "ABCD", "GHEFCDAB": "CDAB", "BADCFEHG": "BADC", "HGFEDCBA": "DCBA",
}  # fmt: skip


def canonical_order(order: str, registers: int) -> str:
    """A byte order in its shortest name. ValueError where it does not name the bytes of so many registers.

    The letters name the bytes of the value, A the most significant, in the order they arrive. The four of `ByteOrder`
    fit every type; any other order has one letter per byte.
    """
    if order in _FOUR:
        return order
    letters = "ABCDEFGH"[: registers * 2]
    if registers not in (1, 2, 4) or sorted(order) != list(letters):
        meant = _CALLED.get(order.lower(), order.upper())
        if meant in _FOUR:
            raise ValueError(f"{order!r} is no order of {registers * 2} bytes; write {meant}")
        raise ValueError(
            f"{order!r} is no order of {registers * 2} bytes; write ABCD, CDAB, BADC, DCBA"
            + (f", or each of {letters} once, as they arrive" if registers in (1, 2, 4) else "")
        )
    return _SAME.get(order, order)


class ValueForm(Struct, frozen=True, cache_hash=True, gc=False):
    """How the bytes of a value are read. Thousands of tags have the same, and share it."""

    size: int  #: registers (or bits, in a bit area)
    type: DataType
    bit: int | None = None  #: of a register, for a bool in one
    order: str = "ABCD"  #: canonical
    length: int = 0  #: bytes of a string; its last register may hold one more
    items: int = 0  #: elements of an array; 0: no array
    bits: tuple[int, int] | None = None  #: lowest and highest bit of a field, both included
    encoding: str = "utf-8"
    trim: bool = True  #: text without blanks around it, and without 0xFF behind it
    text: TextOrder | None = None  #: None: as `order` says
    zone: tzinfo | None = None  #: of the device's clock; None: nobody knows
    nulls: tuple[tuple[float | str, int], ...] = ()  #: raw values that mean "no value", where the codec must see them
    alone: bool = False  #: read in a request of its own


form_of = lru_cache(maxsize=1024)(ValueForm)  #: the same one for the same arguments


class ModbusPoint(Struct, frozen=True, order=True, gc=False):
    """One tag: where it lies and how its bytes are read."""

    position: int  #: in the device's tag table; behind its end: read for the sake of others, not published
    area: Area
    offset: int
    form: ValueForm
    factor: int | None = None  #: position of the point whose value is the decimal exponent of this one
    group: str | None = None  #: what is read in one response with it

    @property
    def size(self) -> int:
        """Registers (or bits) it takes."""
        return self.form.size

    @property
    def end(self) -> int:
        """First offset behind it."""
        return self.offset + self.form.size


#: What the points of a block are sorted by.
ORDER_IN_BLOCK = attrgetter("offset", "form.size", "position")
