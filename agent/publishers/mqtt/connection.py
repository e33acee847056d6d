"""How a broker is reached: what a publisher and a historian's source have in common. Knows nothing of the library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator, model_validator

from agent.publishers.mqtt.oversize import MAX_INCOMING
from agent.publishers.mqtt.urls import ENCRYPTED, split_proxy, split_url, websocket_path
from agent.settings.model import Model
from agent.settings.tls import BrokerTLS
from agent.settings.values import ByteSize, FilePath, Interval, Secret

if TYPE_CHECKING:
    from agent.publishers.mqtt.access import Access


class MqttConnection(Model):
    """One broker, or several of one plant."""

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
    keep_alive: Interval = Field(default=30.0, ge=1, le=65535)
    """A link that died without a word is noticed within this time."""
    connect_timeout: Interval = 10.0
    """For resolving, connecting, TLS and the broker's answer together."""
    max_incoming_bytes: ByteSize = MAX_INCOMING
    """Largest packet the broker may send (Maximum Packet Size); a larger one is not kept, but counted."""

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
    def _fits_together(self) -> MqttConnection:
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

    def hosts(self) -> list[str]:
        """`host:port` of each broker."""
        return [f"{host}:{port}" for _, host, port in map(split_url, (self.url, *self.other_urls))]

    def access(self) -> Access:
        """Its brokers, and who the agent is to them."""
        from agent.publishers.mqtt.access import Access, Server
        from agent.publishers.mqtt.proxy import BrokerProxy

        tls = self.tls or BrokerTLS()
        proxy = (
            BrokerProxy(*split_proxy(self.proxy), username=self.proxy_username, password_file=self.proxy_password_file)
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
