"""A Modbus device in the configuration. Never imports the library."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from agent.collectors.modbus.plan import Limits
from agent.collectors.modbus.points import ByteOrder, Point
from agent.collectors.modbus.tag import ModbusTag
from agent.collectors.polling import poll_groups
from agent.core.ports import Collector, Site
from agent.settings.base import DeviceConfig, TagBase, TagName

_SCHEMES = ("tcp", "udp", "rtu+tcp", "tls", "serial")
_URL = 'write tcp://HOST:PORT, for example "tcp://192.168.10.21:502"'


class Endpoint(NamedTuple):
    """Where a device (or the gateway before it) listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_url(url: str) -> Endpoint:
    """Host and port of a device's URL. ValueError says what to write instead."""
    scheme, separator, _ = url.partition("://")
    if not separator:
        raise ValueError(f"{url!r} is not a URL; {_URL}")
    if scheme != "tcp":
        if scheme in _SCHEMES:
            raise ValueError(f"{scheme}:// is not supported yet, only Modbus TCP is; {_URL}")
        raise ValueError(f"{scheme}:// is no Modbus transport; {_URL}")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"{url!r} has no usable port or host; {_URL}") from None
    if not host or port == 0 or any(char.isspace() for char in host):
        raise ValueError(f"{url!r} names no host or port; {_URL}")
    if parts.path.strip("/") or parts.query or parts.fragment or parts.username is not None:
        raise ValueError(f"{url!r} has more than a host and a port; {_URL}")
    return Endpoint(host, 502 if port is None else port)


def _check_url(url: str) -> str:
    parse_url(url)
    return url


class ModbusConfig(DeviceConfig):
    """A device that speaks Modbus."""

    type: Literal["modbus"]
    url: Annotated[str, AfterValidator(_check_url)]
    """Where it listens: `tcp://HOST:PORT`, port 502 where none is given. Devices at the same one share a
    connection."""
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
        from agent.collectors.modbus.line import ModbusLine

        endpoint = parse_url(self.url)
        points = self.points()
        line: ModbusLine = site.line(
            f"modbus tcp://{endpoint}", lambda: ModbusLine.tcp(endpoint.host, endpoint.port, site.clock)
        )
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
