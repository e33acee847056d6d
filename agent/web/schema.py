"""What the API answers, as types: the OpenAPI document is made from them, and tests hold real answers against them.

Instants are milliseconds since 1970 (UTC). What is not known is null. Keys may be added later; none changes meaning.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

Instant = Annotated[int, Meta(description="Milliseconds since 1970-01-01 UTC.")]
Quality = Literal["good", "uncertain", "bad"]
Level = Literal["debug", "info", "warning", "error"]
Value = Annotated[
    Any,
    Meta(
        description="Number, boolean, text, list or null. A whole number beyond 2^53 is text, so that a browser shows "
        "each of its digits."
    ),
]


class Answer(Struct, forbid_unknown_fields=True):
    """What the document lists is all there is: tests decode real answers with these types."""


class Error(Answer):
    """Why there is nothing else."""

    error: str


class Probe(Answer):
    """Whether all is well."""

    status: Literal["ok", "failed"]
    reason: str | None


class LoggedIn(Answer):
    """A session has begun."""

    expires_in_s: int


# --- status -----------------------------------------------------------------------------------------------------------


class ConfigState(Answer):
    """Hashes of the configuration that runs and of the one that was read last; why that is not the one that runs."""

    effective: str
    attempted: str
    error: str | None


class About(Answer):
    """The agent."""

    id: str
    version: str
    config: ConfigState
    shard: str
    started: Instant


class BadTags(Answer):
    """Tags that are bad for one reason."""

    reason: str | None
    code: Annotated[str | None, Meta(description="Name of an OPC UA status code.")]
    tags: int
    examples: list[str]


class Device(Answer):
    """One device."""

    state: Literal["online", "degraded", "offline"]
    since: Annotated[Instant, Meta(description="When the state began.")]
    reason: Annotated[str | None, Meta(description="Why it is not simply online.")]
    causes: Annotated[
        list[Literal["late", "neighbour", "complaint", "tags", "silent", "misconfigured", "disabled"]],
        Meta(description="Of `reason`, for programs."),
    ]
    last_good: Annotated[Instant | None, Meta(description="When a good reading was last made.")]
    heard: Annotated[
        Instant | None,
        Meta(
            description="When the device last answered. Values that are reported on change only are as old as this, "
            "not as their `ts`."
        ),
    ]
    interval_ms: Annotated[int | None, Meta(description="Shortest interval of its tags. Null: nothing is polled.")]
    achieved_ms: Annotated[int | None, Meta(description="Period that is reached, where it is worse than asked for.")]
    stale_after_ms: Annotated[
        int | None,
        Meta(description="`heard` older than this is not what is to be expected. Null: nothing is expected."),
    ]
    next_attempt: Annotated[Instant | None, Meta(description="When a lost device is tried again.")]
    location: list[str]
    description: str | None
    protocol: Annotated[str | None, Meta(description="`type:` in the configuration.")]
    bus: Annotated[str | None, Meta(description="Connection or serial bus it may share with other devices.")]
    telling: Annotated[list[str], Meta(description="Up to two tags that stand for it in an overview.")]
    tags: int
    tags_bad: int
    bad: list[BadTags]
    cat: Annotated[int, Meta(description="Version of its tag catalogue: it rises when tags or their types change.")]
    notes: Annotated[dict[str, Any], Meta(description="What its collector has to say, by protocol.")]
    learned: Annotated[
        str | None, Meta(description="What was learned of it and can be written into the configuration: YAML to paste.")
    ]
    do: Annotated[str | None, Meta(description="What somebody can do about its state.")]


class Lost(Answer):
    """What was dropped, declared to the consumer."""

    records: int
    readings: int
    from_: Annotated[Instant | None, Meta(description="Times of what was lost.")] = field(name="from")
    to: Instant | None
    at: Annotated[Instant | None, Meta(description="When that last happened, as far as this run knows.")]


class Publisher(Answer):
    """One publisher and its outbox."""

    state: str
    since: Instant
    reason: str | None
    next_attempt: Instant | None
    protocol: Annotated[str | None, Meta(description="What this session speaks: `5`, `3.1.1`.")]
    mqtt: Annotated[str | None, Meta(description="The same as `protocol`; its name before 0.2.")]
    conflict: Annotated[str | None, Meta(description="Session of another agent that speaks under the same id.")]
    records: Annotated[int, Meta(description="Records that wait.")]
    records_per_s: Annotated[
        float | None,
        Meta(description="By so many more a second, over the last minutes; below zero: the backlog shrinks."),
    ]
    backlog: Annotated[int, Meta(description="Of the records those that wait from before this session.")]
    bytes: int
    limit_bytes: int
    room_bytes: int
    room_seconds: Annotated[
        int | None, Meta(description="So long an outage may last from now. Null: not known yet, or nothing comes in.")
    ]
    oldest: Instant | None
    full: bool
    committing: Annotated[bool, Meta(description="False: the disk takes nothing.")]
    lost: Lost
    quarantined: int
    quarantined_at: Instant | None
    refused: Annotated[dict[str, str], Meta(description="Devices of which the broker lately refused something: why.")]
    outbox: dict[str, Any]
    streams: dict[str, list[dict[str, Any]]]


class Disk(Answer):
    """The disk of `data_dir`."""

    free_bytes: int | None
    floor_bytes: int
    floor_seconds: Annotated[int | None, Meta(description="Until the floor is reached at the present rate.")]


class Timekeeping(Answer):
    """The clock of the machine."""

    synced: bool


class Orphan(Answer):
    """An outbox whose publisher is not configured any more."""

    publisher: str
    file: str
    records: int | None
    readings: int | None
    bytes: int
    from_: Instant | None = field(name="from")
    to: Instant | None


class Cost(Answer):
    """What something wrong costs. Which of the figures are there depends on `kind`.

    no_value (`since`: of the last good value, null: there was none) · late (`ms` instead of `expected_ms`) · bad_tags
    (`count` of `of`) · devices (`count` behind a bus) · waiting (`count` records, `since`: the oldest) · room
    (`seconds` until records are lost) · lost (`count` records, `readings`) · quarantined (`count`) · memory_only ·
    no_room · refused (`count` devices) · unsynced · not_in_force · orphaned (`count` records, `readings`).
    """

    kind: Literal[
        "no_value", "late", "bad_tags", "devices", "waiting", "room", "lost", "quarantined", "memory_only", "no_room",
        "refused", "unsynced", "not_in_force", "orphaned",
    ]  # fmt: skip
    count: int | UnsetType | None = UNSET
    of: int | UnsetType = UNSET
    readings: int | UnsetType | None = UNSET
    since: Instant | UnsetType | None = UNSET
    ms: int | UnsetType = UNSET
    expected_ms: int | UnsetType = UNSET
    seconds: int | UnsetType = UNSET


class Finding(Answer):
    """One thing that is wrong. They come in the order of urgency."""

    event: Annotated[str, Meta(description="Its name in the event catalogue: title and remedy in other languages.")]
    what: Literal["device", "publisher", "bus", "agent"]
    name: Annotated[str | None, Meta(description="Of the device, publisher or bus.")]
    since: Instant | None
    why: Annotated[str | None, Meta(description="What the agent was told, or saw.")]
    causes: Annotated[list[str], Meta(description="Of a device: as in `devices`.")]
    costs: list[Cost]
    do: Annotated[str | None, Meta(description="The one thing to do.")]
    counts: Annotated[bool, Meta(description="False: to be looked at, but nothing is lost or missing.")]
    behind: Annotated[
        str | None, Meta(description="Of a device: the bus whose loss explains it, and which stands above.")
    ]


class Status(Answer):
    """The whole agent as of `ts`."""

    agent: About
    ts: Instant
    started: Instant
    devices: dict[str, Device]
    publishers: dict[str, Publisher]
    disk: Disk
    clock: Timekeeping
    history: Annotated[bool, Meta(description="Whether /api/v1/history has anything to give.")]
    orphans: list[Orphan]
    wrong: list[Finding]


# --- tags, history, events, configuration, stream ---------------------------------------------------------------------


class Tag(Answer):
    """One tag with its newest reading. What is not there is null."""

    value: Value
    quality: Quality
    ts: Annotated[Instant, Meta(description="For which value and quality are asserted.")]
    src: Annotated[Instant | None, Meta(description="The source's own time, where that is another.")]
    unit: str | None
    label: Annotated[str | None, Meta(description="Text of the number, from `enum:` or the device.")]
    type: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    interval: Annotated[int | str, Meta(description="Milliseconds, or `once`.")] | UnsetType = UNSET
    address: Annotated[str, Meta(description="Register or node id.")] | UnsetType = UNSET
    code: Annotated[str, Meta(description="OPC UA status code name where it is not plain Good.")] | UnsetType = UNSET
    reason: Annotated[str, Meta(description="Why it is bad, in words.")] | UnsetType = UNSET
    why: Literal["initial", "recovered", "heartbeat", "offline", "disabled"] | UnsetType = UNSET


class Tags(Answer):
    """All tags of one device, in the order of its catalogue."""

    device: str
    ts: Instant
    cat: int
    tags: dict[str, Tag]


Minute = Annotated[
    tuple[int, float | int | None, float | None, float | int | None, Any, int],
    Meta(
        description="`[ts, min, mean, max, last, good_ms]`: start of the minute; smallest, time-weighted mean and "
        "largest of the good values (null where there was none, and for what is no number or boolean); the last value; "
        "for how long it was good, milliseconds."
    ),
]
History = dict[str, dict[str, list[Minute]]]


class LogEvent(Answer):
    """One event of the log."""

    ts: Instant
    event: str
    level: Level
    component: str | None
    device: str | None
    fields: dict[str, Any]
    meaning: Annotated[str, Meta(description="From the event catalogue.")]
    remedy: str | UnsetType = UNSET


class Events(Answer):
    """The newest first."""

    events: list[LogEvent]


class Reload(Answer):
    """One reading of the configuration while the agent ran."""

    ts: Instant
    asked_by: Annotated[str, Meta(description="SIGHUP, command, files changed.")]
    result: Literal["applied", "refused", "nothing"]
    hash: Annotated[str, Meta(description="Of what was read.")]
    mistakes: Annotated[list[str], Meta(description="Why it was refused.")]
    differences: Annotated[
        dict[str, Any] | None,
        Meta(description="What changed, as `edge-agent diff --json` prints it; null: nothing, or too much to keep."),
    ]


class Reloads(Answer):
    """The newest first; the hash of what runs."""

    hash: str
    reloads: list[Reload]


class Values(Answer):
    """Data of an event `values`: newest of the tags that changed since the event before, all at first."""

    device: str
    ts: Instant
    tags: dict[str, tuple[Value, Quality, int]]
