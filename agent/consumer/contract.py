"""Messages as a consumer reads them: the fields it needs, strict where the contract is. Unknown fields are allowed.

Topics: `{root}/agents/{agent}/status`, `…/streams/n`, and per device `…/readings`, `…/gaps`, `…/status`, `…/tags[/n]`.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Literal

import msgspec
from msgspec import Struct

SCHEMA = "edge.readings.v1"


class UndecodableError(ValueError):
    """A message on one of our topics that is none of the contract's. `str()` says why."""


#: What PostgreSQL's timestamptz and every calendar take: the years 1 to 9999, epoch milliseconds.
EARLIEST, LATEST = -62_135_596_800_000, 253_402_300_799_999
#: No record is cut into more parts (a record has 1,000 readings at most).
MOST_PARTS = 10_000


class Reading(Struct):
    """One reading."""

    tag: str
    value: Any
    ts: int
    quality: Literal["good", "uncertain", "bad"]
    src: int | None = None
    unit: str | None = None
    label: str | None = None
    code: str | None = None
    status: int | None = None
    reason: str | None = None
    why: str | None = None


class _Envelope(Struct):
    schema: str
    agent: str
    device: str
    epoch: str
    seq: int
    low: int
    ts: int
    cat: int
    readings: msgspec.Raw
    snapshot: bool = False
    historical: bool = False
    resent: bool = False
    part: tuple[int, int] | None = None
    clock: str | None = None


class Readings(Struct):
    """A record, or part of one."""

    topic: str
    agent: str
    device: str
    epoch: str
    seq: int
    low: int
    ts: int
    readings: list[Reading]
    snapshot: bool
    historical: bool
    resent: bool
    part: tuple[int, int] | None
    fingerprint: bytes  #: of all that may not differ when a record is sent again (`low`, `historical`, `resent` may)


class GapNotice(Struct):
    """A declared loss."""

    id: str
    kind: str
    from_ts: int
    to_ts: int
    reason: str
    agent: str = ""
    device: str = ""
    epoch: str | None = None
    from_seq: int | None = None
    to_seq: int | None = None
    tags: list[str] | None = None
    records: int | None = None
    readings: int | None = None
    request: str | None = None


class ScanCount(Struct):
    """Totals of an epoch."""

    due: int
    done: int
    late: int


class EndedClaim(Struct):
    """What an agent says of an earlier stream of a device."""

    epoch: str
    next: int
    scans: ScanCount | None = None


class StreamClaim(Struct):
    """What an agent says of a stream of its own."""

    epoch: str
    low: int
    next: int
    before: list[EndedClaim] = []


class ConfigClaim(Struct):
    """What an agent says of its configuration."""

    effective: str
    attempted: str | None = None
    error: str | None = None


class AgentStatus(Struct):
    """State of an agent. The will carries state and session only."""

    state: Literal["online", "offline"]
    session: str
    agent: str = ""
    version: str = ""
    mqtt: str = ""
    config: ConfigClaim | str | None = None  #: agents before 0.2 say the hash alone
    shard: str = ""
    publisher: str = ""
    resend: bool = False
    streams: dict[str, StreamClaim] = {}
    streams_parts: int = 0
    ts: int | None = None

    @property
    def effective(self) -> str | None:
        """Hash of the configuration in force."""
        return self.config.effective if isinstance(self.config, ConfigClaim) else self.config


class AgentStreams(Struct):
    """Streams of an agent whose status has no room for them."""

    session: str
    streams: dict[str, StreamClaim]
    agent: str = ""


class DeviceStatus(Struct):
    """State of a device, as of an agent's session."""

    state: Literal["online", "degraded", "offline", "removed"]
    session: str
    device: str = ""
    reason: str | None = None
    since: int | None = None
    last_good: int | None = None
    achieved_ms: int | None = None
    scans: ScanCount | None = None
    readings: int | None = None
    ts: int | None = None


Decoded = Readings | GapNotice | AgentStatus | AgentStreams | DeviceStatus

_envelope = msgspec.json.Decoder(_Envelope)
_readings = msgspec.json.Decoder(list[Reading])
_gap = msgspec.json.Decoder(GapNotice)
_agent_status = msgspec.json.Decoder(AgentStatus)
_agent_streams = msgspec.json.Decoder(AgentStreams)
_device_status = msgspec.json.Decoder(DeviceStatus)


def decode(topic: str, payload: bytes, root: str = "edge") -> Decoded | None:
    """The decoded message; None where no agent sent it, it is a catalogue, or the end of a retained one.

    `topic:` of a publisher may lie beside its root. Others may publish there, too: what cannot be read is theirs.
    Raises UndecodableError, under the root only.
    """
    if not payload:
        return None
    prefix, _, kind = topic.rpartition("/")
    device = prefix.rpartition("/")[2]
    try:
        if kind == "readings":
            return _decode_readings(topic, payload)
        if kind == "gaps":
            gap = _gap.decode(payload)
            _instants(topic, gap.from_ts, gap.to_ts)
            gap.device = gap.device or device
            return gap
        if kind == "status" and prefix == f"{root}/agents/{device}":
            agent = _agent_status.decode(payload)
            agent.agent = device
            return agent
        if kind.isdecimal() and prefix.startswith(f"{root}/agents/") and device == "streams":
            streams = _agent_streams.decode(payload)
            streams.agent = prefix.removeprefix(f"{root}/agents/").removesuffix("/streams")
            return streams
        if kind == "status":
            status = _device_status.decode(payload)
            status.device = device
            return status
    except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, another schema, or nested without end
        if not topic.startswith(root + "/"):
            return None
        raise UndecodableError(str(error) if isinstance(error, UndecodableError) else f"{topic}: {error}") from error
    return None


def is_request(topic: str, root: str = "edge") -> bool:
    """A consumer asks an agent for records."""
    return topic.startswith(f"{root}/agents/") and topic.endswith("/resend")


def is_catalogue(topic: str) -> bool:
    """`…/tags`, or a part of it `…/tags/n`."""
    levels = topic.split("/")
    return levels[-1] == "tags" or (len(levels) > 1 and levels[-2] == "tags" and levels[-1].isdecimal())


def _decode_readings(topic: str, payload: bytes) -> Readings:
    envelope = _envelope.decode(payload)
    if envelope.schema != SCHEMA:
        raise UndecodableError(f"{topic}: schema {envelope.schema!r}, not {SCHEMA!r}")
    if envelope.part is not None and not 1 <= envelope.part[0] <= envelope.part[1] <= MOST_PARTS:
        raise UndecodableError(f"{topic}: part {list(envelope.part)} is none")
    if envelope.seq < 1 or envelope.low < 1:
        raise UndecodableError(f"{topic}: seq {envelope.seq}, low {envelope.low}; both start at 1")
    readings = _readings.decode(envelope.readings)
    _instants(topic, envelope.ts, *(reading.ts for reading in readings))
    fixed = f"{envelope.ts} {envelope.snapshot} {envelope.clock} ".encode()
    return Readings(
        topic=topic, agent=envelope.agent, device=envelope.device, epoch=envelope.epoch, seq=envelope.seq,
        low=envelope.low, ts=envelope.ts, readings=readings, snapshot=envelope.snapshot,
        historical=envelope.historical, resent=envelope.resent, part=envelope.part,
        fingerprint=blake2b(fixed + bytes(envelope.readings), digest_size=8).digest(),
    )  # fmt: skip


def _instants(topic: str, *instants: int) -> None:
    if min(instants) < EARLIEST or max(instants) > LATEST:
        raise UndecodableError(f"{topic}: a time beyond every calendar")
