"""`type: mqtt` under `publishers:`. Knows nothing of the MQTT library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal

from msgspec import structs
from pydantic import Field, field_validator, model_validator

from agent.core.ports import BuildContext, Publisher, RouteInfo
from agent.publishers.mqtt.oversize import MAX_INCOMING
from agent.publishers.mqtt.urls import ENCRYPTED, split_proxy, split_url, websocket_path
from agent.settings.model import Model
from agent.settings.publishers import Carried, Finding, Mark, TopicConfig
from agent.settings.tls import BrokerTLS
from agent.settings.values import ByteSize, FilePath, Interval, Rate, Secret, is_loopback

if TYPE_CHECKING:
    from agent.publishers.mqtt.access import Access


class Will(Model):
    """What the broker publishes for the agent when it loses it: `offline`, on the agent's status topic."""

    retain: bool = True
    """false for brokers that take no retained will: who comes later then finds the agent online for ever."""


class MqttConfig(TopicConfig):
    """A broker that speaks MQTT 5 or 3.1.1."""

    type: Literal["mqtt"]
    """MQTT 5 or 3.1.1."""
    url: str
    """mqtt://host[:1883], or mqtts://host[:8883] for TLS; over WebSocket ws://host[:80][/mqtt], wss://host[:443][/mqtt]."""
    other_urls: list[str] = Field(default=[])
    """More brokers of the same plant: the next one is tried where one is not there or breaks off, and where Sparkplug's
    primary host is offline. It stays with the one that works."""
    proxy: str | None = None
    """The way to the broker leads through http://host[:3128] (CONNECT) or socks5://host[:1080]."""
    proxy_username: str | None = None
    """Who we are to the proxy."""
    proxy_password_file: FilePath | None = None
    """A file that holds the password for it, read at every connection."""
    version: Literal["auto", "5", "3.1.1"] = "auto"
    """auto: 5, and 3.1.1 where the broker does not speak 5 (3.1.1 cannot tell when it refuses a message)."""
    client_id: str | None = Field(default=None, min_length=1, max_length=256)
    """Must be unique at the broker; default {agent}-{publisher}."""
    username: str | None = None
    """User name …"""
    username_file: FilePath | None = None
    """… or a file that holds it, read at every connection."""
    password: Secret | None = None
    """Its password, as ${NAME} …"""
    password_file: FilePath | None = None
    """… or a file that holds it, read at every connection."""
    tls: BrokerTLS | None = None
    """Certificates; only with mqtts://, which verifies against the system's authorities without it."""
    will: Will | None = Will()
    """null: none; consumers then learn of a dead agent by its silence."""
    keep_alive: Interval = Field(default=30.0, ge=1, le=65535)
    """A link that died without a word is noticed within this time."""
    connect_timeout: Interval = 10.0
    """For resolving, connecting, TLS and the broker's answer together."""
    window: int = Field(default=20, ge=1, le=10000)
    """Unacknowledged messages; the broker's Receive Maximum caps it."""
    max_rate: Rate | None = None
    """Messages per second of all kinds, what is said at a connection included. Default: what the broker takes, learned
    from what it refuses and from stalls."""
    max_incoming_bytes: ByteSize = MAX_INCOMING
    """Largest packet the broker may send (Maximum Packet Size); a larger one is not kept, but counted."""

    on_no_subscriber: Literal["accept", "hold"] = "accept"
    """What follows when the broker has a message and nobody subscribes to it (PUBACK 0x10, MQTT 5 only). hold: it is
    kept and offered again every 30 s; the device's later records wait behind it."""

    @field_validator("url")
    @classmethod
    def _check_url(cls, value: str) -> str:
        split_url(value)
        return value

    @field_validator("other_urls")
    @classmethod
    def _check_urls(cls, value: list[str]) -> list[str]:
        for url in value:
            split_url(url)
        return value

    @field_validator("proxy")
    @classmethod
    def _check_proxy(cls, value: str | None) -> str | None:
        if value is not None:
            split_proxy(value)
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> MqttConfig:
        schemes = {split_url(url)[0] for url in (self.url, *self.other_urls)}
        if self.tls is not None and not schemes & set(ENCRYPTED):
            raise ValueError("tls: needs an encrypted connection; write mqtts:// or wss:// in url, or take tls: away")
        if self.proxy is None and (self.proxy_username is not None or self.proxy_password_file is not None):
            raise ValueError("credentials for a proxy without a proxy; write proxy:")
        if self.proxy_password_file is not None and self.proxy_username is None:
            raise ValueError("a password for the proxy without a user name; write proxy_username:")
        if self.password is not None and self.password_file is not None:
            raise ValueError("password and password_file exclude each other; keep one of them")
        if self.username is not None and self.username_file is not None:
            raise ValueError("username and username_file exclude each other; keep one of them")
        named = self.username is not None or self.username_file is not None
        if not named and (self.password is not None or self.password_file is not None):
            raise ValueError("a password without a user name; write username:")
        return self

    def brokers(self) -> list[str]:
        return [f"{host}:{port}" for _, host, port in map(split_url, (self.url, *self.other_urls))]

    def route(self, name: str, agent: str) -> RouteInfo:
        properties = None if self.version == "auto" else self.version == "5"
        return structs.replace(super().route(name, agent), properties=properties)

    def examine(self, route: RouteInfo, devices: Mapping[str, Carried]) -> Iterator[Finding]:
        yield from super().examine(route, devices)
        if self.will is None and self.encoder is not None and self.encoder.needs_will:
            yield Finding(f"{self.encoder.type} cannot do without a will; take this line away", ("will",))
        readable = any(
            scheme not in ENCRYPTED and not is_loopback(host)
            for scheme, host, _ in map(split_url, (self.url, *self.other_urls))
        )
        if readable and (self.password is not None or self.password_file is not None):
            yield Finding("the password crosses the network readable; mqtts:// encrypts", ("url",), wrong=False)

    def marks(self, route: RouteInfo, devices: Mapping[str, Carried]) -> Iterator[Mark]:
        client = self._client_id(route.name, route.agent)
        yield Mark(f"client id {client}", f"connects as {client!r}", "client_id")
        yield from super().marks(route, devices)

    def _client_id(self, name: str, agent: str) -> str:
        return self.client_id or f"{agent}-{name}"

    def access(self) -> Access:
        """Its brokers, and who the agent is to them."""
        from agent.publishers.mqtt.access import Access, Server
        from agent.publishers.mqtt.proxy import Proxy

        tls = self.tls or BrokerTLS()
        proxy = (
            Proxy(*split_proxy(self.proxy), username=self.proxy_username, password_file=self.proxy_password_file)
            if self.proxy is not None
            else None
        )
        return Access(
            servers=tuple(
                Server(host, port, tls if scheme in ENCRYPTED else None, websocket_path(url))
                for url in (self.url, *self.other_urls)
                for scheme, host, port in (split_url(url),)
            ),
            username=self.username,
            username_file=self.username_file,
            password=self.password.get_secret_value() if self.password is not None else None,
            password_file=self.password_file,
            proxy=proxy,
        )

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
