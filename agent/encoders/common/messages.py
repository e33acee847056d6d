"""The payloads, as structs: field order is the order on the wire. Fields are documented in docs/messages.md."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from agent.core.flow import GapKind, Reading
from agent.core.image import TagInfo

READINGS_SCHEMA = "edge.readings.v1"
GAP_SCHEMA = "edge.gap.v1"
CONTENT_TYPE = "application/json"

encode = msgspec.json.Encoder().encode


class ReadingsMessage(Struct, gc=False, omit_defaults=True):
    """`{topic}/readings`."""

    schema: str
    agent: str
    device: str
    epoch: str
    seq: int
    low: int
    ts: int
    cat: int
    snapshot: bool = False
    historical: bool = False
    part: tuple[int, int] | None = None
    clock: Literal["unsynced"] | None = None
    readings: list[Reading] = []


class GapMessage(Struct, gc=False):
    """`{topic}/gaps`: every field is always there."""

    id: str
    kind: GapKind
    agent: str
    device: str
    epoch: str | None
    from_seq: int | None
    to_seq: int | None
    from_ts: int
    to_ts: int
    tags: list[str] | None
    records: int | None
    readings: int | None
    reason: str


class StreamStatus(Struct):
    """Where a stream stands."""

    epoch: str
    low: int
    next: int


class ConfigStatus(Struct):
    """Which configuration runs, and which was tried last."""

    effective: str
    attempted: str
    error: str | None


class AgentStatus(Struct):
    """`{root}/agents/{agent}/status`, retained."""

    state: Literal["online", "offline"]
    session: str
    version: str
    mqtt: str
    config: ConfigStatus
    shard: str
    streams: dict[str, StreamStatus]
    ts: int


class AgentWill(Struct):
    """The same topic, said by the broker: nobody knows when."""

    state: Literal["offline"]
    session: str


class DeviceStatus(Struct):
    """`{topic}/status`, retained."""

    state: Literal["online", "degraded", "offline", "removed"]
    session: str
    reason: str | None
    since: int
    last_good: int | None
    achieved_ms: int | None


class Catalogue(Struct, omit_defaults=True):
    """`{topic}/tags`, retained. Too large for one message: `parts` here, the tags in `{topic}/tags/1`, `/2` and on."""

    version: int
    part: tuple[int, int] | None = None
    parts: int | None = None
    description: str | None = None
    tags: list[TagInfo] | None = None
