"""What a tag means on the wire, compiled from its configuration. Pure."""

from __future__ import annotations

from typing import Literal, NamedTuple

from agent.collectors.modbus.address import Area

ByteOrder = Literal["ABCD", "CDAB", "BADC", "DCBA"]
"""The bytes of a 32-bit value as they arrive (DESIGN 6.1)."""

DataType = Literal[
    "bool", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64", "string"
]  # fmt: skip

REGISTERS: dict[str, int] = {
    "int16": 1, "uint16": 1, "int32": 2, "uint32": 2, "float32": 2, "int64": 4, "uint64": 4, "float64": 4,
}  # fmt: skip
"""Registers a value takes, by type; a string takes one per two characters."""


class Point(NamedTuple):
    """One tag: where it lies and how its bytes are read."""

    position: int  #: in the device's tag table
    area: Area
    offset: int
    size: int  #: registers (or bits, in a bit area)
    type: DataType
    bit: int | None = None  #: of a register, for a bool in one
    order: ByteOrder = "ABCD"
    length: int = 0  #: bytes of a string; its last register may hold one more

    @property
    def end(self) -> int:
        """First offset behind it."""
        return self.offset + self.size
