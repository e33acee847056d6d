"""Which keys of a tag contradict each other, and what to write instead. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from agent.collectors.modbus.tags.address import LAST, parse_address
from agent.collectors.modbus.tags.points import FIELDS, REGISTERS, TIMES, canonical_order
from agent.collectors.modbus.tags.sentinels import sunspec

if TYPE_CHECKING:
    from agent.collectors.modbus.tags.tag import ModbusTag

_NUMBERS_ONLY = ("scale", "offset", "round", "range", "deadband", "scale_from")
_STRINGS_ONLY = ("length", "encoding", "string_order")
_WHOLE = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")


#: Of a number in registers these contradict nothing.
_FREE = frozenset({"address", "type", "unit", "description", "enabled", "scale", "offset", "range", "enum", "round",
                   "interval", "report", "deadband", "max_silence"})  # fmt: skip


def check_tag(tag: ModbusTag) -> None:
    """Raise ValueError with the first contradiction."""
    address, kind = tag.address, tag.data_type
    number = kind in REGISTERS and kind not in TIMES and address.bit is None and not address.of_bits
    if number and tag.model_fields_set <= _FREE and address.offset + REGISTERS[kind] - 1 <= LAST:
        return  # as of most
    for reason in _contradictions(tag):
        raise ValueError(reason)


def _contradictions(tag: ModbusTag) -> Iterator[str]:
    yield from _type(tag)
    yield from _bits(tag)
    yield from _only_for(tag)
    yield from _order(tag)
    yield from _reading(tag)
    address = tag.address
    if address.offset + tag.size - 1 > LAST:
        what = "bits" if address.of_bits else "registers"
        yield f"{address} with {tag.size} {what} ends beyond {LAST}; the last start is {LAST + 1 - tag.size}"


def _type(tag: ModbusTag) -> Iterator[str]:
    address, kind = tag.address, tag.data_type
    if address.of_bits and kind != "bool":
        yield f"type {kind} at {address}: a {address.area} is one bit; leave `type` out, or name a register"
    if address.bit is not None and kind != "bool":
        yield f"type {kind} at {address}: that is one bit; leave `type` out, or write {address.area}:{address.offset}"
    if kind == "bool" and not address.of_bits and address.bit is None:
        yield f"type bool at {address}: a register has 16 bits; name one, for example {address}.0"
    if kind == "string" and tag.length is None:
        yield "type string needs `length`, in characters"
    if tag.count is not None and (kind == "string" or address.bit is not None):
        what = "a string" if kind == "string" else "a bit of a register"
        yield f"`count` makes an array of numbers, coils or discrete inputs, not of {what}; leave it out"


def _bits(tag: ModbusTag) -> Iterator[str]:
    if tag.bits is None:
        return
    if tag.data_type not in _WHOLE:
        yield f"`bits` takes a field out of a whole number, not out of {tag.data_type}; write `type: uint16`"
    elif tag.data_type in FIELDS and tag.bits not in ((0, 7), (8, 15)):
        yield f"`bits` of {tag.data_type} is [0, 7], the low byte of its register, or [8, 15], the high one"
    elif tag.bits[1] >= tag.registers * 16:
        yield f"`bits`: {tag.data_type} has the bits 0 (least significant) to {tag.registers * 16 - 1}"
    if tag.scale_from is not None:
        yield "`scale_from` is for a whole number, not for a field of its bits; leave one of the two out"


def _only_for(tag: ModbusTag) -> Iterator[str]:
    kind = tag.data_type
    if kind != "string":
        for key in _STRINGS_ONLY:
            if getattr(tag, key) is not None:
                yield f"`{key}` belongs to strings, not to type {kind}; leave it out"
    if kind in ("bool", "string") or kind in TIMES:
        for key in _NUMBERS_ONLY:
            if getattr(tag, key) is not None:
                yield f"`{key}` is for numbers, not for type {kind}; leave it out"
    for key in ("utc_offset", "time_zone"):
        if getattr(tag, key) is not None and kind not in TIMES:
            yield f"`{key}` belongs to a date and time (`unix32`, `datetime_6`, …), not to type {kind}; leave it out"
    if tag.utc_offset is not None and tag.time_zone is not None:
        yield "`utc_offset` and `time_zone` contradict each other; leave one of the two out"
    if tag.null_values == "sunspec" and sunspec(kind) is None:
        yield f"SunSpec names no sentinel for type {kind}; list the values, for example `null_values: [0]`"


def _order(tag: ModbusTag) -> Iterator[str]:
    order = tag.byte_order
    if order is None:
        return
    if tag.address.of_bits:
        yield f"`byte_order` means nothing for a {tag.address.area}; leave it out"
    elif tag.string_order is not None:
        yield "`string_order` says all there is to say about a string; leave `byte_order` out"
    try:
        found = canonical_order(order, tag.registers if tag.data_type != "string" else 0)
    except ValueError as error:
        yield f"byte_order {error}"
    else:
        if tag.data_type.startswith("mod10") and len(found) > 4:
            yield f"byte_order {order!r}: a modulo 10000 number takes ABCD, CDAB, BADC or DCBA"


def _reading(tag: ModbusTag) -> Iterator[str]:
    if tag.read_on is not None and tag.interval is not None:
        yield "`read_on` and `interval` contradict each other; leave one of the two out"
    if tag.merge is False and tag.together is not None:
        yield "`together` and `merge: false` contradict each other; leave one of the two out"
    if tag.scale_from is not None and ":" in tag.scale_from:
        try:
            address = parse_address(tag.scale_from)
        except ValueError as error:
            yield f"scale_from: {error}"
        else:
            if address.of_bits or address.bit is not None:
                yield f"scale_from: {address} is a bit; name the register (or the tag) of the scale factor"
