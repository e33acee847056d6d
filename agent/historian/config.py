"""The historian's configuration. Knows nothing of the MQTT library or of a database's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import Field, field_validator, model_validator

from agent.config.model import HttpSettings, LogSettings
from agent.publishers.mqtt.connection import MqttConnection
from agent.settings.model import Model
from agent.settings.tls import TLSSettings
from agent.settings.topics import check_levels
from agent.settings.values import ByteSize, FilePath, Interval, Name, Secret
from agent.settings.zones import TimeZone

_WRITE = "write sqlite:///plant.db, or postgresql://user@host/database"
_PARAMETERS = ("host", "port", "user", "dbname", "connect_timeout", "application_name", "options")


class HistorianSettings(Model):
    """What it is and where it writes."""

    id: Name
    """Name of the historian; its MQTT client id is {id}-{source}-historian."""
    data_dir: FilePath = Path("/data")
    """Its socket, its lock and an SQLite database are here."""
    database: str
    """sqlite:///plant.db (relative to data_dir; sqlite:////srv/plant.db is absolute), or
    postgresql://user@host[:5432]/database."""
    password: Secret | None = None
    """Password of the database's user, as ${NAME} …"""
    password_file: FilePath | None = None
    """… or a file that holds it, read at every connection."""
    tls: TLSSettings | None = None
    """Certificates for PostgreSQL. With it the server's certificate is verified; without it TLS is used, unverified,
    where the server offers it."""
    retention: Interval | None = 365 * 86400.0
    """Older readings are thrown away; null: kept for ever."""
    group: Name | None = None
    """Historians with the same group share the work (MQTT 5 shared subscription, PostgreSQL only)."""
    repair: bool = True
    """Ask the agents for what is missing."""

    @field_validator("database")
    @classmethod
    def _check_database(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme == "sqlite":
            if parts.netloc or not parts.path.strip("/"):
                raise ValueError(f"{value!r} names no file; {_WRITE}")
        elif parts.scheme in ("postgresql", "postgres"):
            _check_postgres(value)
        else:
            raise ValueError(f"unsupported database {value!r}; {_WRITE}")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> HistorianSettings:
        if self.password is not None and self.password_file is not None:
            raise ValueError("password and password_file exclude each other; keep one of them")
        if self.sqlite:
            if self.group is not None:
                raise ValueError(
                    "group: needs PostgreSQL, where several historians meet; write database: postgresql://…"
                )
            if self.tls is not None or self.password is not None or self.password_file is not None:
                raise ValueError("SQLite has no password and no TLS; take password:, password_file: and tls: away")
        return self

    @property
    def sqlite(self) -> bool:
        """Whether the database is a file."""
        return self.database.startswith("sqlite:")

    @property
    def sqlite_path(self) -> Path:
        """The file; relative ones start at data_dir."""
        return self.data_dir / unquote(urlsplit(self.database).path.removeprefix("/"))

    @property
    def shown(self) -> str:
        """The database for people, without what may be secret."""
        if self.sqlite:
            return str(self.sqlite_path)
        parts = urlsplit(self.database)
        return f"postgresql://{parts.netloc}{parts.path}"


def _check_postgres(value: str) -> None:
    parts = urlsplit(value)
    if parts.password is not None:
        raise ValueError("a literal password is refused; write password_file:, or password: ${NAME}")
    try:
        _ = parts.port
    except ValueError:
        raise ValueError(f"{value!r} has no port number; {_WRITE}") from None
    foreign = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True) if name not in _PARAMETERS]
    if foreign:
        known = ", ".join(_PARAMETERS)
        raise ValueError(f"unknown parameter {foreign[0]!r} in the URL; {known} are known, TLS is `tls:`")


