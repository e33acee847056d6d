"""Bytes of a block → values of its tags, compiled once per block. Pure.

A block is read with as few `struct` calls as its byte orders need, one where they are all the same. Each order is one
of two views of the bytes (as they came, or swapped within each register) read in one of two directions:

    ABCD  as they came, big-endian       BADC  swapped, big-endian
    DCBA  as they came, little-endian    CDAB  swapped, little-endian

which holds for 16, 32 and 64 bits alike. Strings know no direction, only the swap (BADC, DCBA). Arrays, other orders
and what `struct` does not know are taken out as bytes or integers, and finished value by value (values.py).
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import chain, groupby
from operator import itemgetter
from typing import Any, NamedTuple

from agent.collectors.modbus.blocks.plan import Block
from agent.collectors.modbus.blocks.values import UNCERTAIN_DATA_SUB_NORMAL, Doubt, Finish, finish_of
from agent.collectors.modbus.tags.points import ValueForm

_CODES = {
    "bool": "H", "int8": "H", "uint8": "H", "int16": "h", "uint16": "H", "int24": "I", "uint24": "I", "int32": "i",
    "uint32": "I", "int64": "q", "uint64": "Q", "float16": "e", "float32": "f", "float64": "d", "bcd16": "H",
    "bcd32": "I", "sm16": "H", "sm32": "I", "unix32": "I", "unix64": "Q", "unix64_ms": "Q", "unix64_ns": "Q",
    "datetime_iec870": "Q",
}  # fmt: skip
_VIEWS = {"ABCD": (False, ">"), "DCBA": (False, "<"), "BADC": (True, ">"), "CDAB": (True, "<")}
_BITS = tuple(tuple(bool(byte >> bit & 1) for bit in range(8)) for byte in range(256))


class DecodedColumn(NamedTuple):
    """The values of one response, in the order of the block's points."""

    values: Sequence[object]
    status: Sequence[int] | int = 0
    reason: dict[int, str] | None = None


Decoder = Callable[[bytes], DecodedColumn]


def compile_block(block: Block) -> Decoder:
    """A function from the data bytes of a response, whose length has been verified, to the column of its tags.

    The same bytes as last time are the very same column: whoever compares values need not look at each (still.py).
    """
    decode = _bits(block) if block.area in ("coil", "discrete") else _registers(block)
    last, column = b"", DecodedColumn(())

    def decode_news(data: bytes) -> DecodedColumn:
        nonlocal last, column
        if data != last:
            last, column = data, decode(data)
        return column

    return decode_news


def _pick(indexes: Sequence[int]) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """Values at these indexes, as fast as it goes."""
    if len(indexes) == 1:
        only = indexes[0]
        return lambda values: (values[only],)
    return itemgetter(*indexes)


def _bits(block: Block) -> Decoder:
    starts = [point.offset - block.offset for point in block.points]
    pick = _pick(starts)
    arrays = [(i, starts[i], starts[i] + point.form.items) for i, point in enumerate(block.points) if point.form.items]

    def decode(data: bytes) -> DecodedColumn:
        return DecodedColumn(pick(tuple(chain.from_iterable(map(_BITS.__getitem__, data)))))

    def decode_arrays(data: bytes) -> DecodedColumn:
        bits = tuple(chain.from_iterable(map(_BITS.__getitem__, data)))
        values = list(pick(bits))
        for i, start, end in arrays:
            values[i] = list(bits[start:end])
        return DecodedColumn(values)

    return decode_arrays if arrays else decode


class _Slot(NamedTuple):
    """One item of a struct: several points may share it (bits of one register)."""

    start: int  #: byte in the block
    code: str
    swapped: bool
    direction: str


def _slot(form: ValueForm, start: int) -> _Slot:
    if form.type == "string":
        return _Slot(start, f"{form.length * _bytes_per_character(form)}s", _text_swapped(form), ">")
    if form.order not in _VIEWS:
        return _Slot(start, f"{form.size * 2}s", False, ">")
    swapped, direction = _VIEWS[form.order]
    if form.type not in _CODES:
        return _Slot(start, f"{form.size * 2}s", form.order in ("BADC", "DCBA"), ">")
    if form.items:
        return _Slot(start, f"{form.size * 2}s", swapped, ">")
    return _Slot(start, _CODES[form.type], swapped, direction)


def _text_swapped(form: ValueForm) -> bool:
    return form.order in ("BADC", "DCBA") if form.text is None else form.text == "low_first"


def _bytes_per_character(form: ValueForm) -> int:
    return 2 if form.text in ("one_per_register", "one_per_register_high") else 1


def _passes(slots: Sequence[_Slot]) -> list[tuple[bool, struct.Struct, list[_Slot]]]:
    """Slots dealt out to structs: one view and direction each, no overlap within one. Deterministic."""
    passes: list[tuple[bool, str, list[_Slot]]] = []
    for slot in sorted(slots):
        for swapped, direction, held in passes:
            last = held[-1]
            free = last.start + _size(last.code) <= slot.start
            if free and swapped == slot.swapped and (direction == slot.direction or slot.code.endswith("s")):
                held.append(slot)
                break
        else:
            passes.append((slot.swapped, slot.direction, [slot]))
    return [(swapped, _struct(direction, held), held) for swapped, direction, held in passes]


