"""One tag of a Modbus device in the configuration: where its value lies and how its bytes are read."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema, model_validator

from agent.collectors.modbus.address import LAST, Address, parse_address
from agent.collectors.modbus.points import REGISTERS, ByteOrder, DataType, Point
from agent.settings.base import TagBase

_NUMBERS_ONLY = ("scale", "offset", "round", "range", "deadband")

AddressField = Annotated[
    Address,
    PlainValidator(parse_address),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "examples": ["holding:0", "input:10.4", "coil:3", "discrete:7", "40021"]}),
]


class ModbusTag(TagBase):
    """One value of a Modbus device."""

    address: AddressField
    """Area and offset counted from zero (`holding:0`, `input:10.4` for a bit, `coil:3`, `discrete:7`, `holding:0x10`),
    or a Modicon address in quotes (`"40021"`)."""
    type: DataType | None = None
    """Data type; bool for coils, discrete inputs and bits, else uint16 where it is left out."""
    length: Annotated[int, Field(ge=1, le=250)] | None = None
    """Characters (bytes) of a string."""
    byte_order: ByteOrder | None = None
    """Overrides the device's."""

    @property
    def data_type(self) -> DataType:
        """The type, the default resolved."""
        if self.type is not None:
            return self.type
        return "bool" if self.address.of_bits or self.address.bit is not None else "uint16"

    @property
    def size(self) -> int:
        """Registers it takes (bits, in a bit area)."""
        if self.data_type == "string":
            return ((self.length or 1) + 1) // 2
        return REGISTERS.get(self.data_type, 1)

    def catalogue_type(self) -> str:
        return self.data_type

    @model_validator(mode="after")
    def _fits(self) -> ModbusTag:
        address, kind = self.address, self.data_type
        if address.of_bits and kind != "bool":
            raise ValueError(
                f"type {kind} at {address}: a {address.area} is one bit; leave `type` out, or name a register"
            )
        if address.bit is not None and kind != "bool":
            raise ValueError(
                f"type {kind} at {address}: that is one bit; leave `type` out, or write {address.area}:{address.offset}"
            )
        if kind == "bool" and not address.of_bits and address.bit is None:
            raise ValueError(f"type bool at {address}: a register has 16 bits; name one, for example {address}.0")
        if kind == "string" and self.length is None:
            raise ValueError("type string needs `length`, in characters")
        if kind != "string" and self.length is not None:
            raise ValueError(f"`length` belongs to strings, not to type {kind}; leave it out")
        if address.of_bits and self.byte_order is not None:
            raise ValueError(f"`byte_order` means nothing for a {address.area}; leave it out")
        if address.offset + self.size - 1 > LAST:
            raise ValueError(
                f"{address} with {self.size} registers ends beyond {LAST}; the last start is {LAST + 1 - self.size}"
            )
        if kind in ("bool", "string"):
            for key in _NUMBERS_ONLY:
                if getattr(self, key) is not None:
                    raise ValueError(f"`{key}` is for numbers, not for type {kind}; leave it out")
        return self

    def point(self, position: int, order: ByteOrder) -> Point:
        """The tag as the planner and the codec know it; `order` is the device's."""
        address = self.address
        return Point(
            position, address.area, address.offset, self.size, self.data_type, address.bit, self.byte_order or order,
            self.length or 0,
        )  # fmt: skip
