"""The status, as `/api/v1/status` and `edge-agent status --json` answer it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType, field

from agent.web.schema.common import ApiStruct, Instant


class ConfigState(ApiStruct):
    """Hashes of the configuration that runs and of the one that was read last; why that is not the one that runs."""

    effective: str
    attempted: str
    error: str | None


class About(ApiStruct):
    """The agent."""

    id: str
    version: str
    config: ConfigState
    shard: str
    started: Instant


class BadTags(ApiStruct):
    """Tags that are bad for one reason."""

    reason: str | None
    code: Annotated[str | None, Meta(description="Name of an OPC UA status code.")]
    tags: int
    examples: list[str]


class Device(ApiStruct):
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
    unanswered: Annotated[
        Instant | None, Meta(description="Since when it is asked in vain, where it is not lost yet; null: it answers.")
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
    units: Annotated[dict[str, str], Meta(description="Units of the `telling` tags, where they have one.")]
    words: Annotated[dict[str, tuple[Any, str]], Meta(description="Of `telling` tags whose value has a `label`: both.")]
    tags: int
    tags_bad: int
    bad: list[BadTags]
    cat: Annotated[int, Meta(description="Version of its tag catalogue: it rises when tags or their types change.")]
    notes: Annotated[dict[str, Any], Meta(description="What its collector has to say, by protocol.")]
    learned: Annotated[
        str | None, Meta(description="What was learned of it and can be written into the configuration: YAML to paste.")
    ]
    do: Annotated[str | None, Meta(description="What somebody can do about its state.")]


class Lost(ApiStruct):
    """What was dropped, declared to the consumer."""

    records: int
    readings: int
    from_: Annotated[Instant | None, Meta(description="Times of what was lost.")] = field(name="from")
    to: Instant | None
    at: Annotated[Instant | None, Meta(description="When that last happened, as far as this run knows.")]


class Publisher(ApiStruct):
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
    refused: Annotated[
        dict[str, str],
        Meta(description="Devices of which the broker lately refused something: why. No name: of a status, say."),
    ]
    outbox: dict[str, Any]
    streams: dict[str, list[dict[str, Any]]]


class Disk(ApiStruct):
    """The disk of `data_dir`."""

    free_bytes: int | None
    floor_bytes: int
    floor_seconds: Annotated[int | None, Meta(description="Until the floor is reached at the present rate.")]
    no_inodes: Annotated[bool, Meta(description="No file can be made any more, however much room is left.")]


class Timekeeping(ApiStruct):
    """The clock of the machine."""

    synced: bool


class Orphan(ApiStruct):
    """An outbox whose publisher is not configured any more."""

    publisher: str
    file: str
    records: int | None
    readings: int | None
    bytes: int
    from_: Instant | None = field(name="from")
    to: Instant | None


class Cost(ApiStruct):
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


class Finding(ApiStruct):
    """One thing that is wrong. They come in the order of urgency."""

    event: Annotated[str, Meta(description="Its name in the event catalogue: title and remedy in other languages.")]
    what: Literal["device", "publisher", "bus", "agent"]
    name: Annotated[str | None, Meta(description="Of the device, publisher or bus.")]
    since: Instant | None
    why: Annotated[str | None, Meta(description="The error that the agent received, or what it saw.")]
    causes: Annotated[list[str], Meta(description="Of a device: as in `devices`.")]
    costs: list[Cost]
    do: Annotated[str | None, Meta(description="The one thing to do.")]
    counts: Annotated[bool, Meta(description="False: to be looked at, but nothing is lost or missing.")]
    behind: Annotated[
        str | None, Meta(description="Of a device: the bus whose loss explains it, and which stands above.")
    ]


class Status(ApiStruct):
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
    well_since: Annotated[Instant | None, Meta(description="Since when nothing is wrong; null: something is.")]
