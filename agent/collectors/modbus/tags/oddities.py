"""What is allowed in the tags of a Modbus device, but probably not meant. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby

from agent.collectors.modbus.tags.tag import ModbusTag

#: Leading digit and first number of an area as Modicon counts (`40001`).
_MODICON = {"holding": 40001, "input": 30001, "discrete": 10001}
_MOST = 3  #: of one kind are named, the others counted
_WHOLE = {"int16": (-(1 << 15), (1 << 15) - 1), "uint16": (0, (1 << 16) - 1), "int32": (-(1 << 31), (1 << 31) - 1),
          "uint32": (0, (1 << 32) - 1), "int8": (-128, 127), "uint8": (0, 255)}  # fmt: skip


def odd_tags(tags: Mapping[str, ModbusTag], *, sunspec: bool) -> Iterator[str]:
    """Each kind of oddity of a device's tags, as words behind `tags.`.

    Where `sunspec`, registers from 40000 on are what they say: SunSpec devices have their models there.
    """
    if not sunspec:
        yield from _some(_modicon(tags))
    yield from _some(_overlaps(tags))
    yield from _some(_idle_nulls(tags))
    yield from _some(_raw_nulls(tags))


def _some(found: Iterator[str]) -> Iterator[str]:
    words = list(found)
    yield from words[:_MOST]
    if len(words) > _MOST:
        yield f"…: {len(words) - _MOST} more like the last one"


def _modicon(tags: Mapping[str, ModbusTag]) -> Iterator[str]:
    for name, tag in tags.items():
        area, offset = tag.address.area, tag.address.offset
        first = _MODICON.get(area)
        if first is not None and first <= offset < first + 9999:
            yield (
                f"{name}.address: {area}:{offset} is offset {offset:,} on the wire; a manual that says {offset}"
                f' means {area}:{offset - first}: write "{offset}" in quotes'
            )


def _overlaps(tags: Mapping[str, ModbusTag]) -> Iterator[str]:
    """Tags that share a part of their registers: equal places, and fields of bits, are read so on purpose."""
    spans = sorted(
        (tag.address.area, tag.address.offset, tag.size, name)
        for name, tag in tags.items()
        if tag.address.bit is None and tag.bits is None and not tag.address.of_bits and tag.enabled
    )
    for area, group in groupby(spans, key=lambda span: span[0]):
        end, last = -1, (-1, 0, "")
        for _, start, size, name in group:
            if start < end and (start, size) != last[:2]:
                yield (
                    f"{name}.address: {_span(area, start, size)} overlaps tags.{last[2]}"
                    f" ({_span(area, *last[:2])}); one of the two has a wrong address or type"
                )
            if start + size > end:
                end, last = start + size, (start, size, name)


def _span(area: str, start: int, size: int) -> str:
    return f"{area}:{start}" + (f"..{start + size - 1}" if size > 1 else "")


def _idle_nulls(tags: Mapping[str, ModbusTag]) -> Iterator[str]:
    for name, tag in tags.items():
        if not tag.null_values or isinstance(tag.null_values, str) or tag.bits is not None:
            continue
        limits = _WHOLE.get(tag.data_type)
        if limits is None:
            continue
        low, high = limits
        for value in tag.null_values:
            if isinstance(value, int | float) and not (low <= value <= high and value == int(value)):
                wrapped = int(value) + (high - low + 1) * (1 if value < low else -1)
                signed = low < 0 or value < 0  # the same bits, read with a sign or without
                hint = f"; write {wrapped}" if signed and low <= wrapped <= high else ""
                yield f"{name}.null_values: {value} never matches, {tag.data_type} is {low} to {high}{hint}"


def _raw_nulls(tags: Mapping[str, ModbusTag]) -> Iterator[str]:
    """Large whole numbers of a float: they are taken as its bytes too."""
    for name, tag in tags.items():
        if not tag.null_values or isinstance(tag.null_values, str):
            continue
        bits = {"float32": 32, "float64": 64}.get(tag.data_type)
        if bits is None:
            continue
        for value in tag.null_values:
            if isinstance(value, int) and 0xFFFF < value < 1 << bits:
                raw = f"0x{value:0{bits // 4}X}"
                yield (
                    f"{name}.null_values: {value} is taken as the bytes {raw} of the {tag.data_type}, too;"
                    f' write "{raw}" in quotes for the bytes, {value}.0 for the number'
                )
