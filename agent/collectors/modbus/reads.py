"""What is read from a Modbus device, whatever way it is reached: limits, layout, tags. Never imports the library."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from agent.collectors.modbus.blocks.layout import Layout, lay_out, parse_range
from agent.collectors.modbus.blocks.plan import Block, BlockLimits, plan
from agent.collectors.modbus.tags.address import Address, parse_address
from agent.collectors.modbus.tags.points import ByteOrder, ModbusPoint, canonical_order
from agent.collectors.modbus.tags.ranges import spread_tag
from agent.collectors.modbus.tags.sentinels import Preset
from agent.collectors.modbus.tags.tag import ModbusTag, Shared
from agent.settings.devices import Cycle, DeviceConfig, Request
from agent.settings.tags import TagBase, TagName

_LAYOUT = "_layout"  #: no field: what iterates over a model passes over names that begin so


def _check_order(order: str) -> str:
    canonical_order(order, 4)
    return order


def _check_range(text: str) -> str:
    parse_range(text)
    return text


class ModbusReads(DeviceConfig, ABC):
    """Limits and tags of a Modbus device."""

    byte_order: ByteOrder = "ABCD"
    """The bytes of a 32-bit value as they arrive: ABCD big-endian, CDAB registers reversed, BADC bytes swapped within
    each register, DCBA both. For 64 bits CDAB and DCBA reverse all four registers; for 16 bits and strings only the
    swap within a register counts (BADC, DCBA)."""
    byte_order_64: Annotated[str, AfterValidator(_check_order)] | None = None
    """Of 64-bit values, where it is another: one of the four, or each of ABCDEFGH once, as they arrive (`CDABGHEF`)."""
    null_values: Preset | None = None
    """For every tag without its own: `sunspec`, what SunSpec says for its type."""
    trim: bool = True
    """Text without blanks around it, and without the 0xFF bytes some devices fill it up with; false: as it came, up to
    its first NUL."""
    max_registers: Annotated[int, Field(ge=1, le=125)] = 125
    """Registers the device takes in one request."""
    max_bits: Annotated[int, Field(ge=1, le=2000)] = 2000
    """Coils or discrete inputs the device takes in one request."""
    max_gap: Annotated[int, Field(ge=0, le=2000)] = 0
    """Unrequested registers (or bits) a block may bridge; what lies there is read, too, and may be refused."""
    never_read: list[Annotated[str, AfterValidator(_check_range)]] = Field(default=[])
    """Offsets no request covers: `holding:100-110`, `input:7`. A tag that lies there is bad and costs nothing."""
    merge: bool = True
    """false: every tag is read in a request of its own."""
    align_registers: Annotated[int, Field(ge=1, le=125)] = 1
    """Requests of registers begin at a multiple of this."""
    align_bits: Annotated[int, Field(ge=1, le=2000)] = 1
    """Requests of coils and discrete inputs begin at a multiple of this."""
    coils_from_zero: bool = False
    """Requests of coils begin at coil 0, for devices that answer others wrongly."""
    tags: dict[TagName, ModbusTag] = Field(default={})
    """The values to read."""

    @classmethod
    def spread(cls, name: str, keys: object) -> Mapping[str, object] | None:
        return spread_tag(name, keys)

    @property
    def scan_intervals(self) -> Sequence[float]:
        polled = (tag.interval or self.interval for tag in self.tags.values() if tag.enabled)
        return sorted({interval for interval in polled if not isinstance(interval, str)})

    def cycles(self, max_gap: int | None = None) -> Sequence[Cycle]:
        layout = self.layout()
        limits = self.limits if max_gap is None else self.limits._replace(max_gap=max_gap)
        found = []
        for interval, points in layout.groups:
            asked = [point for point in points if point.position not in layout.unread]
            requests = tuple(self._request(block) for block in plan(asked, limits)) if asked else ()
            found.append(Cycle(interval, len(asked), requests))
        return found

    def _request(self, block: Block) -> Request:
        wanted = {place for point in block.points for place in range(point.offset, point.end)}
        return Request(str(block), len(wanted), block.count, self.seconds_of(block))

    def seconds_of(self, block: Block) -> float:
        """What a request takes of its bus beside the round trip; 0 where the time on the wire is no matter."""
        del block
        return 0.0

    def registers(self) -> Self:
        places = {
            str(Address(tag.address.area, tag.address.offset + step))
            for tag in self.tags.values()
            if not tag.address.of_bits
            for step in range(tag.size)
        }
        ordered = sorted((parse_address(place) for place in places), key=lambda one: (one.area, one.offset))
        return self.model_copy(update={"tags": {str(one): ModbusTag(address=one) for one in ordered}})

    @property
    def tag_table(self) -> dict[str, TagBase]:
        preset = self.null_values
        return {
            name: tag if tag.null_values is None is preset else tag.for_normalizer(preset)
            for name, tag in self.tags.items()
        }

    @model_validator(mode="after")
    def _readable(self) -> ModbusReads:
        self.layout()
        return self

    @property
    def limits(self) -> BlockLimits:
        """What the planner must keep to."""
        return BlockLimits(
            self.max_registers,
            self.max_bits,
            self.max_gap,
            self.align_registers,
            self.align_bits,
            self.coils_from_zero,
            tuple(parse_range(text) for text in self.never_read),
        )

    @property
    def shared(self) -> Shared:
        """What holds for all tags without their own."""
        return Shared(self.byte_order, self.byte_order_64, self.null_values, self.merge, self.trim)

    def points(self) -> list[ModbusPoint]:
        """All tags, disabled ones too, in the order of the table."""
        return [tag.point(position, self.shared) for position, tag in enumerate(self.tags.values())]

    def layout(self) -> Layout:
        """What is read, and when. ValueError where a tag cannot be read as it is configured.

        Made once: validation looks at it, then whoever builds the collector, and it is a tenth of a start.
        """
        made_of = (self.shared, self.limits, self.interval)
        tags, known, layout = self.__dict__.get(_LAYOUT, (None, None, None))
        if isinstance(layout, Layout) and tags is self.tags and known == made_of:  # else a copy has other tags
            return layout
        layout = lay_out(self.tags, *made_of)
        self.__dict__[_LAYOUT] = self.tags, made_of, layout
        return layout
