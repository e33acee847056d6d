"""The status of a running agent, for `edge-agent status` and `/api/v1/status`.

Pure: from the image, the routes and what is known of disk and clock to plain data. Instants are epoch ms UTC.

    {"agent": …, "devices": {name: …}, "publishers": {name: …}, "disk": …, "clock": …, "wrong": [what somebody must do]}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import to_builtins

from agent.core.flow import Stream
from agent.core.image import SELF, DeviceImage, Image
from agent.core.ports import OutboxStats
from agent.outbox.orphans import Orphan
from agent.runtime.status.shown import telling, units, words
from agent.runtime.status.wrong import remedy_of, wrong

#: So many tags are named of those that are bad for the same reason, and so many reasons of a device.
EXAMPLES, REASONS = 5, 20


#: A device is expected to be heard within so many of its shortest intervals (or of the period it reaches), and this.
STALE_AFTER, STALE_SLACK_MS = 3, 1000


class DeviceFigures(NamedTuple):
    """What the image does not know of a device."""

    next_attempt: int | None = None  #: when a lost device is tried again
    protocol: str | None = None
    bus: str | None = None  #: what it may share with others
    polled_ms: int | None = None  #: shortest interval at which it is polled
    unanswered: int | None = None  #: since when it is asked in vain


class RouteFigures(NamedTuple):
    """A route, as of now."""

    name: str
    state: str
    reason: str | None
    since: int
    next_attempt: int | None
    protocol: str | None  #: what this session speaks
    conflict: str | None  #: session of another agent that speaks under our id at the same broker
    stats: OutboxStats
    streams: Sequence[Stream]
    room_seconds: int | None = None  #: for which its room lasts where the broker takes nothing
    lost_at: int | None = None  #: when records were last lost, as far as this run knows
    quarantined_at: int | None = None
    growth: float | None = None  #: records more per second
    refused: Mapping[str, str] = {}  #: of which devices the broker lately refused something, and why; see `Refusals`


class AgentFigures(NamedTuple):
    """The process, its disk and its clock."""

    now: int
    started: int
    synced: bool
    free_disk: int | None = None  #: bytes
    disk_floor: int = 0  #: below so many nothing grows any more
    floor_seconds: int | None = None  #: until that is reached at the present rate
    no_inodes: bool = False  #: no file can be made on that disk any more
    history: bool = False  #: rollups are kept
    unserved: str | None = None  #: why the HTTP port is not open although it is configured
    last_wrong: int | None = None  #: when anything was last found to be wrong


def describe(
    image: Image,
    about: AgentFigures,
    routes: Iterable[RouteFigures],
    devices: Mapping[str, DeviceFigures],
    orphans: Sequence[Orphan] = (),
) -> dict[str, Any]:
    """The whole status. The agent's own device is none of those that are counted."""
    document = without_devices(image, about, routes, orphans)
    document["devices"] = {
        name: _device(device, devices.get(name, DeviceFigures()))
        for name, device in image.devices.items()
        if name != SELF
    }
    document["wrong"] = wrong(document, about.unserved)
    document["well_since"] = None if document["wrong"] else _well_since(document, about.last_wrong)
    return document


def _well_since(document: Mapping[str, Any], last_wrong: int | None) -> int:
    """The newest change of state, or when something was last wrong: a disk that takes again changes no state."""
    parts = (*document["devices"].values(), *document["publishers"].values())
    times: list[int] = [document["started"], last_wrong or 0, *(part["since"] for part in parts)]
    return max(times)


def without_devices(
    image: Image, about: AgentFigures, routes: Iterable[RouteFigures], orphans: Sequence[Orphan] = ()
) -> dict[str, Any]:
    """The status but for devices, and without what is wrong."""
    info = image.agent
    return {
        "agent": {
            "id": info.id,
            "version": info.version,
            "config": {"effective": info.config, "attempted": info.attempted or info.config, "error": info.error},
            "shard": info.shard,
            "started": about.started,
        },
        "ts": about.now,
        "started": about.started,
        "devices": {},
        "publishers": {route.name: _publisher(route) for route in routes},
        "disk": {
            "free_bytes": about.free_disk, "floor_bytes": about.disk_floor, "floor_seconds": about.floor_seconds,
            "no_inodes": about.no_inodes,
        },
        "clock": {"synced": about.synced},
        "history": about.history,
        "orphans": [
            {
                "publisher": one.publisher, "file": one.file, "records": one.records, "readings": one.readings,
                "bytes": one.bytes, "from": one.from_ts, "to": one.to_ts,
            }
            for one in orphans
        ],
    }  # fmt: skip


