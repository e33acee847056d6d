"""Where a value lies: area, offset counted from zero as on the wire, and the bit of a register. Pure.

Written `holding:0`, `input:10.4`, `coil:3`, `discrete:7`, `holding:0x10`, or as Modicon writes it, counted from one and
only as a string: `"40021"` (five digits) or `"400021"` (six) are holding register 20.
"""

from __future__ import annotations

import re
from typing import Literal

from msgspec import Struct

Area = Literal["coil", "discrete", "input", "holding"]

FUNCTIONS: dict[Area, int] = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}
"""The function code that reads an area (Modbus Application Protocol V1.1b3, 6.1 to 6.4). All we ever send."""

_AREAS: dict[str, Area] = {area: area for area in FUNCTIONS}  #: one text for all, not one cut out of each address

LAST = 0xFFFF  #: highest offset of every area

_MODICON: dict[str, Area] = {"0": "coil", "1": "discrete", "3": "input", "4": "holding"}
_OFFSET = re.compile(r"(coil|discrete|input|holding):(0[xX][0-9a-fA-F]+|[0-9]+)(?:\.([0-9]+))?")
_DIGITS = re.compile(r"([0-9])([0-9]{4,5})(?:\.([0-9]+))?")
_NEURON = re.compile(r"(\d{1,3})!([0134]\d{4,5})(?:\.(\d+))?")
_KEPWARE = re.compile(r"([0134]\d{4,5})\s?([A-Za-z]+)")
_OTHERWISE = re.compile(
    r"(hr|holdings?|holding[ _-]?registers?|ir|inputs?|input[ _-]?registers?|co|coils?|di|discretes?(?:[ _-]?inputs?)?)"
    r"[ :_\[]?\s*(0x[0-9a-f]+|\d+)\]?(?:[.:/](\d+))?",
    re.IGNORECASE,
)
_SPAN = re.compile(r"(holding|input|coil|discrete):(\d+)\s*(?:-|to)\s*(\d+)")
_X_NOTATION = re.compile(r"([0134])[xX](\d{4,5})")
_OF_A_PLC = re.compile(r"DB\d+[.,].*|[DWMRXY]\d+(?:\.\d+)?|[MIQE][BWD]?\d+(?:\.\d+)?")
#: As word processors and foreign keyboards write them.
_QUOTES = "\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb'\" "
_IEC = re.compile(r"%M(W|F|D)?(\d+)(?:[.:]X?(\d+))?", re.IGNORECASE)
_INITIALS: dict[str, Area] = {"h": "holding", "i": "input", "c": "coil", "d": "discrete"}
SUFFIXES = {"F": "float32", "L": "int32", "D": "float64", "S": "string", "B": "uint8", "W": "uint16"}
_FORMS = 'write area:offset, for example "holding:0", "input:10.4", "coil:3", "discrete:7"'


class Address(Struct, frozen=True, gc=False):
    """One place in a device."""

    area: Area
    offset: int
    bit: int | None = None  #: of a register; 0 is the least significant

    @property
    def of_bits(self) -> bool:
        """Whether its area consists of bits (coils, discrete inputs) instead of registers."""
        return self.area in ("coil", "discrete")

    def __str__(self) -> str:
        return f"{self.area}:{self.offset}" + ("" if self.bit is None else f".{self.bit}")


def parse_address(value: object) -> Address:
    """The address in one of the notations above. ValueError says what to write instead."""
    if isinstance(value, Address):
        return value
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"{value!r} is not an address; {_FORMS}")  # noqa: TRY004 - pydantic's word for it
    if not isinstance(value, str):
        raise ValueError(_bare_number(value))  # noqa: TRY004 - the same
    text = value.strip()
    if match := _OFFSET.fullmatch(text):
        area, offset, bit = match.groups()
        return _checked(text, area, int(offset, 0 if offset[:2].lower() == "0x" else 10), bit)  # type: ignore[arg-type]
    if match := _DIGITS.fullmatch(text):
        leading, number, bit = match.groups()
        if leading not in _MODICON:
            raise ValueError(f'"{text}" is no Modicon address: it begins with 0, 1, 3 or 4; {_FORMS}')
        if int(number) == 0:
            raise ValueError(f'"{text}" does not exist: Modicon addresses count from one; {_FORMS}')
        return _checked(text, _MODICON[leading], int(number) - 1, bit)
    if foreign := _foreign(text):
        raise ValueError(f'"{text}" is not an address; {foreign}')
    if text.isdecimal():
        raise ValueError(f'"{text}" names no area; write "holding:{text}" (or input:, coil:, discrete:)')
    raise ValueError(f'"{text}" is not an address; {_FORMS}')


def _foreign(text: str) -> str | None:
    """What to write for an address as other products write it; None where it is none."""
    if match := _NEURON.fullmatch(text):
        unit, number, bit = match.groups()
        rest = number + (f".{bit}" if bit else "")
        return f'write "{rest}", and `unit_id: {unit}` of its device (that is how Neuron writes it)'
    if (match := _KEPWARE.fullmatch(text)) and (kind := SUFFIXES.get(match[2].upper())):
        return f'write "{match[1]}", and `type: {kind}` (that is how Kepware writes it)'
    if match := _OTHERWISE.fullmatch(text.strip(_QUOTES)):
        bit = f".{match[3]}" if match[3] else ""
        return f'write "{_INITIALS[match[1][0].lower()]}:{match[2].lower()}{bit}"'
    if match := _SPAN.fullmatch(text):
        return f'write "{match[1]}:{match[2]}..{match[3]}", and {{n}} into the name of the tag'
    if match := _X_NOTATION.fullmatch(text):
        return f'write "{match[1]}{match[2]}"'
    if _OF_A_PLC.fullmatch(text):
        return "that is an address inside a PLC; its program or manual says which register it is: write holding:NUMBER"
    if match := _IEC.fullmatch(text):
        kind, offset, bit = match.groups()
        area = "holding" if kind else "coil"
        wide = {"F": ", and `type: float32`", "D": ", and `type: int32`"}.get((kind or "").upper(), "")
        return f'write "{area}:{offset}{"." + bit if bit else ""}"{wide} (registers of %MW, bits of %M)'
    return None


def _checked(text: str, area: Area, offset: int, bit: str | None) -> Address:
    if offset > LAST:
        raise ValueError(f'"{text}" lies beyond the last address; offsets go from 0 to {LAST}')
    if bit is None:
        return Address(_AREAS[area], offset)
    if area in ("coil", "discrete"):
        raise ValueError(f'"{text}": a {area} is one bit and has no bits of its own; write "{area}:{offset}"')
    if int(bit) > 15:
        raise ValueError(f'"{text}": a register has the bits 0 (least significant) to 15')
    return Address(_AREAS[area], offset, int(bit))


def _bare_number(value: float) -> str:
    text = str(value)
    whole, _, bit = text.partition(".")
    point = f".{bit}" if bit else ""
    if match := _DIGITS.fullmatch(text):
        leading, number, _ = match.groups()
        if leading in _MODICON and int(number) > 0:
            area = _MODICON[leading]
            raw = f', or "holding:{text}" for offset {whole} itself' if int(whole) <= LAST else ""
            return (
                f'a bare {text} is ambiguous; write "{text}" in quotes for the Modicon address '
                f"({area}:{int(number) - 1}{point}){raw}"
            )
    return f'a bare {text} names no area; write "holding:{text}" (or input:, coil:, discrete:), in quotes'
