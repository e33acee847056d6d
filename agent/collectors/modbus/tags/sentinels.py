"""Raw values that mean "no value", by convention. Pure.

`sunspec`: SunSpec Device Information Model Specification, "not implemented" values (bitfields and enumerations are
unsigned integers with all bits set; accumulators, which say 0, have no type of their own: write `null_values: [0]`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isnan
from struct import unpack
from typing import Literal

from agent.core.quality import BAD_NO_DATA, number_of

Preset = Literal["sunspec"]

_SUNSPEC: dict[str, float | str] = {
    "int16": -0x8000, "uint16": 0xFFFF, "int32": -0x8000_0000, "uint32": 0xFFFF_FFFF,
    "int64": -0x8000_0000_0000_0000, "uint64": 0xFFFF_FFFF_FFFF_FFFF,
    "float32": "nan", "float64": "nan", "string": "",
}  # fmt: skip
_SIZES = {"float32": (">f", 4), "float64": (">d", 8)}
_NOT_A_NUMBER = {"float32": (0x7FC0, 0xFFC0), "float64": (0x7FF8, 0xFFF8)}  #: its first register, the others are zero


def sunspec(kind: str) -> list[float | str] | None:
    """What SunSpec says for a type; None where it says nothing.

    Devices that swap the registers of their values do not always swap them in NaN; a value that looks like that is
    smaller than any a device measures (it is denormal).
    """
    if kind not in _SUNSPEC:
        return None
    swapped = (
        first << 16 * place for first in _NOT_A_NUMBER.get(kind, ()) for place in range(_SIZES[kind][1] // 2 - 1)
    )
    return [_SUNSPEC[kind], *(_float_of(bits, kind) for bits in swapped)]


def _float_of(bits: int, kind: str) -> float | str:
    form, size = _SIZES[kind]
    (value,) = unpack(form, bits.to_bytes(size, "big"))
    return "nan" if isnan(value) else float(value)


def of_floats(
    given: Sequence[float | str] | Mapping[float | str, str], kind: str
) -> list[float | str] | dict[float | str, str]:
    """Sentinels of floats: text in hexadecimal (`"0xFF7FFFFF"`) is the bytes of the value, A first; a large whole
    number (`0xFF7FFFFF` without quotes) the number or its bytes.
    """
    if isinstance(given, Mapping):
        return {value: name for raw, name in given.items() for value in _floats(raw, kind)}
    return [value for raw in given for value in _floats(raw, kind)]


def _floats(raw: float | str, kind: str) -> Iterator[float | str]:
    hexadecimal = isinstance(raw, str) and raw[:2].lower() == "0x"
    if not hexadecimal:
        yield raw
    if hexadecimal or (isinstance(raw, int) and raw > 0xFFFF):
        bits = int(raw, 16) if isinstance(raw, str) else int(raw)
        if bits < 1 << 8 * _SIZES[kind][1]:
            yield _float_of(bits, kind)


def raw_nulls(
    given: Sequence[float | str] | Mapping[float | str, str] | str, kind: str
) -> tuple[tuple[float | str, int], ...]:
    """Sentinels with their status codes, as the codec takes them."""
    if not isinstance(given, str) and kind in _SIZES:
        given = of_floats(given, kind)
    if isinstance(given, str):
        return tuple((raw, BAD_NO_DATA) for raw in sunspec(kind) or ())
    if isinstance(given, Mapping):
        return tuple((raw, number_of(name)) for raw, name in given.items())
    return tuple((raw, BAD_NO_DATA) for raw in given)
