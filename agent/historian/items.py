"""What a message says, ready for a database: the words between decoding, the ledger and the stores."""

from __future__ import annotations

from typing import Any, NamedTuple

from msgspec import Struct

from agent.consumer.contract import GapNotice, Reading
from agent.historian.ledger import Key


class Record(Struct, gc=False):
    """A record, or one part of one."""

    source: str
    path: str  #: topic without its last level: what ties status and catalogue to a device
    key: Key
    seq: int
    low: int
    ts: int  #: when it was committed, epoch milliseconds
    readings: list[Reading]
    snapshot: bool
    historical: bool
    resent: bool
    part: int  #: of a record in parts, from 1; 1 where it is whole
    of: int  #: how many parts; 1 where it is whole
    payload: bytes  #: as it came; kept until the other parts are here


class Gap(Struct):
    """A declared loss."""

    path: str
    notice: GapNotice


class EndedEpoch(NamedTuple):
    """What an agent says of a stream that is over."""

    epoch: str
    next: int
    due: int | None = None  #: scans, in all
    done: int | None = None


class AgentClaim(Struct):
    """What an agent says of a stream of its own, and of those before it."""

    source: str
    key: Key
    low: int
    before: list[EndedEpoch]  #: newest first


class AgentState(Struct):
    """A change in what an agent says of itself."""

    source: str
    agent: str
    at: int  #: when it was received, epoch milliseconds
    state: str
    session: str
    version: str
    config: str | None
    attempted: str | None
    error: str | None
    shard: str
    publisher: str
    resend: bool


class DeviceState(Struct):
    """What an agent says of a device."""

    path: str
    at: int  #: when it was said, by the agent's clock but never in the future, epoch milliseconds
    retained: bool
    state: str
    session: str
    reason: str | None
    since: int | None
    last_good: int | None
    achieved_ms: int | None
    due: int | None
    done: int | None
    late: int | None
    readings: int | None


class TagRow(Struct, omit_defaults=True):
    """One tag of a catalogue."""

    tag: str
    type: str | None = None
    unit: str | None = None
    description: str | None = None
    interval: Any = None


class Catalogue(Struct):
    """Tags of a device, or some of them."""

    path: str
    at: int
    version: int
    tags: list[TagRow]


class Aside(Struct):
    """A message that is kept as it came, because nobody here can read it."""

    source: str
    topic: str
    at: int
    reason: str
    payload: bytes


Item = Record | Gap | AgentClaim | AgentState | DeviceState | Catalogue | Aside
