"""A Modbus device in the configuration. Never imports the library."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from agent.collectors.modbus.blocks.budget import bus_load, request_seconds
from agent.collectors.modbus.blocks.plan import Block
from agent.collectors.modbus.bus.connection import Dtu, Workarounds
from agent.collectors.modbus.bus.url import BusTarget, parse_url
from agent.collectors.modbus.reads import ModbusReads
from agent.collectors.modbus.tags.oddities import odd_tags
from agent.core.ports import BuildContext, Collector
from agent.settings.devices import BusLoad
from agent.settings.tls import TLSSettings
from agent.settings.values import NetworkRange, format_duration, is_loopback


def _check_url(url: str) -> str:
    parse_url(url)
    return url


#: A time-out longer than so many intervals is no patience, but a standstill.
_PATIENT = 10


class ModbusConfig(ModbusReads):
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
    allow: list[NetworkRange] = Field(default_factory=list)
    """Networks the DTU may dial in from; only with tcp-listen://. Default: any."""
    workarounds: Workarounds = Workarounds()
    """What the device needs that does not do as the standard says."""
    retries: Annotated[int, Field(ge=0, le=3)] = 0
    """How often a silent block is asked again within the scan, for devices that sleep; each costs a `timeout`."""
    unit_id: Annotated[int, Field(ge=0, le=255)] = 1
    """Unit (slave) address; behind a gateway each device has its own."""

    @property
    def target(self) -> BusTarget:
        """The URL, parsed."""
        return parse_url(self.url)

    def bus_name(self) -> str:
        return self.target.place  # DTUs that dial in at one address find one agent there

    def connection(self) -> tuple[str, dict[str, object]]:
        target, odd = self.target, self.workarounds
        return f"{target.place} {self.dtu.registration or ''}".strip(), {
            "url": target,
            "tls": self.tls,
            "dtu": self.dtu,
            "allow": self.allow,
            "workarounds.pause_after_connect": odd.pause_after_connect,
            "workarounds.close_after_cycle": odd.close_after_cycle,
            "workarounds.one_connection": odd.one_connection,
            "workarounds.echo": odd.echo,
            "workarounds.transaction_ids": odd.transaction_ids,
            "workarounds.mbap_length": odd.mbap_length,
            "workarounds.extra_zeros": odd.extra_zeros,
        }

    @model_validator(mode="after")
    def _reachable(self) -> ModbusConfig:
        target = self.target
        if self.tls is not None and target.kind != "tls":
            raise ValueError("`tls` needs an encrypted connection; write tls:// in `url`, or take `tls` away")
        if self.dtu != Dtu() and target.kind != "listen":
            raise ValueError("`dtu` is for units that dial in; write tcp-listen:// in `url`, or take `dtu` away")
        if self.allow and target.kind != "listen":
            raise ValueError("`allow` is for units that dial in; write tcp-listen:// in `url`, or take `allow` away")
        if self.workarounds.echo and target.framing == "tcp":
            raise ValueError("`workarounds.echo` is for two-wire lines; Modbus TCP has no echo, take it away")
        odd = self.workarounds
        if target.framing != "tcp" and (odd.transaction_ids, odd.mbap_length) != ("check", "check"):
            raise ValueError(
                "`workarounds.transaction_ids` and `mbap_length` are for Modbus TCP, UDP and TLS; RTU and ASCII have "
                "neither, take them away"
            )
        if target.framing != "rtu" and odd.extra_zeros != "check":
            raise ValueError("`workarounds.extra_zeros` is for RTU; other frames name their beginning, take it away")
        if self.unit_id == 0 and target.framing != "tcp":
            raise ValueError("unit_id 0 is the broadcast address of a serial line, nobody answers; write 1 to 247")
        return self

    def oddities(self) -> Iterable[str]:
        yield from super().oddities()
        yield from (f"tags.{words}" for words in odd_tags(self.tags, sunspec=self.null_values == "sunspec"))
        if self.timeout > _PATIENT * self.interval:
            yield (
                f"timeout: {format_duration(self.timeout)} is more than {_PATIENT} intervals of"
                f" {format_duration(self.interval)}; one silent request skips them all: write"
                f" {format_duration(_PATIENT * self.interval)} or less"
            )
        target = self.target
        if target.kind == "listen" and not is_loopback(target.host) and not (self.allow or self.dtu.registration):
            yield (
                f"url: whoever reaches {target.host}:{target.port} is taken for this device; "
                "write dtu: {registration: …}, and allow: [192.168.10.0/24] with the networks it dials in from"
            )

    def answers(self) -> str | None:
        return f"unit {self.unit_id} at {self.connection()[0]}"

    def seconds_of(self, block: Block) -> float:
        target = self.target
        if target.kind != "serial":
            return 0.0
        return request_seconds(block, target.serial, target.framing, self.workarounds.pause_between_requests)

    def bus_load(self) -> BusLoad | None:
        target = self.target
        if target.kind != "serial":
            return None
        pause = self.workarounds.pause_between_requests
        return bus_load(target.place, self.layout(), self.limits, target.serial, target.framing, pause=pause)

    def build(self, name: str, context: BuildContext) -> Collector:
        from agent.collectors.modbus.blocks.setup import Setup
        from agent.collectors.modbus.bus.transports import bus_to
        from agent.collectors.modbus.collector import ModbusCollector

        layout = self.layout()
        bus = bus_to(self.target, context, self.tls, self.dtu, self.workarounds, self.allow)
        odd = self.workarounds
        context.while_running(
            lambda: bus.know(self.unit_id, pause=odd.pause_between_requests, any_unit=odd.ignore_unit)
        )
        setup = Setup(
            device=name,
            unit=self.unit_id,
            timeout=self.timeout,
            names=layout.names,
            tags=layout.tags,
            groups=layout.groups,
            triggers=layout.triggers,
            unread=layout.unread,
            limits=self.limits,
            retries=self.retries,
            idle=self.interval,
        )
        return ModbusCollector(setup, bus, context)
