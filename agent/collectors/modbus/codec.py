"""Bytes of a block → values of its tags, compiled once per block. Pure.

A block is read with as few `struct` calls as its byte orders need, one where they are all the same. Each order is one
of two views of the bytes (as they came, or swapped within each register) read in one of two directions:

    ABCD  as they came, big-endian       BADC  swapped, big-endian
    DCBA  as they came, little-endian    CDAB  swapped, little-endian

which holds for 16, 32 and 64 bits alike. Strings know no direction, only the swap (BADC, DCBA).
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple

from agent.collectors.modbus.plan import Block
from agent.collectors.modbus.points import Point
from agent.core.quality import number_of

UNCERTAIN_DATA_SUB_NORMAL = number_of("UncertainDataSubNormal")

_CODES = {
    "bool": "H", "int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "int64": "q", "uint64": "Q",
    "float32": "f", "float64": "d",
}  # fmt: skip
_VIEWS = {"ABCD": (False, ">"), "DCBA": (False, "<"), "BADC": (True, ">"), "CDAB": (True, "<")}
_BITS = tuple(tuple(bool(byte >> bit & 1) for bit in range(8)) for byte in range(256))


class Column(NamedTuple):
    """The values of one response, in the order of the block's points."""

    values: Sequence[object]
    status: Sequence[int] | int = 0
    reason: dict[int, str] | None = None


Decoder = Callable[[bytes], Column]


def compile_block(block: Block) -> Decoder:
    """A function from the data bytes of a response, whose length has been verified, to the column of its tags."""
    if block.area in ("coil", "discrete"):
        return _bits(block)
    return _registers(block)


def _pick(indexes: Sequence[int]) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """Values at these indexes, as fast as it goes."""
    if len(indexes) == 1:
        only = indexes[0]
        return lambda values: (values[only],)
    return itemgetter(*indexes)


def _bits(block: Block) -> Decoder:
    pick = _pick([point.offset - block.offset for point in block.points])

    def decode(data: bytes) -> Column:
        return Column(pick(tuple(chain.from_iterable(map(_BITS.__getitem__, data)))))

    return decode


class _Slot(NamedTuple):
    """One item of a struct: several points may share it (bits of one register)."""

    start: int  #: byte in the block
    code: str
    swapped: bool
    direction: str


def _slot(point: Point, block: Block) -> _Slot:
    swapped, direction = _VIEWS[point.order]
    if point.type == "string":
        return _Slot((point.offset - block.offset) * 2, f"{point.length}s", point.order in ("BADC", "DCBA"), ">")
    return _Slot((point.offset - block.offset) * 2, _CODES[point.type], swapped, direction)


def _passes(slots: Sequence[_Slot]) -> list[tuple[bool, struct.Struct, list[_Slot]]]:
    """Slots dealt out to structs: one view and direction each, no overlap within one. Deterministic."""
    passes: list[tuple[bool, str, list[_Slot]]] = []
    for slot in sorted(slots):
        for swapped, direction, held in passes:
            last = held[-1]
            free = last.start + struct.calcsize(">" + last.code) <= slot.start
            if free and swapped == slot.swapped and (direction == slot.direction or slot.code.endswith("s")):
                held.append(slot)
                break
        else:
            passes.append((slot.swapped, slot.direction, [slot]))
    return [(swapped, _struct(direction, held), held) for swapped, direction, held in passes]


def _struct(direction: str, slots: Sequence[_Slot]) -> struct.Struct:
    """One struct over the block: unasked bytes are padding. It may end before the block does."""
    form, at = direction, 0
    for slot in slots:
        if slot.start > at:
            form += f"{slot.start - at}x"
        form += slot.code
        at = slot.start + struct.calcsize(">" + slot.code)
    return struct.Struct(form)


def _registers(block: Block) -> Decoder:
    slots = [_slot(point, block) for point in block.points]
    passes = _passes(list(dict.fromkeys(slots)))
    index = {slot: number for number, slot in enumerate(chain.from_iterable(held for _, _, held in passes))}
    order = [index[slot] for slot in slots]
    pick = None if order == list(range(len(index))) else _pick(order)
    fixes = [(i, _fix(point)) for i, point in enumerate(block.points) if point.type in ("bool", "string")]
    unpack = _unpacker([(swapped, item.unpack_from) for swapped, item, _ in passes])

    def decode(data: bytes) -> Column:
        values = unpack(data)
        if pick is not None:
            values = pick(values)
        return Column(values) if not fixes else _fixed(list(values), fixes)

    return decode


def _unpacker(
    passes: Sequence[tuple[bool, Callable[[bytes], tuple[Any, ...]]]],
) -> Callable[[bytes], Sequence[Any]]:
    if len(passes) == 1:
        (swapped, only) = passes[0]
        return (lambda data: only(_swap(data))) if swapped else only

    def unpack(data: bytes) -> Sequence[Any]:
        other = _swap(data)
        return tuple(chain.from_iterable(item(other if swapped else data) for swapped, item in passes))

    return unpack


def _swap(data: bytes) -> bytes:
    registers = array("H", data)
    registers.byteswap()
    return registers.tobytes()


_Fix = Callable[[Any], tuple[object, str | None]]


def _fix(point: Point) -> _Fix:
    """What is still to be done to a raw item; the second is a doubt about it."""
    if point.type == "string":
        return decode_text
    mask = 1 << (point.bit or 0)
    return lambda register: (bool(register & mask), None)


def _fixed(values: list[Any], fixes: Sequence[tuple[int, _Fix]]) -> Column:
    doubts: dict[int, str] = {}
    for i, fix in fixes:
        values[i], doubt = fix(values[i])
        if doubt is not None:
            doubts[i] = doubt
    if not doubts:
        return Column(values)
    return Column(values, [UNCERTAIN_DATA_SUB_NORMAL if i in doubts else 0 for i in range(len(values))], doubts)


def decode_text(data: bytes) -> tuple[str, str | None]:
    """Text up to the first NUL. What is no UTF-8 is replaced, and said."""
    text = data.partition(b"\0")[0]
    try:
        return text.decode(), None
    except UnicodeDecodeError:
        return text.decode(errors="replace"), "text is not valid UTF-8"
