"""What flows: sample → batch of readings → record → messages.

    collector ──Sample──▶ normalizer ──Batch──▶ outbox ──Record──▶ dialogue ──Message──▶ session

Everything here is a plain msgspec struct: no validation, made by the thousand. Batches are the unit of work everywhere.
Times are epoch milliseconds UTC unless a name says otherwise. Treat every object as frozen once handed on: the image,
several outboxes and an encoder hold the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from typing import Literal

from msgspec import Struct, field

from agent.core.columns import ReadingColumns

Quality = Literal["good", "uncertain", "bad"]
Why = Literal["initial", "recovered", "heartbeat", "offline", "disabled"]
GapKind = Literal["dropped", "expired", "quarantined", "overflow", "missed", "down", "lost"]

MAX_BATCH_READINGS = 1000
"""A batch is cut at this many readings (and at the route's message limit in bytes)."""


class Answer(Struct, gc=False):
    """The columns of one response of a device: one block, one chunk of a Read, one notification.

    `tags[i]`, `values[i]` (and `status[i]`, `src[i]` where they are sequences) belong together. Collectors
    hand the *same* tuple object as `tags` on every scan of the same block: the normalizer compiles once per tuple and
    finds its work by identity.
    """

    tags: tuple[int, ...]  #: positions in the device's tag table (the order of its `tags:`)
    values: Sequence[object]  #: raw: bool, int, float, str, bytes, None, or (arrays) list; None where status is bad
    ts: int  #: agent's clock when the answer arrived
    status: Sequence[int] | int = 0  #: OPC UA status codes (32 bit); one int stands for all
    src: Sequence[int | None] | None = None  #: source timestamps, where the protocol carries them
    reason: Mapping[int, str] | str | None = None  #: words for bad ones: one for all, or by position in `tags`
    doubted: Sequence[int | None] | None = None  #: source timestamps not to be believed: `ts` is ours, `src` shows them


class Loss(Struct, gc=False):
    """What a device or its connection lost before it reached us: a declared gap of kind `missed`."""

    from_ts: int
    to_ts: int
    reason: str
    tags: tuple[int, ...] | None = None  #: positions of the tags concerned; None: all of the device
    readings: int | None = None  #: how many, where that is known


class TagFacts(Struct, frozen=True):
    """What a device says about one of its tags. Where the configuration says something too, that counts."""

    unit: str | None = None
    description: str | None = None
    node: str | None = None  #: where it is in the device, as a configuration would have it


class Sample(Struct, gc=False):
    """What a collector read, raw, column-wise: all answers of one tick, or of one turn of a subscription.

    A sample without answers and without `outage` says "unchanged at ts": heartbeats (`max_silence`) of a quiet
    subscription live on it.
    """

    ts: int  #: when the sample closed
    answers: Sequence[Answer] = ()
    outage: str | None = None  #: why the whole device is lost; then `answers` is empty. Made by :meth:`lost`
    skipped: int = 0  #: cycles skipped since the last sample because the device was too slow
    scans: int = 0  #: cycles done since the last sample, over all poll groups
    achieved_ms: int | None = None  #: period reached lately, where it is worse than asked for
    met: float = 1.0  #: share of its cycles met lately, of the poll group that is furthest behind
    blame: str | None = None  #: who holds this device up where it is not itself: a silent neighbour on its bus, say
    found: Sequence[str] = ()  #: tags the device was found to have; they follow those of its table, in this order
    history: Sequence[Answer] = ()  #: out of the device's own history, with source times; alone in a sample
    complaint: str | None = None  #: the device answers, but says this of itself (its server is suspended, ...)
    losses: Sequence[Loss] = ()  #: what was lost on the way here, to be declared
    unconfirmed: Container[int] = ()  #: tags of which the device has not confirmed the value lately: no heartbeat now
    types: Mapping[int, str] | None = None  #: data types the device told us (position → name), when they are news
    labels: Mapping[int, Mapping[int, str]] | None = None  #: position → number → text, ditto
    facts: Mapping[int, TagFacts] | None = None  #: of found tags, by position, ditto

    @classmethod
    def lost(cls, reason: str, ts: int) -> Sample:
        """The device is lost since `ts`: every enabled tag becomes bad (``why: offline``), once."""
        return cls(ts=ts, outage=reason)


class Reading(Struct, gc=False, omit_defaults=True):
    """Value + quality + time of one tag in the common schema. Field names are the message's (docs/messages.md)."""

    tag: str
    value: object  #: JSON-able scalar or list; None where quality is bad
    ts: int  #: instant for which value and quality are asserted
    quality: Quality
    src: int | None = None  #: source timestamp where it differs from `ts`
    unit: str | None = None
    label: str | None = None  #: text of an `enum:` value
    code: str | None = None  #: OPC UA status code name where the status is not plain Good
    status: int | None = None  #: the same as a number
    reason: str | None = None
    why: Why | None = None


class Batch(Struct, gc=False):
    """Readings of one device from one scan or one notification: the unit of work everywhere."""

    device: str
    ts: int  #: when the batch closed
    readings: list[Reading]
    cat: int = 1  #: version of the device's tag catalogue
    snapshot: bool = False  #: all tags of the device, newest value and quality (may take several batches)
    clock: Literal["unsynced"] | None = None
    bad: int = 0  #: how many of the readings are bad
    uncertain: int = 0  #: how many are uncertain
    backfill: bool = False  #: out of a device's history: never live (docs/decisions/006)
    columns: ReadingColumns | None = None  #: what `readings` say, where they were made of whole columns


class Gap(Struct, gc=False, kw_only=True):
    """A declared loss. `epoch`/`from_seq`/`to_seq` are None where the loss has no sequence numbers."""

    id: str  #: ULID
    kind: GapKind
    device: str
    from_ts: int
    to_ts: int
    reason: str
    epoch: str | None = None
    from_seq: int | None = None
    to_seq: int | None = None
    tags: list[str] | None = None
    records: int | None = None
    readings: int | None = None
    request: str | None = None  #: of a consumer, that asked for what is lost
    late: bool = False  #: it is about numbers that were answered for once: `low` is above them, and stays there


class Scans(Struct, gc=False):
    """Scans of a device: what its intervals asked for, what was done of it, what was skipped for want of time."""

    due: int = 0
    done: int = 0
    late: int = 0


class Ended(Struct, frozen=True):
    """An earlier stream of a device: complete, as far as this agent knows."""

    epoch: str
    next: int
    ts: int  #: of its last commit
    readings: int = 0
    scans: Scans = field(default_factory=Scans)


class Stream(Struct):
    """What sequence numbers count in: (agent, epoch, device). Owned and moved by the outbox; others only read it."""

    epoch: str
    device: str
    next: int = 1  #: the number the next record will get
    low: int = 1  #: lowest seq neither acknowledged nor declared lost (a declaration counts once it is acknowledged)
    safe: int | None = None  #: `next` as far as it is committed: what waits for its commit may never come to be
    readings: int = 0  #: in its committed records
    scans: Scans = field(default_factory=Scans)
    before: Sequence[Ended] = ()  #: of the device, newest first: 7 days, 8 at most; of this run's streams only


class Record(Struct, gc=False):
    """One batch (or gap) in the outbox. It has its stream and its sequence number for ever."""

    row: int  #: the outbox's own handle
    stream: Stream
    seq: int  #: 0 for a gap: gaps take no number from the readings' stream
    ts: int  #: when it was appended for commit
    content: Batch | Gap
    historical: bool = False  #: committed before this broker session began, or fell out of the live lane
    size: int = 0  #: packed bytes
    resent: bool = False  #: somebody asked for it once more; it is `historical`, and outside the order of its lane


class ResendRequest(Struct, frozen=True):
    """A consumer lacks records of a stream, both ends included."""

    id: str  #: a ULID
    device: str
    epoch: str
    from_seq: int
    to_seq: int
    insists: bool = False  #: asked for before, and the answer has not arrived: gaps that declared it are sent again


class Message(Struct, gc=False, kw_only=True):
    """One MQTT PUBLISH, as the dialogue wants it."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False
    content_type: str | None = None
    properties: Sequence[tuple[str, str]] = ()  #: MQTT 5 user properties; left out on 3.1.1
    expiry: int | None = None  #: MQTT 5 message expiry, seconds
    proof: bool = False  #: at QoS 0: acknowledged when a later round trip proves that the broker has read it


class Incoming(Struct, gc=False, kw_only=True):
    """A message the broker sent us because a dialogue listens for it."""

    topic: str
    payload: bytes
    retain: bool = False
    properties: Sequence[tuple[str, str]] = ()
    mid: int = 0  #: packet identifier, where the receiver acknowledges by hand; 0 at QoS 0
    streams: Sequence[Stream] = ()  #: of the route, as of now: what is answered may tell of them


class Limits(Struct, kw_only=True):
    """What the broker announced at CONNACK. None = no limit stated."""

    protocol: str  #: what is spoken, for people; "5" or "3.1.1" with MQTT
    window: int  #: unacknowledged messages: min(configured, Receive Maximum)
    max_packet_bytes: int | None = None
    cut_bytes: int | None = None  #: less, where larger ones were refused: a guess, what cannot be cut goes all the same
    max_rate: float | None = None  #: messages per second; learned, no broker announces it
    max_qos: int = 2
    properties: bool = True  #: user properties of a message travel with it
    retain: bool = True  #: the broker keeps the newest message of a topic
    will: bool = True  #: the will can be had also at an orderly end
    keep_alive: float = (
        30.0  #: seconds in which a dead link is noticed: what is configured, or less where the server asks
    )
    client_id: str = ""
    server: str = ""  #: host:port of the broker
    servers: int = 1  #: how many there are to choose from

    @property
    def part_bytes(self) -> int | None:
        """Bytes of the largest part of what can be cut."""
        return self.cut_bytes or self.max_packet_bytes


class Online(Struct, kw_only=True):
    """Dialogue event: the session stands. The answer is sent before any record."""

    ts: int
    limits: Limits
    streams: Sequence[Stream]


class Opening(Struct, kw_only=True):
    """Event of a stateful dialogue: the outbox is cut at this very instant; what is sent now comes before any record.

    Everything appended before it reaches the dialogue as `historical`.
    """

    ts: int
    streams: Sequence[Stream]


class Tick(Struct, kw_only=True):
    """Dialogue event: `Encoder.tick` seconds have passed (the 30 s repetition of the agent's status)."""

    ts: int
    streams: Sequence[Stream]


class DeviceChanged(Struct, kw_only=True):
    """Dialogue event: state, catalogue or existence of a device changed in the image."""

    device: str
    ts: int
    streams: Sequence[Stream] = ()  #: those of this device at least


class AgentChanged(Struct, kw_only=True):
    """Dialogue event: what the image says of the agent changed (its configuration). For encoders with a `tick` only."""

    ts: int
    streams: Sequence[Stream] = ()


class Withheld(Struct, kw_only=True):
    """Event of a stateful dialogue: the broker disconnects when it gets these topics. Messages for them are not
    made; those for topics that are allowed again are.
    """

    holds: Callable[[str], bool]  #: whether a topic is one of them


class Offline(Struct, kw_only=True):
    """Dialogue event: the session is about to be closed on purpose; the answer is the last thing said."""

    ts: int
    streams: Sequence[Stream]


DialogueEvent = Online | Opening | Tick | DeviceChanged | AgentChanged | Withheld | Record | Incoming | Offline