class SourceConfig(MqttConnection):
    """A broker with records of the `json` encoder."""

    type: Literal["mqtt"] = "mqtt"
    """MQTT 5 or 3.1.1."""
    root: str = "edge"
    """First level of the agents' topics."""
    topics: list[str] = Field(default=["{root}/#"])
    """What to subscribe to; {root} is the one above. Add filters where `topic:` of a publisher leads elsewhere."""
    session_expiry: Interval = 7 * 86400.0
    """So long the broker keeps what comes while the historian is away (MQTT 5)."""
    max_incoming_bytes: ByteSize = 16 << 20
    """Largest packet the broker may send (Maximum Packet Size); a larger one is not kept, but counted."""
    encoder: dict[str, Any] | None = None
    """Only `{type: json}`: other payloads carry no (epoch, seq), so nobody can tell what is missing or came twice."""

    @field_validator("root")
    @classmethod
    def _check_root(cls, value: str) -> str:
        return check_levels(value, "root")

    @field_validator("topics")
    @classmethod
    def _check_topics(cls, value: list[str]) -> list[str]:
        if not value:
            raise ValueError('an empty list brings nothing; write ["{root}/#"]')
        for topic in value:
            _check_filter(topic)
        return value

    @field_validator("encoder")
    @classmethod
    def _check_encoder(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        kind = value.get("type") if value is not None else "json"
        if kind != "json":
            raise ValueError(
                f"encoder {kind!r} carries no (epoch, seq) in its payload, so nobody can tell what is missing or came "
                "twice; give the agent a publisher with encoder: {type: json} and name its broker here"
            )
        return value

    def filters(self) -> list[str]:
        """What to subscribe to."""
        return [topic.replace("{root}", self.root) for topic in self.topics]


def _check_filter(topic: str) -> None:
    bare = topic.replace("{root}", "root")
    levels = bare.split("/")
    if bare.startswith("spBv1.0/"):
        raise ValueError(
            f"{topic!r} is Sparkplug B, which carries no (epoch, seq); give the agent a publisher with encoder: "
            "{type: json} and name its topics"
        )
    if bare.startswith("$share/"):
        raise ValueError(f"{topic!r} is a shared subscription; write the filter alone and `historian: {{group: …}}`")
    wrong = "#" in levels[:-1] or any(("#" in one and one != "#") or ("+" in one and one != "+") for one in levels)
    if not bare or wrong or "{" in bare or "\0" in bare:
        raise ValueError(f"{topic!r} is no topic filter; write {{root}}/#, or edge/plant/+/readings")


class PlantSettings(Model):
    """What `report` must know of the plant."""

    equipment: int | None = Field(default=None, ge=1)
    """Devices the plant itself counts: the denominator of its networking rate."""
    time_zone: TimeZone = "UTC"
    """In which a day begins and ends, as Asia/Shanghai."""
    calendar: FilePath | None = None
    """A file of planned stops."""


class HistorianHttp(HttpSettings):
    """Health, metrics and status. From beyond loopback only `/healthz` and `/readyz` answer unless `auth` is given."""

    port: int = Field(default=8081, ge=0, le=65535)
    """Port; 0 takes a free one."""


class HistorianConfig(Model):
    """The whole configuration of a historian."""

    historian: HistorianSettings
    """What it is and where it writes."""
    sources: dict[Name, SourceConfig] = Field(min_length=1)
    """Brokers to listen to, by name. Where two bring the same device of an agent, the first one counts."""
    plant: PlantSettings = PlantSettings()
    """What `report` must know of the plant."""
    http: HistorianHttp | None = HistorianHttp()
    """Health, metrics and status over HTTP; null turns it off."""
    log: LogSettings = LogSettings()
    """Logs go to standard output."""

    @model_validator(mode="after")
    def _group_speaks_five(self) -> HistorianConfig:
        old = [name for name, source in self.sources.items() if source.version == "3.1.1"]
        if self.historian.group is not None and old:
            raise ValueError(f"group: needs MQTT 5, and sources.{old[0]} says version: 3.1.1; take one of them away")
        return self

    @model_validator(mode="before")
    @classmethod
    def _no_sources(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and data.get("sources") == {}:
            raise ValueError("`sources` is empty; name a broker: plant: {type: mqtt, url: mqtt://127.0.0.1:1883}")
        return data
