"""`type: mqtt` under `publishers:`. Knows nothing of the MQTT library."""

from __future__ import annotations

import re
import string
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from agent.core.ports import Publisher, Site
from agent.settings.base import PublisherConfig, TLSSettings
from agent.settings.values import FilePath, Interval, Secret

_SCHEMES = {"mqtt": 1883, "mqtts": 8883}
_MEANT = {"tcp": "mqtt", "ssl": "mqtts", "tls": "mqtts", "mqtt+ssl": "mqtts", "http": "mqtt", "https": "mqtts"}
_VARIABLES = ("root", "location", "device", "agent")


def split_url(url: str) -> tuple[str, str, int]:
    """Scheme, host, port of a broker's URL. ValueError says what to write instead."""
    example = "write mqtt://host:1883 or mqtts://host:8883"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{url!r} is not the URL of a broker: {error}; {example}") from None
    if parts.scheme in ("ws", "wss"):
        raise ValueError("MQTT over WebSocket is not supported yet; use the broker's mqtt:// or mqtts:// listener")
    if parts.scheme in _MEANT:
        raise ValueError(f"{parts.scheme}:// is no scheme of ours; write {_MEANT[parts.scheme]}://")
    if parts.scheme not in _SCHEMES:
        raise ValueError(f"{url!r} is not the URL of a broker; {example}")
    if parts.username is not None or parts.password is not None:
        raise ValueError("credentials do not belong into the URL; write username: and password_file:")
    if not parts.hostname:
        raise ValueError(f"{url!r} names no host; {example}")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(f"nothing may follow host and port of a broker's URL; {example}")
    return parts.scheme, parts.hostname, port or _SCHEMES[parts.scheme]


class MqttConfig(PublisherConfig):
    """A broker that speaks MQTT 5 or 3.1.1."""

    type: Literal["mqtt"]
    """MQTT 5 or 3.1.1."""
    url: str
    """mqtt://host[:1883], or mqtts://host[:8883] for TLS."""
    other_urls: list[str] = Field(default=[])
    """More servers of the same plant: the next one is tried where one is not there, or where Sparkplug's primary host
    is offline."""
    version: Literal["auto", "5", "3.1.1"] = "auto"
    """auto: 5, and 3.1.1 where the broker does not speak 5 (3.1.1 cannot tell when it refuses a message)."""
    client_id: str | None = Field(default=None, min_length=1, max_length=256)
    """Must be unique at the broker; default {agent}-{publisher}."""
    username: str | None = None
    """User name."""
    password: Secret | None = None
    """Its password, as ${NAME} …"""
    password_file: FilePath | None = None
    """… or a file that holds it, read at every connection."""
    tls: TLSSettings | None = None
    """Certificates; only with mqtts://, which verifies against the system's authorities without it."""
    keep_alive: Interval = Field(default=30.0, ge=1, le=65535)
    """A link that died without a word is noticed within one and a half times this."""
    connect_timeout: Interval = 10.0
    """For resolving, connecting, TLS and the broker's answer together."""
    window: int = Field(default=20, ge=1, le=10000)
    """Unacknowledged messages; the broker's Receive Maximum caps it."""

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

    @field_validator("topic")
    @classmethod
    def _check_topic(cls, value: str) -> str:
        try:
            names = [name for _, name, _, _ in string.Formatter().parse(value) if name is not None]
        except ValueError as error:
            raise ValueError(f"{value!r} is not a topic template: {error}") from None
        if unknown := sorted(set(names) - set(_VARIABLES)):
            known = ", ".join(f"{{{name}}}" for name in _VARIABLES)
            raise ValueError(f"{{{unknown[0]}}} is not known in a topic; known are {known}")
        if "device" not in names:
            raise ValueError("two devices would share a topic; put {device} into it")
        return _check_level(value, "topic")

    @field_validator("root")
    @classmethod
    def _check_root(cls, value: str) -> str:
        return _check_level(value, "root")

    @model_validator(mode="after")
    def _fits_together(self) -> MqttConfig:
        schemes = {split_url(url)[0] for url in (self.url, *self.other_urls)}
        if self.tls is not None and schemes == {"mqtt"}:
            raise ValueError("tls: needs an encrypted connection; write mqtts:// in url, or take tls: away")
        if self.password is not None and self.password_file is not None:
            raise ValueError("password and password_file exclude each other; keep one of them")
        if self.username is None and (self.password is not None or self.password_file is not None):
            raise ValueError("a password without a user name; write username:")
        return self

    def build(self, name: str, site: Site) -> Publisher:
        from agent.publishers.mqtt.publisher import MqttPublisher, Options, Server

        servers = [split_url(url) for url in (self.url, *self.other_urls)]
        return MqttPublisher(
            Options(
                publisher=name,
                servers=tuple(
                    Server(host, port, (self.tls or TLSSettings()) if scheme == "mqtts" else None)
                    for scheme, host, port in servers
                ),
                version=self.version,
                client_id=self.client_id or f"{site.agent}-{name}",
                username=self.username,
                password=self.password.get_secret_value() if self.password is not None else None,
                password_file=self.password_file,
                keep_alive=self.keep_alive,
                connect_timeout=self.connect_timeout,
                window=self.window,
                hold_unheard=self.on_no_subscriber == "hold",
            ),
            site.clock,
        )


def _check_level(value: str, key: str) -> str:
    if not value or re.search(r"[+#\x00-\x1f\x7f]", value) or value.startswith(("$", "/")) or value.endswith("/"):
        raise ValueError(
            f"{value!r} is no {key}: it must not be empty, begin with $ or /, end with /, or hold + # or control "
            "characters"
        )
    return value
