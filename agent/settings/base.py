"""Base models of what can be configured. A subclass lives in its component's folder and builds the component.

All models are frozen and know no unknown keys. They are read once, compiled into plans and dropped: nothing on the
path of a reading looks at them.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    SerializeAsAny,
    field_validator,
    model_validator,
)

from agent.core.image import TagInfo
from agent.core.ports import Collector, Encoder, Publisher, RouteInfo, Site
from agent.core.quality import is_status_name, number_of, quality_of
from agent.settings.values import ByteSize, Duration, FilePath, Interval, Rate, format_duration

#: What is held back is not on disk yet: a crash may cost this many seconds of readings.
MAX_BATCH_DELAY = 60.0


class Model(BaseModel):
    """Frozen, no unknown keys; field docstrings become the reference."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=False)


# --- tags -------------------------------------------------------------------------------------------------------------


class Range(Model):
    """Engineering limits after scaling."""

    min: FiniteFloat | None = None
    """Lowest plausible value, in the tag's unit."""
    max: FiniteFloat | None = None
    """Highest plausible value, in the tag's unit."""

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if self.min is not None and self.max is not None and self.min > self.max:
            msg = f"min {self.min:g} is above max {self.max:g}; swap them"
            raise ValueError(msg)
        return self


class PercentDeadband(Model):
    """A deadband relative to the last reported value."""

    percent: float = Field(gt=0, le=100)
    """Percent of the last reported value."""


def _check_text(value: str) -> str:
    if not value or len(value) > 256 or any(ord(char) < 32 or ord(char) == 127 for char in value):
        msg = "a tag name has 1 to 256 characters and no control characters"
        raise ValueError(msg)
    return value


TagName = Annotated[str, AfterValidator(_check_text)]


_WHOLE = re.compile(r"0|-?[1-9]\d{0,19}", re.ASCII)


class TagBase(Model):
    """Keys every tag may have, whatever the protocol."""

    unit: str | None = None
    """Engineering unit, UCUM notation (`Cel`, `bar`, `1/min`)."""
    description: str | None = None
    """Free text in any language."""
    enabled: bool = True
    """false: not read; said once as bad, BadOutOfService."""
    scale: FiniteFloat | int | None = None
    """Raw value times this …"""
    offset: FiniteFloat | int | None = None
    """… plus this."""
    range: Range | None = None
    """Outside: uncertain, UncertainEngineeringUnitsExceeded."""
    null_values: list[float | int | str] | dict[float | int | str, str] | None = None
    """Raw values that mean "no value"; a mapping names the status code of each (`{32768: BadSensorFailure}`)."""
    enum: dict[int, str] | None = None
    """Text for numbers; the number stays in `value`, the text goes into `label`."""
    round: int | None = Field(default=None, ge=0, le=15)
    """Decimal places kept after scaling."""
    interval: Interval | Literal["once"] | None = None
    """Overrides the device's; `once`: read once per connection."""
    report: Literal["every", "on_change"] | None = None
    """Every reading, or only changes (see deadband, max_silence). Default: every when polled."""
    deadband: Annotated[float, Field(gt=0)] | PercentDeadband | None = None
    """Smaller changes are not reported. Implies `report: on_change`."""
    max_silence: Interval | None = None
    """An unchanged value is said again (`why: heartbeat`) after this long."""

    @field_validator("enum", mode="before")
    @classmethod
    def _number_keys(cls, value: object) -> object:
        """A program that writes JSON can write a key as text only: `"1"` means the number."""
        if not isinstance(value, dict):
            return value
        texts = {key for key in value if isinstance(key, str) and _WHOLE.fullmatch(key) and int(key) not in value}
        return {int(key) if key in texts else key: text for key, text in value.items()}

    @field_validator("null_values")
    @classmethod
    def _status_names(cls, value: object) -> object:
        for name in value.values() if isinstance(value, dict) else ():
            if not is_status_name(name) or quality_of(number_of(name)) != "bad":
                msg = f"{name!r} is not a bad OPC UA status code; write for example BadSensorFailure, or a plain list"
                raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _no_contradiction(self) -> Self:
        if self.report == "every" and self.deadband is not None:
            msg = "a deadband reports only changes; leave out `report: every` or the deadband"
            raise ValueError(msg)
        return self

    @property
    def awaited(self) -> bool:
        """Whether it is said only when something happens that may not happen for a long time."""
        return False

    def catalogue_type(self) -> str | None:
        """Data type for the catalogue, where the configuration knows it."""
        return None