@cache
def _size(code: str) -> int:
    return struct.calcsize(">" + code)


def _struct(direction: str, slots: Sequence[_Slot]) -> struct.Struct:
    """One struct over the block: unasked bytes are padding. It may end before the block does.

    Items of one kind in a row are counted (`62f`): a struct keeps 32 bytes for each that is not.
    """
    codes, at = [], 0
    for slot in slots:
        if slot.start > at:
            codes.append(f"{slot.start - at}x")
        codes.append(slot.code)
        at = slot.start + _size(slot.code)
    runs = ((code, len(list(run))) for code, run in groupby(codes))
    return struct.Struct(direction + "".join(f"{n}{code}" if len(code) == 1 else code * n for code, n in runs))


def _registers(block: Block) -> Decoder:
    slots = [_slot(point.form, (point.offset - block.offset) * 2) for point in block.points]
    passes = _passes(list(dict.fromkeys(slots)))
    index = {slot: number for number, slot in enumerate(chain.from_iterable(held for _, _, held in passes))}
    order = [index[slot] for slot in slots]
    pick = None if order == list(range(len(index))) else _pick(order)
    forms = [point.form for point in block.points]
    masks = [(i, 1 << (form.bit or 0)) for i, form in enumerate(forms) if form.type == "bool"]
    finishes = {form: _fix(form) for form in dict.fromkeys(forms) if form.type != "bool"}
    fixes = [(i, fix) for i, form in enumerate(forms) if (fix := finishes.get(form)) is not None]
    unpack = _unpacker([(swapped, item.unpack_from) for swapped, item, _ in passes])

    def decode(data: bytes) -> DecodedColumn:
        values = unpack(data)
        if pick is not None:
            values = pick(values)
        if not masks and not fixes:
            return DecodedColumn(values)
        values = list(values)
        for i, mask in masks:
            values[i] = values[i] & mask != 0
        return _fixed(values, fixes)

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


def _fix(form: ValueForm) -> Finish | None:
    """What is still to be done to the item of a struct; None where it is the value."""
    finish = finish_of(form)
    if form.type == "string":
        return finish
    if form.order not in _VIEWS:
        return _permuted(form, finish)
    if form.items:
        return _array(_elements(form, _VIEWS[form.order][1]), finish)
    return finish


def _permuted(form: ValueForm, finish: Finish | None) -> Finish:
    """A value whose bytes arrive in an order of their own."""
    size = len(form.order)
    places = [form.order.index(letter) for letter in sorted(form.order)]
    every = itemgetter(*(start + place for start in range(0, form.size * 2, size) for place in places))
    unpack = _elements(form, ">")

    def elements(data: bytes) -> Sequence[Any]:
        return unpack(bytes(every(data)))

    if form.items:
        return _array(elements, finish)
    return (lambda data: elements(data)[0]) if finish is None else (lambda data: finish(elements(data)[0]))


def _elements(form: ValueForm, direction: str) -> Callable[[bytes], Sequence[Any]]:
    """The raw items in the bytes of an array (or of one value)."""
    count = form.items or 1
    code = _CODES.get(form.type, f"{form.size * 2 // count}s")
    return struct.Struct(direction + code * count).unpack


def _array(elements: Callable[[bytes], Sequence[Any]], finish: Finish | None) -> Finish:
    """A list; where one of its elements is in doubt, all of it is."""

    def whole(data: bytes) -> object:
        values = list(elements(data))
        if finish is None:
            return values
        values = [finish(value) for value in values]
        doubts = [value for value in values if type(value) is Doubt]
        if not doubts:
            return values
        worst = max(doubts, key=lambda doubt: doubt.status)
        plain = [value.value if type(value) is Doubt else value for value in values]
        return Doubt(None if worst.value is None else plain, worst.status, worst.reason)

    return whole


def _fixed(values: list[Any], fixes: Sequence[tuple[int, Finish]]) -> DecodedColumn:
    doubts: dict[int, Doubt] = {}
    for i, fix in fixes:
        value = fix(values[i])
        if type(value) is Doubt:
            doubts[i] = value
            value = value.value
        values[i] = value
    return DecodedColumn(tuple(values)) if not doubts else doubted(values, doubts)


def all_doubted(column: DecodedColumn, reason: str) -> DecodedColumn:
    """A column whose values may be somebody else's: what was good is uncertain, for this reason."""
    status = [column.status] * len(column.values) if isinstance(column.status, int) else column.status
    reasons = column.reason or {}
    return DecodedColumn(
        column.values,
        [one or UNCERTAIN_DATA_SUB_NORMAL for one in status],
        {i: reasons.get(i, reason) for i in range(len(column.values))},
    )


def doubted(values: Sequence[object], doubts: Mapping[int, Doubt]) -> DecodedColumn:
    """A column some of whose values are in doubt."""
    status = [doubts[i].status if i in doubts else 0 for i in range(len(values))]
    return DecodedColumn(values, status, {i: doubt.reason for i, doubt in doubts.items()})
