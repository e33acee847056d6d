"""The configuration as a whole. Devices, publishers and encoders are filled in by the loader, each by its `type`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, SerializeAsAny, model_validator

from agent.settings.devices import DeviceConfig
from agent.settings.model import Model
from agent.settings.outbox import OutboxSettings
from agent.settings.publishers import PublisherConfig
from agent.settings.values import ByteSize, FilePath, Interval, Name, is_name


def check_segment(value: str) -> str:
    """A level of a topic: not empty, none of `+ # /`, no control characters (MQTT 5.0, 4.7)."""
    if not value or any(char in "+#/" or ord(char) < 32 or ord(char) == 127 for char in value):
        msg = f"{value!r} cannot be a level of a topic; leave out + # / and control characters"
        raise ValueError(msg)
    return value


#: One level of an ISA-95 path: it becomes one level of a topic.
Segment = Annotated[str, AfterValidator(check_segment)]


class ShardSettings(Model):
    """One of several agents that share this configuration, each reading the devices of a part of the buses."""

    index: int = Field(default=0, ge=0)
    """Which one, from 0; in a StatefulSet `"${POD_INDEX}"`. The agent's id becomes `{id}-{index}`."""
    count: int = Field(default=1, ge=1, le=1000)
    """How many there are; 1: this one reads everything, under its own id."""

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if self.index >= self.count:
            msg = f"index {self.index} of {self.count}; shards count from 0, write an index below count"
            raise ValueError(msg)
        return self


class AgentSettings(Model):
    """Who this agent is."""

    id: Name
    """Name of the agent, unique at its brokers: 1 to 64 of `A-Z a-z 0-9 _ -`."""
    location: list[Segment] = Field(default=[], min_length=1)
    """ISA-95 path of everything this agent reads; default: the agent's id alone."""
    data_dir: FilePath = Path("/data")
    """The only place written to."""
    reload: Literal["signal", "watch", "off"] = "signal"
    """When the configuration is read again. signal: at SIGHUP and `edge-agent reload`; watch: also when one of its
    files changes; off: never."""

    shard: ShardSettings = ShardSettings()
    """One of several agents that share this configuration, each reading the devices of a part of the buses
    (docs/shards.md)."""
    self: bool = False
    """true: what the agent knows of itself (outbox, devices online, CPU, memory) is published as the device `_agent`,
    every 10 s, by the publishers whose `devices:` match. The page shows it either way."""

    @model_validator(mode="after")
    def _has_room_for_an_index(agent) -> Self:  # noqa: N805 - `self` is a key
        longest = 64 - len(f"-{agent.shard.count - 1}")
        if agent.shard.count > 1 and len(agent.id) > longest:
            msg = f"{agent.id!r} is too long for an index behind it; at most {longest} characters with `shard`"
            raise ValueError(msg)
        return agent

    @model_validator(mode="before")
    @classmethod
    def _default_location(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and data.get("location") is None and is_name(data.get("id")):
            return {**data, "location": [data["id"]]}
        return data


class LogSettings(Model):
    """Logs go to standard output."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important level that is written."""
    format: Literal["json", "console"] = "json"
    """json: one object a line; console: for people."""


class HttpAuth(Model):
    """Access from beyond this machine to more than the health probes."""

    token_file: FilePath
    """File with the token that programs send as `Authorization: Bearer …` and people type into the login form."""


class HttpTLS(Model):
    """TLS of the HTTP port, 1.2 or newer. A renewed certificate is used for new connections."""

    cert_file: FilePath
    """Certificate, PEM, with those between it and its authority."""
    key_file: FilePath
    """Its private key, PEM, without a password."""


class HttpSettings(Model):
    """Health, metrics and status. From beyond loopback only `/healthz` and `/readyz` answer unless `auth` is given."""

    host: str = "127.0.0.1"
    """Address to listen on; `0.0.0.0` for all."""
    port: int = Field(default=8080, ge=0, le=65535)
    """Port; 0 takes a free one."""
    auth: HttpAuth | None = None
    """Opens the rest to those who have the token, also from beyond loopback."""
    tls: HttpTLS | None = None
    """Serves https instead of http."""


class HistorySettings(Model):
    """One-minute rollups of every tag, for the trends of the page. Nothing is written below `outbox.min_free_disk`."""

    keep: Interval = 48 * 3600.0
    """How long."""
    max_bytes: ByteSize = 128 << 20
    """How much, in `data_dir/history.sqlite`; the oldest go first. 1,000 tags take about 80 MB a day."""


class TemplateEntry(Model):
    """A device described once, for many: `${name}` in it is a parameter where one is declared."""

    parameters: dict[str, Any] = Field(default={})
    """Default of each parameter by its name; null: it must be given."""
    device: dict[str, Any]
    """The keys of a device, `type` among them."""


class Config(Model):
    """The whole configuration."""

    agent: AgentSettings
    """Who this agent is."""
    log: LogSettings = LogSettings()
    """Logs go to standard output."""
    http: HttpSettings | None = HttpSettings()
    """Health, metrics and status over HTTP; null turns it off."""
    outbox: OutboxSettings = OutboxSettings()
    """Defaults for every publisher's own outbox."""
    history: HistorySettings | None = None
    """What the page shows of the past; null turns it off. Default: on with `http` and
    `outbox.disk: always`, else off."""
    publishers: dict[Name, SerializeAsAny[PublisherConfig]] = Field(default={})
    """Where readings go, by name."""
    include: list[str] = Field(default=[])
    """Globs of files with more `devices:`, `devices_file:`, `templates:` and `publishers:`, relative to this file."""
    templates: dict[Name, TemplateEntry] = Field(default={})
    """Devices described once, for many: `template:` of a device names one, `with:` gives its parameters."""
    devices_file: FilePath | list[FilePath] | None = None
    """Tables with a device a row, CSV or XLSX (`x.xlsx#Sheet`): columns name, template, its parameters, any key."""
    devices: dict[Name, SerializeAsAny[DeviceConfig]] = Field(default={})
    """What is read, by name."""

    @model_validator(mode="before")
    @classmethod
    def _default_history(cls, data: Any) -> Any:
        """Without a page, or where the flash is spared, there is none."""
        if not isinstance(data, Mapping) or "history" in data:
            return data
        outbox = data.get("outbox")
        disk = outbox.get("disk", "always") if isinstance(outbox, Mapping) else getattr(outbox, "disk", "always")
        wanted = data.get("http", True) is not None and disk == "always"
        return {**data, "history": HistorySettings()} if wanted else data

    def location_of(self, device: str) -> list[str]:
        """The ISA-95 path of a device: its own or the agent's."""
        return self.devices[device].location or self.agent.location
