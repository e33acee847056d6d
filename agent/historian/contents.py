"""Messages → items. Pure. Nobody who publishes is trusted: whatever cannot be read costs its message, and a counter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec
from msgspec import Struct

from agent.consumer.contract import (
    EARLIEST,
    LATEST,
    MOST_PARTS,
    SCHEMA,
    AgentStatus,
    AgentStreams,
    ConfigClaim,
    DeviceStatus,
    EndedClaim,
    GapNotice,
    Reading,
    StreamClaim,
    UndecodableError,
    decode,
    is_catalogue,
    is_request,
)
from agent.historian.items import (
    AgentClaim,
    AgentState,
    Aside,
    Catalogue,
    DeviceState,
    EndedEpoch,
    Gap,
    Item,
    Record,
    TagRow,
)
from agent.historian.ledger import OPEN_END, Key

#: A name longer than this is none of an agent's.
_LONGEST_NAME = 512
#: Tags of a device, under any name and unit; a configuration has no more.
MOST_TAGS = 200_000
#: Readings of one record or part, ten times as many as an agent puts there.
MOST_READINGS = 10_000
#: Earlier epochs that an agent names of each device; it names no more.
_MOST_BEFORE = 8
#: Bytes of a message that is kept although nobody here can read it.
_MOST_ASIDE = 256 << 10
#: A status that is older, milliseconds, was said by a clock that is not set; no broker is asked to keep one for longer.
_LONGEST_WAIT = 7 * 86_400_000
_KINDS = ("readings", "gaps", "status")

Reason = Literal["undecodable", "schema", "encoder", "retained", "too_large"]


class RefusedError(ValueError):
    """A message that gives no item. `str()` says why, `reason` names the counter."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason: Reason = reason


class SourceMessage(NamedTuple):
    """As it came, and where from."""

    source: str  #: name in the configuration
    root: str
    topic: str
    payload: bytes
    retained: bool
    at: int  #: epoch milliseconds


class _Envelope(Struct, gc=False):
    schema: str
    agent: str
    device: str
    epoch: str
    seq: int
    low: int
    ts: int
    cat: int
    readings: list[Reading]
    snapshot: bool = False
    historical: bool = False
    resent: bool = False
    part: tuple[int, int] | None = None


class _Schema(Struct):
    schema: str


class _Tags(Struct):
    version: int
    tags: list[TagRow] | None = None


_envelope = msgspec.json.Decoder(_Envelope)
_schema = msgspec.json.Decoder(_Schema)
_tags = msgspec.json.Decoder(_Tags)


def read(message: SourceMessage) -> Sequence[Item]:
    """What the message says, item by item; none where it is none of a consumer's business. Raises RefusedError."""
    topic, payload = message.topic, message.payload
    if not payload or is_request(topic, message.root):
        return ()
    path, _, kind = topic.rpartition("/")
    if kind == "readings":
        return (_record(message, path),)
    if is_catalogue(topic):
        return _catalogue(message, path.removesuffix("/tags") if kind != "tags" else path)
    try:
        found = decode(topic, payload, message.root)
    except UndecodableError as error:
        raise RefusedError("undecodable", str(error)) from None
    if found is None and kind not in _KINDS:
        raise RefusedError(
            "encoder",
            f"{topic}: not of the json encoder; without (epoch, seq) in the payload nobody can tell what is missing",
        )
    try:
        return _items(message, path, found)
    except (ValueError, OverflowError) as error:
        raise RefusedError("undecodable", f"{topic}: {error}") from None


def _items(message: SourceMessage, path: str, found: object) -> Sequence[Item]:
    if isinstance(found, GapNotice):
        if message.retained:
            raise RefusedError("retained", f"{message.topic}: a retained gap is left over from somebody else")
        return (Gap(path, _checked_gap(found)),)
    if isinstance(found, AgentStatus):
        return (_agent_state(message, found), *_claims(message, found.agent, found.streams))
    if isinstance(found, AgentStreams):
        return _claims(message, found.agent, found.streams)
    if isinstance(found, DeviceStatus):
        return (_device_state(message, path, found),)
    return ()


def _record(message: SourceMessage, path: str) -> Record | Aside:
    topic = message.topic
    if message.retained:
        raise RefusedError("retained", f"{topic}: retained readings are left over from somebody else")
    try:
        envelope = _envelope.decode(message.payload)
    except (ValueError, RecursionError) as error:
        return _unread(message, error)
    if envelope.schema != SCHEMA:
        return _aside(message, envelope.schema)
    if len(envelope.readings) > MOST_READINGS:
        raise RefusedError("too_large", f"{topic}: {len(envelope.readings)} readings in one message")
    part, of = envelope.part or (1, 1)
    try:
        _name(envelope.agent, envelope.device, envelope.epoch, path)
        _number(envelope.seq, envelope.low, least=1)
        _instant(envelope.ts, *(reading.ts for reading in envelope.readings))
        _instant(*(reading.src for reading in envelope.readings if reading.src is not None))
        _number(*(reading.status for reading in envelope.readings if reading.status is not None))
        if not 1 <= part <= of <= MOST_PARTS:
            raise ValueError(f"part {part} of {of}")
    except ValueError as error:
        raise RefusedError("undecodable", f"{topic}: {error}") from None
    return Record(
        message.source, path, Key(envelope.agent, envelope.epoch, envelope.device), envelope.seq, envelope.low,
        envelope.ts, envelope.readings, envelope.snapshot, envelope.historical, envelope.resent, part, of,
        message.payload,
    )  # fmt: skip


