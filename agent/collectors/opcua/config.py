"""`type: opcua`. Builds the collector and never imports asyncua."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema, field_validator

from agent.collectors.opcua.tag import OpcUaTag
from agent.collectors.opcua.times import format_utc_offset, parse_utc_offset
from agent.core.ports import Collector, Site
from agent.settings.base import DeviceConfig, Model, TagBase, TagName
from agent.settings.values import FilePath, Interval

_NO_USER = (
    "a user name needs an encrypted channel, which this version does not have yet: the password would cross the "
    "network readable; leave username and password away and let the server accept anonymous, read-only sessions"
)


def _check_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        good = parts.scheme == "opc.tcp" and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        good, parts = None, urlsplit("")
    if not good:
        raise ValueError(f"{value!r} is not the address of an OPC UA server; write opc.tcp://HOST:4840")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a user name does not belong into the url; " + _NO_USER)
    return value


class ClockSettings(Model):
    """How far a controller's clock is trusted."""

    use: Literal["source", "agent"] = "source"
    """source: readings carry the source's timestamps; agent: the time their answer arrived."""
    utc_offset: Annotated[
        float,
        BeforeValidator(parse_utc_offset),
        PlainSerializer(format_utc_offset),
        WithJsonSchema({"anyOf": [{"const": 0}, {"type": "string", "pattern": r"^[+-]\d{1,2}:\d{2}$"}]}),
    ] = 0.0
    """For a controller on local time: how far it runs ahead of UTC, `"+08:00"`."""
    max_skew: Interval = 5.0
    """A source time further ahead of the agent's clock than this is not believed: the time of arrival stands in."""


class SecuritySettings(Model):
    """Security of the channel. Only `policy: None` works in this version; everything else is refused."""

    policy: Literal["None", "Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"] = "None"
    """Security policy."""
    mode: Literal["None", "Sign", "SignAndEncrypt"] | None = None
    """Message security mode."""
    certificate: FilePath | None = None
    """Own certificate, DER or PEM."""
    private_key: FilePath | None = None
    """Its private key, PEM."""
    server_certificate: FilePath | None = None
    """The server's certificate, pinned."""


class OpcUaConfig(DeviceConfig):
    """An OPC UA server."""

    type: Literal["opcua"]
    """Protocol of the device."""
    url: Annotated[str, AfterValidator(_check_url)]
    """`opc.tcp://HOST:PORT/PATH`; port 4840 unless given."""
    mode: Literal["subscribe", "poll"] = "subscribe"
    """subscribe: the server says what changes; poll: the agent reads."""
    timeout: Interval = 5.0
    """How long to wait for an answer."""
    clock: ClockSettings = ClockSettings()
    """How far the server's timestamps are trusted."""
    security: SecuritySettings | None = None
    """Security of the channel; only None in this version."""
    username: str | None = None
    """Refused in this version: there is no encrypted channel yet."""
    password_file: FilePath | None = None
    """Refused in this version: there is no encrypted channel yet."""
    tags: dict[TagName, OpcUaTag] = Field(default_factory=dict)
    """The tags by name."""

    @field_validator("security", mode="after")
    @classmethod
    def _only_none(cls, value: SecuritySettings | None) -> SecuritySettings | None:
        if value is None:
            return None
        asked = {
            key: given for key, given in value.model_dump(exclude_none=True).items() if (key, given) not in _UNSECURED
        }
        if asked:
            raise ValueError(
                f"security is not available in this version (asked for: {', '.join(sorted(asked))}); leave `security:` "
                "away or write {policy: None, mode: None}, and keep the server reachable from a trusted network only"
            )
        return value

    @field_validator("username", "password_file", mode="before")
    @classmethod
    def _no_user(cls, value: Any) -> Any:
        if value is not None:
            raise ValueError(_NO_USER)
        return value

    @property
    def tag_table(self) -> dict[str, TagBase]:
        return dict(self.tags)

    def build(self, name: str, site: Site) -> Collector:
        from agent.collectors.opcua.collector import OpcUaCollector

        return OpcUaCollector(name, self, site)


_UNSECURED = {("policy", "None"), ("mode", "None")}
