"""A Modbus device in the configuration. Never imports the library."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from agent.collectors.modbus.connection import Dtu, Workarounds
from agent.collectors.modbus.plan import Limits
from agent.collectors.modbus.points import ByteOrder, Point
from agent.collectors.modbus.tag import ModbusTag
from agent.collectors.modbus.url import Target, parse_url
from agent.collectors.polling import poll_groups
from agent.core.ports import Collector, Site
from agent.settings.base import DeviceConfig, TagBase, TagName, TLSSettings


def _check_url(url: str) -> str:
    parse_url(url)
    return url


class ModbusConfig(DeviceConfig):
    """A device that speaks Modbus."""

    type: Literal["modbus"]
    url: Annotated[str, AfterValidator(_check_url)]
    """Where it is reached: `tcp://HOST[:502]`, `udp://`, `tls://HOST[:802]`, `rtu+tcp://`, `ascii+tcp://`,
    `serial:///dev/…?baudrate=9600&parity=E&stopbits=1`, or `tcp-listen://0.0.0.0:PORT` where a DTU dials in
    (docs/modbus.md). Devices at the same place share one connection."""
    tls: TLSSettings | None = None
    """Certificates; only with tls://. The server is always verified, against the system's authorities without it."""
    dtu: Dtu = Dtu()
    """What the DTU says that dials in; only with tcp-listen://."""
    workarounds: Workarounds = Workarounds()
    """What the device needs that does not do as the standard says."""
    unit_id: Annotated[int, Field(ge=0, le=255)] = 1
    """Unit (slave) address; behind a gateway each device has its own."""
    byte_order: ByteOrder = "ABCD"
    """The bytes of a 32-bit value as they arrive: ABCD big-endian, CDAB registers reversed, BADC bytes swapped within
    each register, DCBA both. For 64 bits CDAB and DCBA reverse all four registers; for 16 bits and strings only the
    swap within a register counts (BADC, DCBA)."""
    max_registers: Annotated[int, Field(ge=1, le=125)] = 125
    """Registers the device takes in one request."""
    max_bits: Annotated[int, Field(ge=1, le=2000)] = 2000
    """Coils or discrete inputs the device takes in one request."""
    max_gap: Annotated[int, Field(ge=0, le=2000)] = 0
    """Unrequested registers (or bits) a block may bridge; what lies there is read, too, and may be refused."""
    tags: dict[TagName, ModbusTag] = Field(default={})
    """The values to read."""

    @property
    def tag_table(self) -> dict[str, TagBase]:
        return dict(self.tags)

    @property
    def target(self) -> Target:
        """The URL, parsed."""
        return parse_url(self.url)

    def connection(self) -> tuple[str, dict[str, object]]:
        target, odd = self.target, self.workarounds
        return f"{target.place} {self.dtu.registration or ''}".strip(), {
            "url": target,
            "tls": self.tls,
            "dtu": self.dtu,
            "workarounds.pause_after_connect": odd.pause_after_connect,
            "workarounds.close_after_cycle": odd.close_after_cycle,
            "workarounds.echo": odd.echo,
        }

    @model_validator(mode="after")
    def _reachable(self) -> ModbusConfig:
        target = self.target
        if self.tls is not None and target.kind != "tls":
            raise ValueError("`tls` needs an encrypted connection; write tls:// in `url`, or take `tls` away")
        if self.dtu != Dtu() and target.kind != "listen":
            raise ValueError("`dtu` is for units that dial in; write tcp-listen:// in `url`, or take `dtu` away")
        if self.workarounds.echo and target.framing == "tcp":
            raise ValueError("`workarounds.echo` is for two-wire lines; Modbus TCP has no echo, take it away")
        if self.unit_id == 0 and target.framing != "tcp":
            raise ValueError("unit_id 0 is the broadcast address of a serial line, nobody answers; write 1 to 247")
        return self

    @model_validator(mode="after")
    def _readable(self) -> ModbusConfig:
        for name, tag in self.tags.items():
            if not tag.address.of_bits and tag.size > self.max_registers:
                raise ValueError(
                    f"tag {name!r} takes {tag.size} registers, more than max_registers: {self.max_registers}; "
                    f"a value is never split, raise max_registers to {tag.size} or shorten it"
                )
        return self

    @property
    def limits(self) -> Limits:
        """What the planner must keep to."""
        return Limits(self.max_registers, self.max_bits, self.max_gap)

    def points(self) -> list[Point]:
        """All tags, disabled ones too, in the order of the table."""
        return [tag.point(position, self.byte_order) for position, tag in enumerate(self.tags.values())]

    def build(self, name: str, site: Site) -> Collector:
        from agent.collectors.modbus.collector import ModbusCollector, Setup
        from agent.collectors.modbus.transports import line_to

        points = self.points()
        line = line_to(self.target, site, self.tls, self.dtu, self.workarounds)
        odd = self.workarounds
        line.know(self.unit_id, pause=odd.pause_between_requests, any_unit=odd.ignore_unit)
        setup = Setup(
            device=name,
            unit=self.unit_id,
            timeout=self.timeout,
            names=tuple(self.tags),
            groups=tuple(
                (group.interval, tuple(points[position] for position in group.positions))
                for group in poll_groups(self.tags.values(), self.interval)
            ),
            limits=self.limits,
            idle=self.interval,
        )
        return ModbusCollector(setup, line, site)