def again(payload: bytes) -> list[Reading]:
    """Readings of a part that was kept until the others were here."""
    return _envelope.decode(payload).readings


def _unread(message: SourceMessage, error: Exception) -> Aside:
    """Another version of the schema may have another shape."""
    try:
        schema = _schema.decode(message.payload).schema
    except (ValueError, RecursionError):
        schema = SCHEMA
    if schema == SCHEMA:
        raise RefusedError("undecodable", f"{message.topic}: {error}") from None
    return _aside(message, schema)


def _aside(message: SourceMessage, schema: str) -> Aside:
    if len(message.payload) > _MOST_ASIDE:
        raise RefusedError("too_large", f"{message.topic}: {len(message.payload)} bytes of an unknown schema")
    return Aside(message.source, message.topic, message.at, f"schema {schema[:100]!r}, not {SCHEMA!r}", message.payload)


def _checked_gap(gap: GapNotice) -> GapNotice:
    _name(gap.agent, gap.device, gap.epoch or "-", gap.id, gap.kind)
    _instant(gap.from_ts, gap.to_ts)
    for number in (gap.from_seq, gap.to_seq, gap.records, gap.readings):
        if number is not None:
            _number(number, least=0)
    if gap.from_seq is not None and gap.to_seq is not None and gap.from_seq > gap.to_seq + 1:
        raise ValueError(f"from_seq {gap.from_seq} behind to_seq {gap.to_seq}")
    return gap


def _agent_state(message: SourceMessage, status: AgentStatus) -> AgentState:
    config = status.config
    tried = config if isinstance(config, ConfigClaim) else None
    _name(status.agent, status.session)
    told = (status.version, status.effective, tried.attempted if tried else None, status.shard, status.publisher)
    _name(*(one for one in told if one))
    return AgentState(
        message.source, status.agent, message.at, status.state, status.session, status.version, status.effective,
        tried.attempted if tried else None, tried.error if tried else None, status.shard, status.publisher,
        status.resend,
    )  # fmt: skip


def _claims(message: SourceMessage, agent: str, streams: dict[str, StreamClaim]) -> list[Item]:
    items: list[Item] = []
    for device, claim in streams.items():
        _name(agent, claim.epoch, device)
        _number(claim.low, claim.next, least=1)
        before = [_ended(one) for one in claim.before[:_MOST_BEFORE]]
        items.append(AgentClaim(message.source, Key(agent, claim.epoch, device), claim.low, before))
    return items


def _ended(claim: EndedClaim) -> EndedEpoch:
    _name(claim.epoch)
    _number(claim.next, least=1)
    if claim.scans is None:
        return EndedEpoch(claim.epoch, claim.next)
    _number(claim.scans.due, claim.scans.done, least=0)
    return EndedEpoch(claim.epoch, claim.next, claim.scans.due, claim.scans.done)


def _device_state(message: SourceMessage, path: str, status: DeviceStatus) -> DeviceState:
    scans = status.scans
    due, done, late = (scans.due, scans.done, scans.late) if scans is not None else (None, None, None)
    for number in (due, done, late, status.readings, status.achieved_ms):
        if number is not None:
            _number(number, least=0)
    _instant(*(instant for instant in (status.since, status.last_good) if instant is not None))
    _name(status.session, path)
    ts = status.ts
    said = ts if ts is not None and 0 <= message.at - ts <= _LONGEST_WAIT else message.at
    return DeviceState(
        path, said, message.retained, status.state, status.session, status.reason, status.since,
        status.last_good, status.achieved_ms, due, done, late, status.readings,
    )  # fmt: skip


def _catalogue(message: SourceMessage, path: str) -> Sequence[Catalogue]:
    try:
        found = _tags.decode(message.payload)
        _number(found.version)
        _name(path)
    except (ValueError, RecursionError) as error:
        raise RefusedError("undecodable", f"{message.topic}: {error}") from None
    if found.tags and len(found.tags) > MOST_TAGS:
        raise RefusedError("too_large", f"{message.topic}: {len(found.tags)} tags")
    return (Catalogue(path, message.at, found.version, found.tags),) if found.tags else ()


def _name(*names: str) -> None:
    for name in names:
        if not name or len(name) > _LONGEST_NAME or "\0" in name:
            raise ValueError(f"{name[:40]!r} is no name")


def _number(*numbers: int, least: int = -(1 << 62)) -> None:
    for number in numbers:
        if not least <= number < OPEN_END:
            raise ValueError(f"{number} is out of range")


def _instant(*instants: int) -> None:
    if instants and not (min(instants) >= EARLIEST and max(instants) <= LATEST):
        raise ValueError("a time outside the years 1 to 9999")
