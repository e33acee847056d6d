"""The payloads, as structs: field order is the order on the wire. Fields are documented in docs/messages.md."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

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
    resent: bool = False
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
    request: str | UnsetType = UNSET


class ScanTotals(Struct):
    """Scans of a device within one epoch: asked for by its intervals, done, skipped because it was late."""

    due: int
    done: int
    late: int


class EndedStatus(Struct, omit_defaults=True):
    """An earlier stream of a device."""

    epoch: str
    next: int
    readings: int = 0
    scans: ScanTotals | None = None


class StreamStatus(Struct, omit_defaults=True):
    """Where a stream stands, and the ones before it."""

    epoch: str
    low: int
    next: int
    before: list[EndedStatus] = []


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
    publisher: str
    resend: bool
    streams: dict[str, StreamStatus]
    ts: int
    streams_parts: int | UnsetType = UNSET


class StreamsPart(Struct):
    """`{root}/agents/{agent}/streams/1`, `/2` and on, retained: where the status has no room for them."""

    session: str
    part: tuple[int, int]
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
    scans: ScanTotals | None
    readings: int | None
    ts: int  #: when this was said; it may wait at the broker


class Catalogue(Struct, omit_defaults=True):
    """`{topic}/tags`, retained. Too large for one message: `parts` here, the tags in `{topic}/tags/1`, `/2` and on."""

    version: int
    part: tuple[int, int] | None = None
    parts: int | None = None
    description: str | None = None
    tags: list[TagInfo] | None = None
