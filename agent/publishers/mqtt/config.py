"""`type: mqtt` under `publishers:`. Knows nothing of the MQTT library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from msgspec import structs
from pydantic import Field

from agent.core.ports import BuildContext, Publisher, RouteInfo
from agent.publishers.mqtt.connection import MqttConnection
from agent.publishers.mqtt.urls import ENCRYPTED, split_url
from agent.settings.model import Model
from agent.settings.publishers import Carried, ConfigFinding, Mark, TopicConfig
from agent.settings.values import Rate, is_loopback


class Will(Model):
    """What the broker publishes for the agent when it loses it: `offline`, on the agent's status topic."""

    retain: bool = True
    """false for brokers that take no retained will: a later subscriber then sees the agent online for ever."""


class MqttConfig(MqttConnection, TopicConfig):
    """A broker that speaks MQTT 5 or 3.1.1."""

    type: Literal["mqtt"]
    """MQTT 5 or 3.1.1."""
    will: Will | None = Will()
    """null: none; consumers then learn of a dead agent by its silence."""
    window: int = Field(default=20, ge=1, le=10000)
    """Unacknowledged messages; the broker's Receive Maximum caps it."""
    max_rate: Rate | None = None
    """Messages per second of all kinds, those of a new connection included. Default: what the broker takes, learned
    from what it refuses and from stalls."""
    on_no_subscriber: Literal["accept", "hold"] = "accept"
    """What follows when the broker has a message and nobody subscribes to it (PUBACK 0x10, MQTT 5 only). hold: it is
    kept and offered again every 30 s; the device's later records wait behind it."""

    def brokers(self) -> list[str]:
        return self.hosts()

    def route(self, name: str, agent: str) -> RouteInfo:
        properties = None if self.version == "auto" else self.version == "5"
        return structs.replace(super().route(name, agent), properties=properties)

    def examine(self, route: RouteInfo, devices: Mapping[str, Carried]) -> Iterator[ConfigFinding]:
        yield from super().examine(route, devices)
        if self.will is None and self.encoder is not None and self.encoder.needs_will:
            yield ConfigFinding(f"{self.encoder.type} cannot do without a will; take this line away", ("will",))
        readable = any(
            scheme not in ENCRYPTED and not is_loopback(host)
            for scheme, host, _ in map(split_url, (self.url, *self.other_urls))
        )
        if readable and (self.password is not None or self.password_file is not None):
            yield ConfigFinding("the password crosses the network readable; mqtts:// encrypts", ("url",), wrong=False)

    def marks(self, route: RouteInfo, devices: Mapping[str, Carried]) -> Iterator[Mark]:
        client = self._client_id(route.name, route.agent)
        yield Mark(f"client id {client}", f"connects as {client!r}", "client_id")
        yield from super().marks(route, devices)

    def _client_id(self, name: str, agent: str) -> str:
        return self.client_id or f"{agent}-{name}"

    def build(self, name: str, context: BuildContext) -> Publisher:
        from agent.publishers.mqtt.options import Options
        from agent.publishers.mqtt.publisher import MqttPublisher

        return MqttPublisher(
            Options(
                publisher=name,
                access=self.access(),
                version=self.version,
                client_id=self._client_id(name, context.agent),
                keep_alive=self.keep_alive,
                connect_timeout=self.connect_timeout,
                window=self.window,
                max_rate=self.max_rate,
                will="none" if self.will is None else "retained" if self.will.retain else "plain",
                max_incoming_bytes=self.max_incoming_bytes,
                hold_unheard=self.on_no_subscriber == "hold",
            ),
            context.clock,
        )
