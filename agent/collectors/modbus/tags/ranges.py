"""A tag that stands for many: `"cell_{n}": {address: "holding:100..119"}` is cell_1 to cell_20. Pure.

The range is inclusive, from the first to the last register, coil or bit it covers; each tag takes as many registers as
its type has. `{n}` counts from one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import ValidationError

from agent.collectors.modbus.tags.address import Address, parse_address
from agent.collectors.modbus.tags.tag import ModbusTag

NUMBER = "{n}"

#: More tags out of one line than this are a slip of the pen.
MOST = 10_000
_RANGE = re.compile(r"(?P<first>[^.]+(?:\.\d+)?)\.\.(?P<last>[^.]+(?:\.\d+)?)")


def spread_tag(name: str, keys: object) -> Mapping[str, object] | None:
    """The tags that one entry of `tags` stands for; as :func:`spread`. Mistakes in other keys stay those of one tag."""
    given = keys if isinstance(keys, Mapping) else {"address": keys}
    address = str(given.get("address", ""))
    match = _RANGE.fullmatch(address.strip()) if ".." in address else None
    if match is None:
        return None
    try:
        size = ModbusTag.model_validate({**given, "address": match["first"]}).size
    except ValidationError:
        return {name: {**given, "address": match["first"].strip()}}
    addresses = spread(name, given["address"], size) or {}
    return {tag: {**given, "address": address} for tag, address in addresses.items()}


def spread(name: str, address: object, size: int) -> Mapping[str, str] | None:
    """Names and addresses of the tags that one range stands for; None where `address` is no range.

    `size` are the registers (or bits, in a bit area) of each. Raises ValueError: `reason; hint`.
    """
    match = _RANGE.fullmatch(address.strip()) if isinstance(address, str) else None
    if match is None:
        return None
    first, last = _ends(match["first"].strip(), match["last"].strip())
    if NUMBER not in name:
        raise ValueError(f"a range of addresses needs a name for each; put {NUMBER} into it: `{name}_{NUMBER}`")
    of_bits = first.bit is not None
    begin, end = (_bit(first), _bit(last)) if of_bits else (first.offset, last.offset + 1 - size)
    step = 1 if of_bits else size
    count = (end - begin) // step + 1
    if end < begin or (not of_bits and (end - begin) % step):
        wanted = last.offset - first.offset + 1
        raise ValueError(
            f"{address} covers {max(wanted, 0)} places, and each tag takes {size}; "
            "write the last one behind `..`, it belongs to the range"
        )
    if count > MOST:
        raise ValueError(f"{address} stands for {count:,} tags; at most {MOST:,}")
    return {
        name.replace(NUMBER, str(number + 1)): str(_at(first, begin + number * step, of_bits=of_bits))
        for number in range(count)
    }


def _ends(first: str, last: str) -> tuple[Address, Address]:
    begin = parse_address(first)
    if begin.bit is not None and last.isdecimal() and int(last) <= 15:
        return begin, Address(begin.area, begin.offset, int(last))  # input:10.0..15: bits of one register
    end = parse_address(last if ":" in last or ":" not in first else f"{begin.area}:{last}")
    if end.area != begin.area or (end.bit is None) != (begin.bit is None):
        raise ValueError(f"{first}..{last} does not stay in one area; write {begin}..{begin.offset + 9}")
    return begin, end


def _bit(address: Address) -> int:
    return address.offset * 16 + (address.bit or 0)


def _at(first: Address, place: int, *, of_bits: bool) -> Address:
    return Address(first.area, place // 16, place % 16) if of_bits else Address(first.area, place)