# --- devices ----------------------------------------------------------------------------------------------------------


class BatchSettings(Model):
    """How readings are gathered into batches."""

    max_delay: Duration = 0.0
    """A batch may wait this long to become larger, at most 60s. One that has 1000 readings goes at once."""

    @field_validator("max_delay")
    @classmethod
    def _bounded(cls, value: float) -> float:
        if value > MAX_BATCH_DELAY:
            msg = f"{format_duration(value)} is longer than a batch may wait; write 60s or less, or read less often"
            raise ValueError(msg)
        return value


class BusLoad(NamedTuple):
    """What a device takes of a bus whose time is limited."""

    bus: str  #: devices that name the same share it
    share: float  #: seconds per second
    words: str  #: how it comes about


class Claim(NamedTuple):
    """What a device must have for itself."""

    key: str  #: of its configuration that claims it
    what: str  #: devices that name the same cannot both have it
    hint: str  #: what to write instead


class DeviceConfig(Model, ABC):
    """One entry under `devices:`. `type` names the protocol."""

    type: str
    """Protocol of the device."""
    location: list[str] | None = None
    """ISA-95 path; overrides the agent's."""
    enabled: bool = True
    """false: not read; its tags are said once as bad, BadOutOfService."""
    interval: Interval = 1.0
    """Polling (or publishing) interval of tags without their own."""
    timeout: Interval = 1.0
    """How long to wait for an answer."""
    batch: BatchSettings = BatchSettings()
    """How readings are gathered into batches."""
    tags_file: FilePath | None = None
    """CSV with the same keys as columns; its tags are added to `tags`."""

    @property
    @abstractmethod
    def tag_table(self) -> dict[str, TagBase]:
        """The tags by name, in order: positions in samples count in this order."""

    @property
    def finds_tags(self) -> bool:
        """Whether the device itself tells of more tags than its table has."""
        return False

    @abstractmethod
    def build(self, name: str, site: Site) -> Collector:
        """The collector of this device. Imports the protocol's library no earlier than `Collector.open()`."""

    def where(self) -> str:
        """Where it is reached, for people."""
        return str(getattr(self, "url", "-"))

    def connection(self) -> tuple[str, dict[str, object]] | None:
        """What it shares with other devices: the connection's name, and by key what all on it must agree about."""
        return None

    def claim(self) -> Claim | None:
        """What no other device may have too; None where it takes nothing for itself."""
        return None

    def oddities(self) -> Iterable[str]:
        """What is allowed, but probably not meant: `key: words`."""
        return ()

    def bus_load(self) -> BusLoad | None:
        """What it takes of its bus; None where nobody can tell, or time is no matter."""
        return None

    def catalogue(self) -> list[TagInfo]:
        """What the tag catalogue says."""
        return [
            TagInfo(
                tag=name,
                type=tag.catalogue_type(),
                unit=tag.unit,
                description=tag.description,
                interval=self._interval_of(tag),
            )
            for name, tag in self.tag_table.items()
        ]

    def _interval_of(self, tag: TagBase) -> int | str | None:
        if tag.awaited:
            return None
        return "once" if tag.interval == "once" else round((tag.interval or self.interval) * 1000)


# --- publishers and encoders ------------------------------------------------------------------------------------------


class Carried(NamedTuple):
    """What an encoder must know of a device to judge its own configuration."""

    location: Sequence[str]
    tags: Sequence[str]


class Finding(NamedTuple):
    """What is wrong (or, if not `wrong`, odd) about a part once all the others are known."""

    text: str  #: `reason; hint`
    key: tuple[str, ...] = ()  #: of the part's own configuration
    wrong: bool = True


class EncoderConfig(Model, ABC):
    """`encoder:` of a publisher. `type` names the payload."""

    type: str
    """Payload format."""

    def examine(self, route: RouteInfo, devices: Mapping[str, Carried], mqtt: str | None) -> Iterable[Finding]:
        """What can be said against this encoder on this route, with these devices and this `version:`."""
        del route, devices, mqtt
        return ()

    def identity(self, route: RouteInfo) -> str | None:
        """Under what name the route speaks, where there must be only one of it at all brokers together."""
        del route
        return None

    def filters(self, route: RouteInfo) -> Sequence[str]:
        """Topic filters of its readings, where they do not all stand under `{root}`."""
        del route
        return ()

    @abstractmethod
    def build(self, route: RouteInfo) -> Encoder:
        """The encoder of one route."""


