"""One tag of a Modbus device in the configuration: where its value lies and how its bytes are read."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)

from agent.collectors.modbus.tags.address import Address, parse_address
from agent.collectors.modbus.tags.points import (
    FIELDS,
    OTHER_NAMES,
    REGISTERS,
    TIMES,
    ByteOrder,
    DataType,
    ModbusPoint,
    TextOrder,
    canonical_order,
    form_of,
)
from agent.collectors.modbus.tags.sentinels import Preset, of_floats, raw_nulls, sunspec
from agent.collectors.modbus.tags.tagcheck import check_tag
from agent.settings.model import Model
from agent.settings.tags import TagBase, TagName
from agent.settings.values import Duration
from agent.settings.zones import TimeZone, UtcOffset, zone_of

_VALUE_TYPES = {
    "int8": "int16", "uint8": "uint16", "int24": "int32", "uint24": "uint32", "int48": "int64", "uint48": "uint64",
    "float16": "float32", "bcd16": "uint16", "bcd32": "uint32", "sm16": "int16", "sm32": "int32",
    "mod10_32": "uint32", "mod10_48": "uint64", "mod10_64": "uint64",
} | dict.fromkeys(TIMES, "datetime")  # fmt: skip

AddressField = Annotated[
    Address,
    PlainValidator(parse_address),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "examples": ["holding:0", "input:10.4", "coil:3", "discrete:7", "40021"]}),
]


def _both(value: object) -> object:
    return [value, value] if isinstance(value, int) and not isinstance(value, bool) else value


def _ordered(bits: tuple[int, int]) -> tuple[int, int]:
    return (bits[0], bits[1]) if bits[0] <= bits[1] else (bits[1], bits[0])


Bit = Annotated[int, Field(ge=0, le=63)]
Bits = Annotated[tuple[Bit, Bit], BeforeValidator(_both), AfterValidator(_ordered)]


class Shared(NamedTuple):
    """What the device says for all of its tags."""

    byte_order: ByteOrder = "ABCD"
    byte_order_64: str | None = None
    null_values: Preset | None = None
    merge: bool = True
    trim: bool = True


class ReadOn(Model):
    """What makes a tag be read, instead of time."""

    tag: TagName
    """The bit that is watched: a tag of the same device, polled at its own interval. Shorter pulses are not seen."""
    edge: Literal["rising", "falling", "both"] = "rising"
    """Which change of it counts. What the bit is when the connection is made is no edge."""
    group: str | None = None
    """Tags of one group are read in one response where they fit; default: all with the same tag, edge and settle."""
    settle: Duration = 0.0
    """How long to wait after the edge, for devices that raise the bit before the values stand."""


def _called_otherwise(value: object) -> object:
    name = OTHER_NAMES.get(value.lower()) if isinstance(value, str) else None
    if name is None:
        return value
    raise ValueError(f"unknown type {value!r}; write {name}")


class ModbusTag(TagBase):
    """One value of a Modbus device."""

    address: AddressField
    """Area and offset counted from zero (`holding:0`, `input:10.4` for a bit, `coil:3`, `discrete:7`, `holding:0x10`),
    or a Modicon address in quotes (`"40021"`)."""
    type: Annotated[DataType | None, BeforeValidator(_called_otherwise)] = None
    """Data type; bool for coils, discrete inputs and bits, else uint16 where it is left out. docs/modbus.md tells
    them apart."""
    length: Annotated[int, Field(ge=1, le=250)] | None = None
    """Characters (bytes) of a string."""
    encoding: Literal["utf-8", "ascii", "latin-1", "gb18030"] | None = None
    """Of a string; default utf-8. gb18030 covers GBK and GB 2312."""
    string_order: TextOrder | None = None
    """Which byte of a register is the first character, or the only one (the low one, or the high one); default:
    high_first, or low_first where the byte order swaps bytes within registers."""
    byte_order: str | None = None
    """Overrides the device's. Besides the four: each letter of the value's bytes once, in the order they arrive
    (`GHEFCDAB`, `CDABGHEF` for 64 bits)."""
    bits: Bits | None = None
    """A field of a whole number, lowest and highest bit included: `[4, 7]`. Bit 0 is the least significant. Signed
    where the type is."""
    count: Annotated[int, Field(ge=1, le=2000)] | None = None
    """Elements of an array; the value is a list."""
    utc_offset: UtcOffset | None = None
    """How far the clock that fills a date and time is ahead of UTC (`"+08:00"`); default: not known, the text has no
    zone; `unix…` is UTC."""
    time_zone: TimeZone | None = None
    """Instead of `utc_offset`, where that clock goes over to summer time: its zone, `Europe/Berlin`."""
    scale_from: str | None = None
    """Where the decimal exponent of the value stands (SunSpec scale factor): a tag of the same device, or an address
    (int16). Read in the same response where it fits, else earlier in the same scan."""
    null_values: list[float | int | str] | dict[float | int | str, str] | Preset | None = None  # type: ignore[assignment]
    """Raw values that mean "no value"; a mapping names the status code of each (`{32768: BadSensorFailure}`);
    `sunspec`: what SunSpec says for the type."""
    together: str | None = None
    """Tags with the same word here are read in one response, always: all of them, or none."""
    merge: bool | None = None
    """Overrides the device's; false: read in a request of its own, and by no other."""
    read_on: ReadOn | None = None
    """Read when a bit changes, not at an interval."""

    @property
    def data_type(self) -> DataType:
        """The type, the default resolved."""
        if self.type is not None:
            return self.type
        return "bool" if self.address.of_bits or self.address.bit is not None else "uint16"

    @property
    def registers(self) -> int:
        """Registers of one value (1 in a bit area)."""
        kind = self.data_type
        if kind == "string":
            single = self.string_order in ("one_per_register", "one_per_register_high")
            return (self.length or 1) if single else ((self.length or 1) + 1) // 2
        return REGISTERS.get(kind, 1)

    @property
    def size(self) -> int:
        """Registers it takes (bits, in a bit area)."""
        return self.registers * (self.count or 1)

    @property
    def awaited(self) -> bool:
        return self.read_on is not None

    def catalogue_type(self) -> str:
        kind = "float64" if self.scale_from is not None else _VALUE_TYPES.get(self.data_type, str(self.data_type))
        return self.value_type(kind if self.count is None else f"{kind}[]")

    @model_validator(mode="after")
    def _fits(self) -> ModbusTag:
        check_tag(self)
        return self

    def for_normalizer(self, preset: Preset | None) -> ModbusTag:
        """The tag as what comes after the codec has to see it. `preset`: the device's."""
        nulls = self.null_values or preset
        if nulls is None:
            return self
        if self._codec_sees(nulls):
            return self.model_copy(update={"null_values": None})
        if isinstance(nulls, str):
            return self.model_copy(update={"null_values": sunspec(self.data_type)})
        if self.data_type in ("float32", "float64"):
            return self.model_copy(update={"null_values": of_floats(nulls, self.data_type)})
        return self

    def _codec_sees(self, nulls: object) -> bool:
        """Whether sentinels are looked for in the registers, because what comes out of the codec is not raw."""
        field = self.bits is not None and isinstance(nulls, str)
        return field or self.scale_from is not None or self.data_type in TIMES

    def point(self, position: int, shared: Shared, *, factor: int | None = None) -> ModbusPoint:
        """The tag as the planner and the codec know it."""
        address, kind, registers = self.address, self.data_type, self.registers
        wide = REGISTERS.get(kind) == 4 and kind != "mod10_64"
        order = self.byte_order or (wide and shared.byte_order_64) or shared.byte_order
        nulls = self.null_values or shared.null_values
        form = form_of(  # by place: it is looked up for every tag
            registers * (self.count or 1),
            kind,
            address.bit,
            order if kind == "string" else canonical_order(order, registers),
            self.length or 0,
            self.count or 0,
            self.bits or FIELDS.get(kind),
            self.encoding or "utf-8",
            shared.trim,
            self.string_order,
            zone_of(self.utc_offset, self.time_zone),
            raw_nulls(nulls, kind) if nulls and self._codec_sees(nulls) else (),
            not (shared.merge if self.merge is None else self.merge),
        )
        return ModbusPoint(position, address.area, address.offset, form, factor, self.together)
