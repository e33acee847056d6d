"""The shape of the messages around the readings, as docs/messages.md has it: the encoder's are held against it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from agent.encoders.schema import Instant, MessageModel, ReadingsMessage, schema_of


class GapMessage(MessageModel):
    """A declared loss. Topic `{topic}/gaps`."""

    id: str
    """ULID: the same gap may arrive more than once."""
    kind: Literal["dropped", "expired", "quarantined", "overflow", "missed", "down", "lost"]
    """What happened."""
    agent: str
    """The agent that declares."""
    device: str
    """The device it is about."""
    epoch: str | None
    """Stream the numbers belong to; null where the loss has no numbers."""
    from_seq: int | None
    """First number lost, null where unknown."""
    to_seq: int | None
    """Last number lost; null: all from `from_seq` on, or unknown."""
    from_ts: Instant
    """Begin of the time concerned."""
    to_ts: Instant
    """Its end."""
    tags: list[str] | None
    """Tags concerned; null: any."""
    records: int | None
    """How many records; null: unknown."""
    readings: int | None
    """How many readings; null: unknown."""
    reason: str
    """Words for people."""
    request: str = ""
    """Id of the request for records that this answers."""


class ScanTotals(MessageModel):
    """Scans of a device within one epoch."""

    due: Annotated[int, Field(ge=0)]
    """Asked for by its intervals."""
    done: Annotated[int, Field(ge=0)]
    """Done."""
    late: Annotated[int, Field(ge=0)]
    """Skipped because the device was late."""


class EndedStatus(MessageModel):
    """An earlier stream of a device."""

    epoch: str
    """Its epoch."""
    next: int
    """One more than its last number."""
    readings: int = 0
    """Readings in its records."""
    scans: ScanTotals = ScanTotals(due=0, done=0, late=0)
    """Scans of the device within it."""


class StreamStatus(MessageModel):
    """Where a stream stands."""

    epoch: str
    """The present epoch."""
    low: int
    """As in readings."""
    next: int
    """Number of the next record."""
    before: Annotated[list[EndedStatus], Field(max_length=8)] = Field(default=[])
    """Earlier streams of the device, newest first: of the last 7 days, at most 8."""


class ConfigStatus(MessageModel):
    """Which configuration runs, and which was tried last."""

    effective: str
    """Hash of the configuration in force."""
    attempted: str
    """Hash of the one that was tried last; the same unless it was refused."""
    error: str | None
    """Why it was refused."""


class AgentStatus(MessageModel):
    """State of the agent. Topic `{root}/agents/{agent}/status`, retained."""

    state: Literal["online", "offline"]
    """Whether a session stands."""
    session: str
    """Names the broker session; a will of another one is out of date."""
    version: str
    """Version of the agent."""
    mqtt: Literal["5", "3.1.1"]
    """MQTT version of the session."""
    config: ConfigStatus
    """Which configuration runs, and which was tried last. Text before 0.2: the hash of the one in force."""
    shard: Annotated[str, Field(pattern=r"^\d+/\d+$")]
    """Which of how many agents that share one configuration: `0/1` where it is the only one."""
    publisher: str
    """Which publisher of the agent speaks."""
    resend: bool
    """Whether it sends records once more when asked for them."""
    streams: dict[str, StreamStatus]
    """By device."""
    ts: Instant
    """When it was said."""
    streams_parts: Annotated[int, Field(ge=1)] = 1
    """`streams` is empty, and stands in so many parts on `{root}/agents/{agent}/streams/1` and on."""


class StreamsPart(MessageModel):
    """Streams that the agent's status has no room for. Topics `{root}/agents/{agent}/streams/1` and on, retained."""

    session: str
    """As in the agent's status."""
    part: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=2, max_length=2)]
    """[i, n]: part i of n."""
    streams: dict[str, StreamStatus]
    """By device."""
    ts: Instant
    """When it was said."""


class ResendRequest(MessageModel):
    """A consumer lacks records. Topic `{root}/agents/{agent}/resend`, not retained; the one it may write to."""

    id: Annotated[str, Field(min_length=1, max_length=64)]
    """ULID; one that was served is not served again within 10 minutes."""
    device: str
    """Whose records."""
    epoch: str
    """Of which epoch."""
    from_seq: Annotated[int, Field(ge=1)]
    """First number."""
    to_seq: Annotated[int, Field(ge=1)]
    """Last number, at most 9,999 more than the first."""


class AgentWill(MessageModel):
    """What the broker says for an agent whose connection broke: the same topic, without time."""

    state: Literal["offline"]
    """The session is gone."""
    session: str
    """The session it was left by."""


class DeviceStatus(MessageModel):
    """State of a device. Topic `{topic}/status`, retained."""

    state: Literal["online", "degraded", "offline", "removed"]
    """degraded: read, but not as configured; removed: no longer configured."""
    session: str
    """Counts only while the agent is online under the same session."""
    reason: str | None
    """Why it is not online."""
    since: Instant
    """When the state began."""
    last_good: int | None
    """Newest instant of a good reading."""
    achieved_ms: int | None
    """Period reached, where it is worse than the one configured."""
    scans: ScanTotals | None
    """Since the present epoch began; null where the device is removed."""
    readings: int | None
    """Readings in the records of the present epoch; null where the device is removed."""
    ts: Instant
    """When this was said."""


class CatalogueTag(MessageModel):
    """What the catalogue says about a tag."""

    tag: str
    """Name."""
    type: str = ""
    """Data type, where it is known."""
    unit: str = ""
    """Engineering unit, UCUM notation."""
    description: str = ""
    """Words for people."""
    interval: int | Literal["once"] = 0
    """Milliseconds, or once per connection."""
    node: str = ""
    """Of a tag found by browsing: its node id, as a configuration would have it."""


class Catalogue(MessageModel):
    """The tags of a device. Topic `{topic}/tags`, retained; `{topic}/tags/1` … where one message is too small."""

    version: int
    """`cat` in readings refers to it."""
    part: Annotated[list[int], Field(min_length=2, max_length=2)] = Field(default=[1, 1])
    """[i, n] on `{topic}/tags/i`."""
    parts: int = 0
    """On `{topic}/tags`, instead of `tags`: how many parts there are."""
    description: str | None = None
    """What the configuration says of the device, for people; on `{topic}/tags`."""
    tags: list[CatalogueTag] = Field(default=[])
    """In the order of the configuration."""


_MODELS: dict[str, type[MessageModel]] = {
    "readings": ReadingsMessage,
    "gap": GapMessage,
    "agent_status": AgentStatus,
    "agent_will": AgentWill,
    "streams_part": StreamsPart,
    "resend_request": ResendRequest,
    "device_status": DeviceStatus,
    "catalogue": Catalogue,
}

#: Topics' content by the name :func:`message_schema` knows it under.
KINDS = tuple(_MODELS)


def message_schema(kind: str) -> dict[str, Any]:
    """JSON Schema of one kind of message, see KINDS. KeyError for another."""
    return schema_of(_MODELS[kind])
