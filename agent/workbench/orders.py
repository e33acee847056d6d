"""A range of registers in every type and byte order: which of them is plausible? Pure.

A float in the wrong order is a number of another world (2.378e-41, -1.5e+33), or jumps between two reads; an integer in
the wrong order is large and round in base two. What was expected, if anybody knows, decides.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

Order = Literal["ABCD", "CDAB", "BADC", "DCBA"]
ORDERS: tuple[Order, ...] = ("ABCD", "CDAB", "BADC", "DCBA")

#: Type → registers, and how `struct` reads it big-endian.
TYPES: dict[str, tuple[int, str]] = {
    "uint16": (1, ">H"), "int16": (1, ">h"),
    "float32": (2, ">f"), "uint32": (2, ">I"), "int32": (2, ">i"),
    "float64": (4, ">d"), "uint64": (4, ">Q"), "int64": (4, ">q"),
}  # fmt: skip

#: Sizes of real measurements: below and above these a float is more likely a wrong order.
SMALLEST, LARGEST = 1e-6, 1e12
#: An integer beyond this is more likely a wrong order, or a float.
LARGEST_INTEGER = 10_000_000
#: So much of itself a value may change between two reads and still look like one.
STEADY = 0.5
#: How far a value may be from what was expected, of it.
NEAR = 0.02
#: What is smaller says too little to be told by a scale above 1: a 1 would be any 100,000.
FEW = 10
AS_EXPECTED = "as expected"
_POWERS = tuple(range(-6, 7))


class Guess(NamedTuple):
    """One way to read some registers."""

    offset: int  #: of the first register, from the start of the range
    type: str
    order: Order
    values: Sequence[float]  #: oldest read first
    plausible: bool
    remark: str  #: why it is, or is not

    @property
    def value(self) -> float:
        """As of the newest read."""
        return self.values[-1]


def guesses(reads: Sequence[Sequence[int]], expect: float | None = None) -> list[Guess]:
    """Every way to read the registers of one range, read several times (oldest first); likely ones first."""
    found = [_judged(*way, expect) for way in _ways(reads)]
    return sorted(found, key=lambda one: (not one.plausible, one.remark != AS_EXPECTED, one.offset))


def looks_wrong(value: object, kind: str | None) -> bool:
    """Whether a good float is of a size that hardly any measurement has: its byte order is probably another."""
    if kind not in ("float32", "float64") or not isinstance(value, float) or value == 0:
        return False
    return not 1e-30 < abs(value) < 1e30


def decoded(registers: Sequence[int], kind: str, order: Order) -> float:
    """The value of so many registers as one of `TYPES`."""
    words = list(registers) if order in ("ABCD", "BADC") else list(reversed(registers))
    if order in ("BADC", "DCBA"):
        words = [(word >> 8) | (word & 0xFF) << 8 for word in words]
    (value,) = struct.unpack(TYPES[kind][1], b"".join(word.to_bytes(2, "big") for word in words))
    return value  # type: ignore[no-any-return]


def _ways(reads: Sequence[Sequence[int]]) -> Iterator[tuple[int, str, Order, list[float]]]:
    length = len(reads[-1])
    for kind, (size, _) in TYPES.items():
        for offset in range(length - size + 1):
            # one register has two orders only: its bytes as they are, or swapped
            for order in ORDERS if size > 1 else (ORDERS[0], ORDERS[2]):
                yield offset, kind, order, [decoded(read[offset : offset + size], kind, order) for read in reads]


def _judged(offset: int, kind: str, order: Order, values: list[float], expect: float | None) -> Guess:
    plausible, remark = _plausible(kind, values, expect)
    return Guess(offset, kind, order, values, plausible, remark)


def _plausible(kind: str, values: Sequence[float], expect: float | None) -> tuple[bool, str]:
    newest = values[-1]
    if not math.isfinite(newest):
        return False, "not a number"
    if expect is not None:
        return _as_expected(newest, expect)
    size = abs(newest)
    if kind.startswith("float") and size and not SMALLEST <= size <= LARGEST:
        return False, "no size of a measurement"
    if not kind.startswith("float") and size > LARGEST_INTEGER:
        return False, "very large"
    if kind.startswith("float") and not size:
        return False, "zero in any order"
    if max(values) - min(values) > STEADY * max(map(abs, values)) and max(map(abs, values)) > 1:
        return False, "jumps between reads"
    return True, "steady" if len(values) > 1 and max(values) != min(values) else "possible"


def _as_expected(value: float, expect: float) -> tuple[bool, str]:
    for power in sorted(_POWERS, key=abs):
        if power > 0 and abs(value) < FEW:
            continue
        if abs(value * 10.0**power - expect) <= NEAR * abs(expect):
            return True, AS_EXPECTED if power == 0 else f"{AS_EXPECTED} with scale: {10.0**power:g}"
    return False, "not what was expected"