class Replay(Model):
    """How the backlog of an outage is sent."""

    order: Literal["live_first", "in_order"] = "live_first"
    """live_first: new data goes out at once, the backlog beside it; in_order: the backlog first, live behind it."""
    share: float = Field(default=0.5, gt=0, le=1)
    """The backlog's share of the window (live_first)."""
    max_rate: Rate | None = None
    """Backlog messages per second. Default: 50/s where live goes first, no limit where live waits behind it."""


class KeepAcked(Model):
    """How much of what the broker has accepted is kept."""

    age: Interval = 600.0
    """How long."""
    max_bytes: ByteSize = 64 << 20
    """How much."""


class OutboxSettings(Model):
    """Defaults for every publisher's own outbox."""

    durability: Literal["memory", "commit", "fsync"] = "commit"
    """memory: lost with the process; commit: survives kill -9; fsync: survives power loss."""
    max_bytes: ByteSize = 1 << 30
    """Bound per publisher."""
    max_age: Interval = 30 * 86400.0
    """Older records expire (declared)."""
    min_free_disk: ByteSize = 200 << 20
    """Below this much free disk space the outbox stops growing."""
    disk: Literal["always", "on_outage"] = "always"
    """always: a record is on disk before it is published; on_outage spares the flash: only what no broker has
    acknowledged within 5 s gets there, so a crash may cost these seconds (declared as lost)."""
    compress: bool = False
    """Deflate records: less than half the bytes for 0.1 to 0.3 us of CPU a reading."""
    when_full: Literal["drop_oldest", "drop_newest"] = "drop_oldest"
    """What goes when a bound is met; every drop is declared."""
    keep_acked: KeepAcked | None = None
    """Keep acknowledged records for `edge-agent outbox resend`."""

    @model_validator(mode="after")
    def _fits_together(self) -> OutboxSettings:
        if self.disk == "on_outage" and self.keep_acked is not None:
            msg = "with `disk: on_outage` most records are never on disk, so none can be kept; leave out one of the two"
            raise ValueError(msg)
        return self


class PublisherConfig(Model, ABC):
    """One entry under `publishers:`: a publisher with its encoder and its outbox, a route."""

    type: str
    """Kind of publisher."""
    encoder: SerializeAsAny[EncoderConfig] | None = None
    """Payload format; default `{type: json}`."""
    devices: list[str] = ["*"]
    """Globs: which devices this route carries."""
    topic: str = "{root}/{location}/{device}"
    """Prefix of every topic about a device; may also name {agent} and single levels of the location, as {line}."""
    root: str = "edge"
    """First level of every topic."""
    qos: Literal[0, 1] = 1
    """Quality of service of readings. With 0 nothing is ever known to have arrived."""
    max_message_bytes: ByteSize = 96 << 10
    """Batches are cut to this before they get their sequence number."""
    replay: Replay = Replay()
    """How the backlog of an outage is sent."""
    outbox: OutboxSettings | None = None
    """Overrides of the top-level `outbox:` for this publisher (the loader merges the two)."""

    def brokers(self) -> Sequence[str]:
        """`host:port` of each broker it may speak to; empty where nobody can tell."""
        return ()

    @abstractmethod
    def build(self, name: str, site: Site) -> Publisher:
        """The publisher. Imports its library no earlier than `Publisher.open()`."""


class TLSSettings(Model):
    """TLS towards a server. Verified always; there is no switch to turn that off."""

    ca_file: FilePath | None = None
    """Certificate authorities to trust; default: the system's."""
    cert_file: FilePath | None = None
    """Own certificate (mutual TLS), PEM."""
    key_file: FilePath | None = None
    """Its private key, PEM."""
    server_name: str | None = None
    """Name expected in the server's certificate, where it differs from the URL's host."""

    @model_validator(mode="after")
    def _pair(self) -> TLSSettings:
        if (self.cert_file is None) != (self.key_file is None):
            msg = "cert_file and key_file belong together; give both or none"
            raise ValueError(msg)
        return self
