"""Raw values that mean "no value", by convention. Pure.

`sunspec`: SunSpec Device Information Model Specification, "not implemented" values (bitfields and enumerations are
unsigned integers with all bits set; accumulators, which say 0, have no type of their own: write `null_values: [0]`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from agent.core.quality import BAD_NO_DATA, number_of

Preset = Literal["sunspec"]

_SUNSPEC: dict[str, float | str] = {
    "int16": -0x8000, "uint16": 0xFFFF, "int32": -0x8000_0000, "uint32": 0xFFFF_FFFF,
    "int64": -0x8000_0000_0000_0000, "uint64": 0xFFFF_FFFF_FFFF_FFFF,
    "float32": "nan", "float64": "nan", "string": "",
}  # fmt: skip


def sunspec(kind: str) -> list[float | str] | None:
    """What SunSpec says for a type; None where it says nothing."""
    return [_SUNSPEC[kind]] if kind in _SUNSPEC else None


def raw_nulls(
    given: Sequence[float | str] | Mapping[float | str, str] | str, kind: str
) -> tuple[tuple[float | str, int], ...]:
    """Sentinels with their status codes, as the codec takes them."""
    if isinstance(given, str):
        return tuple((raw, BAD_NO_DATA) for raw in sunspec(kind) or ())
    if isinstance(given, Mapping):
        return tuple((raw, number_of(name)) for raw, name in given.items())
    return tuple((raw, BAD_NO_DATA) for raw in given)