def _device(device: DeviceImage, known: DeviceFigures) -> dict[str, Any]:
    period = None if known.polled_ms is None else max(known.polled_ms, device.achieved_ms or 0)
    standing = telling(device)
    figures = {
        "state": device.state,
        "since": device.since,
        "reason": device.reason,
        "causes": list(device.causes),
        "last_good": device.last_good,
        "heard": device.heard,
        "unanswered": known.unanswered,
        "achieved_ms": device.achieved_ms,
        "interval_ms": min((info.interval for info in device.tags if isinstance(info.interval, int)), default=None),
        "stale_after_ms": None if period is None else STALE_AFTER * period + STALE_SLACK_MS,
        "next_attempt": known.next_attempt,
        "location": list(device.location),
        "description": device.description,
        "protocol": known.protocol,
        "bus": known.bus,
        "telling": standing,
        "units": units(device, standing),
        "words": words(device, standing),
        "tags": len(device.tags),
        "tags_bad": device.bad,
        "bad": _bad(device),
        "cat": device.cat,
        "notes": dict(device.notes),
        "learned": _learned(device.notes),
    }
    return figures | {"do": remedy_of(figures)}


def _learned(notes: Mapping[str, object]) -> str | None:
    """YAML of what a collector has found out and somebody may write down."""
    for note in notes.values():
        if isinstance(note, Mapping) and isinstance(learned := note.get("learned"), Mapping):
            return str(learned.get("yaml") or "") or None
    return None


def _bad(device: DeviceImage) -> list[dict[str, Any]]:
    """Bad tags by reason, most first. Of a device that does not answer its own reason says it all."""
    if not device.bad or device.state == "offline":
        return []
    groups: dict[tuple[str | None, str | None], list[str]] = {}
    for reading in device.newest.values():
        if reading.quality == "bad" and reading.why != "disabled":
            groups.setdefault((reading.reason, reading.code), []).append(reading.tag)
    most = sorted(groups.items(), key=lambda group: -len(group[1]))[:REASONS]
    return [
        {"reason": reason, "code": code, "tags": len(tags), "examples": tags[:EXAMPLES]}
        for (reason, code), tags in most
    ]


def _publisher(route: RouteFigures) -> Mapping[str, Any]:
    stats = route.stats
    streams: dict[str, list[dict[str, Any]]] = {}
    for stream in route.streams:
        streams.setdefault(stream.device, []).append({"epoch": stream.epoch, "low": stream.low, "next": stream.next})
    return {
        "state": route.state,
        "since": route.since,
        "reason": route.reason,
        "next_attempt": route.next_attempt,
        "protocol": route.protocol,
        "mqtt": route.protocol,  # its name before 0.2
        "conflict": route.conflict,
        "records": stats.records,
        "records_per_s": route.growth,
        "backlog": stats.backlog,
        "bytes": stats.bytes,
        "limit_bytes": stats.limit,
        "room_bytes": max(0, stats.limit - stats.bytes),
        "room_seconds": route.room_seconds if stats.committing else None,
        "oldest": stats.oldest_ts,
        "full": stats.full,
        "committing": stats.committing,
        "lost": {
            "records": stats.lost.records,
            "readings": stats.lost.readings,
            "from": stats.lost.from_ts or None,
            "to": stats.lost.to_ts or None,
            "at": route.lost_at,
        },
        "quarantined": stats.quarantined,
        "quarantined_at": route.quarantined_at,
        "refused": dict(route.refused),
        "outbox": to_builtins(stats),
        "streams": streams,
    }
