"""What is wrong with a running agent, by its status: each finding with the event of the catalogue that has its remedy.

Pure. The order is that of urgency: what loses data, what will, what is not read, what waits for somebody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agent.telemetry.events import EVENTS
from agent.telemetry.events.devices import DEGRADED

#: A publisher between two connections is nothing to be woken for; longer than this is, milliseconds.
PATIENCE_MS = 10_000
#: What was lost or put aside within a day still counts.
DAY_MS = 86_400_000
#: An outbox filled to this share counts.
FILLED = 0.7

_HINT = " -> "  #: separates what is wrong from what to do in the reason of a PermanentError


def wrong(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Findings: `event`, `name` of device or publisher, `since`, `do`, and whether it `counts` for the exit code."""
    publishers = document["publishers"].items()
    found = [
        *(one for name, publisher in publishers for one in _losing(name, publisher, document["ts"])),
        *_disk(document["disk"]),
        *(one for name, publisher in publishers for one in _not_online(name, publisher, document["ts"])),
    ]
    devices = sorted(document["devices"].items(), key=lambda one: (one[1]["state"] != "offline", one[1]["since"]))
    found += [one for name, device in devices for one in _device(name, device)]
    for orphan in document["orphans"]:
        if orphan["records"] != 0:
            found.append(_finding("outbox.orphaned", orphan["publisher"], counts=False))
    config = document["agent"]["config"]
    if config["attempted"] != config["effective"] or config["error"]:
        found.append(_finding("config.rejected"))
    if not document["clock"]["synced"]:
        found.append(_finding("agent.clock_unsynced"))
    return found


def _finding(
    event: str, name: str | None = None, since: int | None = None, *, do: str | None = None, counts: bool = True
) -> dict[str, Any]:
    return {"event": event, "name": name, "since": since, "do": do or EVENTS[event].remedy or None, "counts": counts}


def _hint(reason: str | None) -> str | None:
    """What to do, where the reason itself tells."""
    return reason.partition(_HINT)[2] or None if reason else None


def _losing(name: str, publisher: Mapping[str, Any], now: int) -> Iterator[dict[str, Any]]:
    lost = publisher["lost"]
    if not publisher["committing"]:
        yield _finding("outbox.disk_refused", name)
    if publisher["full"] or (lost["records"] and _within_a_day(lost["at"], now)):
        yield _finding("outbox.dropped", name)
    elif publisher["limit_bytes"] and publisher["bytes"] >= FILLED * publisher["limit_bytes"]:
        yield _finding("outbox.filling", name)
    if publisher["quarantined"]:
        yield _finding("publisher.quarantined", name, counts=_within_a_day(publisher["quarantined_at"], now))


def _within_a_day(at: int | None, now: int) -> bool:
    return at is None or now - at < DAY_MS


def _disk(disk: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if disk["free_bytes"] is not None and disk["free_bytes"] < disk["floor_bytes"]:
        yield _finding("disk.low")


def _not_online(name: str, publisher: Mapping[str, Any], now: int) -> Iterator[dict[str, Any]]:
    if publisher["conflict"] is not None:
        yield _finding("publisher.conflict", name)
    if publisher["state"] != "online":
        counts = now - publisher["since"] > PATIENCE_MS
        yield _finding("publisher.offline", name, publisher["since"], do=_hint(publisher["reason"]), counts=counts)
    elif publisher["refused"]:
        yield _finding("publisher.refused", name, counts=False)


def _device(name: str, device: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if device["causes"] == ["disabled"]:
        return
    event = "device.offline" if device["state"] == "offline" else "device.degraded"
    if device["state"] != "online":
        # A device that is read has its bad tags shown; what it cannot read at all counts.
        counts = device["causes"] != ["tags"] or device["tags_bad"] >= device["tags"]
        yield _finding(event, name, device["since"], do=device["do"], counts=counts)
    elif device["causes"]:
        yield _finding(event, name, device["since"], do=device["do"], counts=False)


def remedy_of(device: Mapping[str, Any]) -> str | None:
    """What to do about the state of a device; None where there is nothing to do."""
    causes = device["causes"]
    if causes == ["disabled"] or (device["state"] == "online" and not causes):
        return None
    hint = _hint(device["reason"])
    if hint is not None:
        return hint
    if "misconfigured" in causes:
        return EVENTS["component.failed"].remedy
    if device["state"] == "offline":
        return EVENTS["device.offline"].remedy
    return " ".join(DEGRADED[cause] for cause in causes if cause in DEGRADED) or EVENTS["device.degraded"].remedy
