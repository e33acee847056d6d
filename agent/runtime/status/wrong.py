"""What is wrong with a running agent, by its status: each finding with since, cost, and the one thing to do.

Pure. What counts stands before what is only to be looked at, both in the order of urgency: what loses data, what will,
what is not read, what waits for somebody. What explains others stands above them: a gateway that is lost, and then the
meters behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from agent.runtime.status import costs
from agent.telemetry.events import EVENTS
from agent.telemetry.events.devices import DEGRADED

#: A publisher between two connections is nothing to be woken for; longer than this is, milliseconds.
PATIENCE_MS = 10_000
#: What was lost or put aside within a day still counts.
DAY_MS = 86_400_000
#: An outbox filled to this share counts.
FILLED = 0.7

_HINT = " -> "  #: separates what is wrong from what to do in the reason of a PermanentError

_NO_INODES = f"no inodes are left on it, so that no file can be made{_HINT}delete files there, however small"

Finding = dict[str, Any]
_Part = Mapping[str, Any]


def wrong(document: _Part, unserved: str | None = None) -> list[Finding]:
    """Findings in their order.

    Of each: `event` in the catalogue, `what` it is (device, publisher, bus, agent) and its `name`, `since`, `why`,
    `causes`, `costs`, what to `do`, whether it `counts` for the exit code, and the bus it is `behind`.
    """
    publishers = document["publishers"].items()
    found = [
        *(one for name, publisher in publishers for one in _losing(name, publisher, document["ts"])),
        *_disk(document["disk"]),
        *(one for name, publisher in publishers for one in _not_online(name, publisher, document["ts"])),
        *_devices(document["devices"]),
    ]
    for orphan in document["orphans"]:
        if orphan["records"] != 0:
            cost = [{"kind": "orphaned", "count": orphan["records"], "readings": orphan["readings"]}]
            found.append(_finding("outbox.orphaned", "publisher", orphan["publisher"], cost=cost, counts=False))
    config = document["agent"]["config"]
    if config["attempted"] != config["effective"] or config["error"]:
        found.append(_finding("config.rejected", why=config["error"], cost=costs.one("not_in_force")))
    if not document["clock"]["synced"]:
        found.append(_finding("agent.clock_unsynced", cost=costs.one("unsynced")))
    if unserved is not None:
        found.append(_finding("component.failed", why=unserved, counts=False))
    found.sort(key=lambda one: not one["counts"])
    return found


class FirstSeen:
    """Since when something is wrong where nothing else tells: an outbox that is full, a clock that is not set."""

    def __init__(self) -> None:
        self._at: dict[tuple[str, str, str | None], float] = {}
        self.last: float | None = None  #: the last look that found anything

    def look(self, found: Iterable[Finding], now: float, instant: Callable[[float], int | None]) -> None:
        """Date what has no `since`, by the first look that found it. `instant`: monotonic seconds → epoch ms."""
        found = list(found)
        self.last = now if found else self.last
        undated = {(one["event"], one["what"], one["name"]): one for one in found if one["since"] is None}
        self._at = {key: self._at.get(key, now) for key in undated}
        for key, one in undated.items():
            one["since"] = instant(self._at[key])


def _finding(
    event: str, what: str = "agent", name: str | None = None, since: int | None = None, *,
    why: str | None = None, cost: costs.Costs | None = None, counts: bool = True,
) -> Finding:  # fmt: skip
    reason, _, hint = (why or "").partition(_HINT)
    return {
        "event": event,
        "what": what,
        "name": name,
        "since": since,
        "why": reason or None,
        "causes": [],
        "costs": cost or [],
        "do": hint or EVENTS[event].remedy or None,
        "counts": counts,
        "behind": None,
    }


# --- northbound -------------------------------------------------------------------------------------------------------


def _losing(name: str, publisher: _Part, now: int) -> Iterator[Finding]:
    lost = publisher["lost"]
    if not publisher["committing"]:
        why = publisher["outbox"]["refusal"]
        yield _finding("outbox.disk_refused", "publisher", name, why=why, cost=costs.one("memory_only"))
    if publisher["full"] or (lost["records"] and _within_a_day(lost["at"], now)):
        yield _finding("outbox.dropped", "publisher", name, cost=costs.lost(publisher))
    elif publisher["limit_bytes"] and publisher["bytes"] >= FILLED * publisher["limit_bytes"]:
        yield _finding("outbox.filling", "publisher", name, cost=costs.room(publisher))
    if publisher["quarantined"]:
        at, cost = publisher["quarantined_at"], costs.one("quarantined", publisher["quarantined"])
        yield _finding("publisher.quarantined", "publisher", name, at, cost=cost, counts=_within_a_day(at, now))


def _within_a_day(at: int | None, now: int) -> bool:
    return at is None or now - at < DAY_MS


def _disk(disk: _Part) -> Iterator[Finding]:
    if disk["free_bytes"] is not None and disk["free_bytes"] < disk["floor_bytes"]:
        yield _finding("disk.low", cost=costs.one("no_room"))
    elif disk["no_inodes"]:
        yield _finding("disk.low", why=_NO_INODES)


def _not_online(name: str, publisher: _Part, now: int) -> Iterator[Finding]:
    if publisher["conflict"] is not None:
        yield _finding("publisher.conflict", "publisher", name, why=f"session {publisher['conflict']}")
    if publisher["state"] != "online":
        yield _finding(
            "publisher.offline", "publisher", name, publisher["since"], why=publisher["reason"],
            cost=costs.waiting(publisher), counts=now - publisher["since"] > PATIENCE_MS,
        )  # fmt: skip
    elif publisher["refused"]:
        why = next(iter(publisher["refused"].values()))
        devices = len(publisher["refused"].keys() - {""})
        cost = costs.one("refused", devices) if devices else None
        yield _finding("publisher.refused", "publisher", name, why=why, cost=cost, counts=False)


# --- southbound -------------------------------------------------------------------------------------------------------


def _devices(devices: Mapping[str, _Part]) -> Iterator[Finding]:
    """The lost first, of those the dead buses, each in front of its devices; what is lost for longest above."""
    dead = _dead_buses(devices)
    order = sorted(
        devices.items(), key=lambda one: (one[1]["state"] != "offline", one[1]["bus"] not in dead, one[1]["since"])
    )
    told: set[str] = set()
    for name, device in order:
        bus = device["bus"]
        if bus not in dead or _disabled(device):
            yield from _device(name, device, None)
        elif bus not in told:
            told.add(bus)
            behind = [(other, one) for other, one in order if one["bus"] == bus and not _disabled(one)]
            yield _bus(bus, [one for _, one in behind])
            for other, one in behind:
                yield from _device(other, one, bus)


def _dead_buses(devices: Mapping[str, _Part]) -> set[str]:
    """Buses with more than one device, of which none answers."""
    behind: dict[str, list[bool]] = {}
    for device in devices.values():
        if device["bus"] is not None and not _disabled(device):
            silent = device["state"] == "offline" and "misconfigured" not in device["causes"]
            silent = silent or device["unanswered"] is not None
            behind.setdefault(device["bus"], []).append(silent)
    return {bus for bus, silent in behind.items() if len(silent) > 1 and all(silent)}


def _bus(bus: str, devices: list[_Part]) -> Finding:
    good = max((one["last_good"] for one in devices if one["last_good"] is not None), default=None)
    reasons = {str(one["reason"]).partition(_HINT)[0] for one in devices if one["unanswered"] is None}
    asked = min((one["unanswered"] for one in devices if one["unanswered"] is not None), default=None)
    return _finding(
        "bus.silent", "bus", bus, asked or max(one["since"] for one in devices),
        why=reasons.pop() if len(reasons) == 1 else None, cost=costs.of_bus(len(devices), good),
    )  # fmt: skip


def _disabled(device: _Part) -> bool:
    return bool(device["causes"] == ["disabled"])


def _device(name: str, device: _Part, bus: str | None) -> Iterator[Finding]:
    if device["unanswered"] is not None:  # one packet more and it is lost: nothing to be woken for yet
        yield _finding(
            "device.unanswered", "device", name, device["unanswered"], cost=costs.no_value(device), counts=False
        ) | {"causes": ["silent"], "behind": bus}
        if bus is not None:
            return
    if _disabled(device) or (device["state"] == "online" and not device["causes"]):
        return
    # A device that is read has its bad tags shown; what it cannot read at all counts.
    counts = device["state"] != "online" and (device["causes"] != ["tags"] or device["tags_bad"] >= device["tags"])
    event = "device.offline" if device["state"] == "offline" else "device.degraded"
    found = _finding(
        event, "device", name, device["since"], why=device["reason"], cost=costs.of_device(device), counts=counts
    )
    yield found | {"causes": device["causes"], "do": device["do"], "behind": bus}


def remedy_of(device: _Part) -> str | None:
    """What to do about the state of a device; None where there is nothing to do."""
    causes = device["causes"]
    well = device["state"] == "online" and not causes and device["unanswered"] is None
    if causes == ["disabled"] or well:
        return None
    hint = (device["reason"] or "").partition(_HINT)[2]
    if hint:
        return str(hint)
    if "misconfigured" in causes:
        return EVENTS["component.failed"].remedy
    if device["state"] == "offline":
        return EVENTS["device.offline"].remedy
    if device["unanswered"] is not None:
        return EVENTS["device.unanswered"].remedy
    return " ".join(DEGRADED[cause] for cause in causes if cause in DEGRADED) or EVENTS["device.degraded"].remedy
