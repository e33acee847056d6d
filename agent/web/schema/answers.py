"""All other answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from agent.web.schema.common import ApiStruct, Instant, Level, Quality, Value


class Error(ApiStruct):
    """Why there is nothing else."""

    error: str


class Probe(ApiStruct):
    """Whether all is well."""

    status: Literal["ok", "failed"]
    reason: str | None


class LoggedIn(ApiStruct):
    """A session has begun."""

    expires_in_s: int


class Tag(ApiStruct):
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


class Tags(ApiStruct):
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


class LogEvent(ApiStruct):
    """One event of the log."""

    ts: Instant
    event: str
    level: Level
    component: str | None
    device: str | None
    fields: dict[str, Any]
    meaning: Annotated[str, Meta(description="From the event catalogue.")]
    remedy: str | UnsetType = UNSET


class Events(ApiStruct):
    """The newest first."""

    events: list[LogEvent]


class Reload(ApiStruct):
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


class Reloads(ApiStruct):
    """The newest first; the hash of what runs."""

    hash: str
    reloads: list[Reload]


class Values(ApiStruct):
    """Data of an event `values`: newest of the tags that changed since the event before, all at first."""

    device: str
    ts: Instant
    tags: dict[str, tuple[Value, Quality, int]]
