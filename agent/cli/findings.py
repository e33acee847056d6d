"""What is wrong with an agent, in words: a finding of its status, and the same of several parts told once. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import tzinfo
from typing import Any, NamedTuple

from agent.cli.words import counted, instant, lasting, listed
from agent.settings.values import readable_size

_PLURAL = {"is": "are", "does": "do"}
_LIKE = ", and the like"

Part = Mapping[str, Any]


class FindingGroup(NamedTuple):
    """What is wrong with one part, or the same with several."""

    what: str  #: the kind of part, and what it is: `device`, `is offline`
    title: str
    names: list[str]  #: of the parts; none where there is only one
    since: int | None
    lines: list[tuple[str, str]]  #: why, cost, next
    do: str | None
    counts: bool

    @property
    def why(self) -> str | None:
        """What it was told, or saw."""
        return next((text for word, text in self.lines if word == "why"), None)

    @property
    def headline(self) -> str:
        """`device press-01 is offline`, `30 devices are offline: m-01, m-02 and 28 more`, `the clock is not set`."""
        if len(self.names) < 2:
            return " ".join(word for word in (self.what, *self.names, self.title) if word)
        verb = re.sub(r"^(is|does)\b", lambda singular: _PLURAL[singular[0]], self.title)
        return f"{len(self.names):,} {self.what}s {verb}: {listed(self.names)}".replace("its outbox", "their outboxes")


def explained(document: Part) -> list[Part]:
    """What is wrong, without the devices whose bus explains it."""
    return [one for one in document["wrong"] if one["behind"] is None]


def lasts_since(ts: int, now: int, zone: tzinfo | None) -> str:
    """`14:02:11 (3 min)`."""
    return f"{instant(ts, now, zone)} ({lasting((now - ts) / 1000)})"


def merged(found: Iterable[FindingGroup]) -> list[FindingGroup]:
    """What is the same with several parts, or differs in numbers only, is told once, with the time of the first."""
    groups: dict[tuple[object, ...], FindingGroup] = {}
    for one in found:
        why = one.why
        key = (one.what, one.title, one.counts, one.do, re.sub(r"\d+", "#", why or ""))
        first = groups.setdefault(key, one)
        if first is not one:
            first.names.extend(one.names)
            words = first.why
            if words is not None and words != why and not words.endswith(_LIKE):
                words += _LIKE
            since = min((ts for ts in (first.since, one.since) if ts is not None), default=None)
            # The other lines are of one part alone.
            groups[key] = first._replace(lines=[] if words is None else [("why", words)], since=since)
    return list(groups.values())


def told(one: Part, document: Part, zone: tzinfo | None) -> FindingGroup:
    """A finding of the status in words."""
    event, name, now = one["event"], one["name"], document["ts"]
    names = [name] if name is not None else []
    what, title, lines = "", event, []
    device, publisher = document["devices"].get(name), document["publishers"].get(name)
    if event in {"device.offline", "device.degraded"} and device is not None:
        state = device["state"] if device["state"] != "online" else "online, but held up"
        what, title, lines = "device", f"is {state}", _device_lines(device, now, zone)
    elif event == "device.unanswered" and device is not None:
        what, title, lines = "device", "does not answer", [("cost", _no_good_value(device["last_good"], now, zone))]
    elif event == "bus.silent":
        what, title, lines = "bus", "is silent", _bus_lines(one, now, zone)
    elif publisher is not None:
        what, (title, lines) = "publisher", _publisher_words(event, publisher, now, zone)
    elif event == "outbox.orphaned":
        what, title = "publisher", "is not configured any more, and records wait in its outbox"
        lines = [(("cost", _orphaned(one))) for one in document["orphans"] if one["publisher"] == name]
    elif event == "disk.low":
        disk = document["disk"]
        title = "the disk is nearly full"
        if one["why"]:
            return FindingGroup(what, title, names, one["since"], [("why", one["why"])], one["do"], one["counts"])
        free, floor = size_of(disk["free_bytes"]), size_of(disk["floor_bytes"])
        lines = [("why", f"{free} free, less than min_free_disk, {floor}")]
        lines.append(("cost", "outboxes stop growing: in an outage records are lost"))
    elif event == "config.rejected":
        config = document["agent"]["config"]
        title = "the configuration in the files is not the one in force"
        why = config["error"] or f"{config['attempted']} was tried, {config['effective']} runs"
        lines = [("why", _without_hint(why))]
    elif event == "agent.clock_unsynced":
        title, lines = "the clock is not set", [("cost", "readings are marked `clock: unsynced`")]
    elif event == "component.failed":
        title, lines = "page, metrics and health are not served", [("why", one["why"])]
    return FindingGroup(what, title, names, one["since"], lines, one["do"], one["counts"])


def _device_lines(device: Part, now: int, zone: tzinfo | None) -> list[tuple[str, str]]:
    lines = [("why", _without_hint(device["reason"] or "it does not say"))]
    cost = []
    if device["state"] == "offline":
        cost.append(_no_good_value(device["last_good"], now, zone))
    elif device["achieved_ms"] is not None and device["interval_ms"] is not None:
        cost.append(f"read every {period(device['achieved_ms'])} instead of {period(device['interval_ms'])}")
    if device["tags_bad"] and "tags" not in device["causes"]:
        cost.append(f"{device['tags_bad']:,} of {counted(device['tags'], 'tag')} bad")
    if cost:
        lines.append(("cost", "; ".join(cost)))
    nodes = (device["notes"].get("opcua") or {}).get("found_nodes", {})  # of tags that nobody configured
    for group in device["bad"][:3]:
        examples = [f"{tag} ({nodes[tag]})" if tag in nodes else tag for tag in group["examples"]]
        reason = group["reason"] or group["code"] or "no reason given"
        more = f" and {group['tags'] - len(group['examples'])} more" if group["tags"] > len(group["examples"]) else ""
        lines.append(("bad", f"{', '.join(examples)}{more}: {reason}"))
    return [*lines, *_next(device, now)]


def _no_good_value(since: int | None, now: int, zone: tzinfo | None) -> str:
    return "no good value yet" if since is None else f"no good value since {lasts_since(since, now, zone)}"


def _bus_lines(one: Part, now: int, zone: tzinfo | None) -> list[tuple[str, str]]:
    devices, value = one["costs"]
    good = _no_good_value(value["since"], now, zone)
    why = [] if one["why"] is None else [("why", one["why"])]
    return [*why, ("cost", f"{counted(devices['count'], 'device')} behind it; {good}")]


def _next(part: Part, now: int) -> Iterator[tuple[str, str]]:
    if part["next_attempt"] is not None:
        yield "next", f"attempt in {lasting(max(0, part['next_attempt'] - now) / 1000)}"


def _publisher_words(event: str, publisher: Part, now: int, zone: tzinfo | None) -> tuple[str, list[tuple[str, str]]]:
    filled = readable_size(publisher["bytes"], publisher["limit_bytes"])
    lost = publisher["lost"]
    match event:
        case "publisher.offline":
            lines = [("why", _without_hint(publisher["reason"] or "it does not say"))]
            return f"is {publisher['state']}", [*lines, ("cost", _waits(publisher, now, zone)), *_next(publisher, now)]
        case "publisher.refused":
            why = _without_hint(next(iter(publisher["refused"].values())))
            devices = [name for name in publisher["refused"] if name]
            cost = [("cost", f"records of {listed(devices)} wait, and are tried again")] if devices else []
            return "is refused by its broker", [("why", why), *cost]
        case "publisher.conflict":
            why = f"session {publisher['conflict']} writes the status of this agent at the broker"
            return "has another agent of the same id beside it", [("why", why)]
        case "publisher.quarantined":
            records = counted(publisher["quarantined"], "record")
            return "has records in quarantine", [("cost", f"{records} the broker will never take")]
        case "outbox.disk_refused":
            why = _without_hint(publisher["outbox"]["refusal"] or "it does not say")
            lines = [("why", why), ("cost", "records are kept in memory only")]
            return "cannot write its outbox: the disk refuses", lines
        case "outbox.dropped":
            title = "has a FULL outbox" if publisher["full"] else "has lost records"
            return title, [("why", f"{filled} are used"), ("cost", _lost(lost, now, zone))]
        case "outbox.filling":
            lines = [("why", f"{filled} are used")]
            if publisher["room_seconds"] is not None:
                lines.append(("cost", f"full in {lasting(publisher['room_seconds'])} at the present rate"))
            return "has an outbox that fills", lines
    return event, []


def _waits(publisher: Part, now: int, zone: tzinfo | None) -> str:
    if not publisher["records"]:
        return "nothing waits"
    words = f"{counted(publisher['records'], 'record')} {'waits' if publisher['records'] == 1 else 'wait'}"
    if publisher["oldest"] is not None:
        words += f", the oldest of {instant(publisher['oldest'], now, zone)}"
    if publisher["room_seconds"] is not None and not publisher["full"]:
        words += f"; room for {lasting(publisher['room_seconds'])} more"
    return words


def _lost(lost: Part, now: int, zone: tzinfo | None) -> str:
    if not lost["records"]:
        return "nothing is lost yet"
    span = ""
    if lost["from"] is not None:
        span = f" of {instant(lost['from'], now, zone)} to {instant(lost['to'], now, zone)}"
    return f"{counted(lost['records'], 'record')}, {counted(lost['readings'], 'reading')}{span} are lost"


def _orphaned(orphan: Part) -> str:
    if orphan["records"] is None:
        return f"{orphan['file']} cannot be read"
    return f"{counted(orphan['records'], 'record')}, {counted(orphan['readings'], 'reading')} in {orphan['file']}"


def _without_hint(reason: str) -> str:
    """What to do stands in a line of its own."""
    return reason.partition(" -> ")[0]


def period(milliseconds: int) -> str:
    """In seconds."""
    return f"{milliseconds / 1000:g} s"


def size_of(size: int | None) -> str:
    """Readable; `?` where it is not known."""
    return "?" if size is None else readable_size(size)
