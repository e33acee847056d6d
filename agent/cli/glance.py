"""The status of an agent on one screen of 80 columns: what is wrong first, then what there is. Pure.

What is shown may come from devices, brokers and files of strangers: nothing of it reaches the terminal unescaped.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import tzinfo
from textwrap import wrap
from typing import Any, NamedTuple

from agent.cli.words import counted, harmless, instant, lasting, listed
from agent.settings.values import readable_size

WIDTH = 80
#: So many findings are told in full, and so few devices are listed one by one.
FINDINGS, DEVICES = 6, 12

#: A floor of the disk that is further away is not worth a word, seconds.
SOON = 7 * 86400

_LIKE = ", and the like"

_Part = Mapping[str, Any]


class _Finding(NamedTuple):
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
        verb = re.sub(r"^is\b", "are", self.title)
        return f"{len(self.names):,} {self.what}s {verb}: {listed(self.names)}"


def screen(document: _Part, zone: tzinfo | None = None) -> str:
    """All of it, each line ended."""
    lines = [*_heading(document, zone), *_wrong(document, zone), *_devices(document, zone)]
    lines += [*_publishers(document, zone), *_rest(document)]
    return "".join(f"{harmless(line).rstrip()}\n" for line in lines)


def _heading(document: _Part, zone: tzinfo | None) -> Iterator[str]:
    agent, now = document["agent"], document["ts"]
    number = sum(one["counts"] for one in _explained(document))
    verdict = f"{number} {'thing is' if number == 1 else 'things are'} wrong" if number else "all well"
    if not number and document["wrong"]:
        verdict += f", but {counted(len(_explained(document)), 'thing')} to look at"
    yield from _wrapped(f"{agent['id']}: {verdict}, {instant(now, 0, zone)}", "  ")


# --- what is wrong ----------------------------------------------------------------------------------------------------


def _explained(document: _Part) -> list[_Part]:
    """What is wrong, without the devices whose bus explains it."""
    return [one for one in document["wrong"] if one["behind"] is None]


def _wrong(document: _Part, zone: tzinfo | None) -> Iterator[str]:
    found = _merged([_finding(one, document, zone) for one in _explained(document)])
    advised: set[str] = set()
    for one in found[:FINDINGS]:
        since = f" since {_since(one.since, document['ts'], zone)}" if one.since is not None else ""
        yield ""
        yield from _wrapped(f"{'!' if one.counts else '-'} {one.headline}{since}", "  ")
        lines = list(one.lines)
        if one.do is not None:
            advice = one.do.replace("`reason`", "the line `why`")
            lines.append(("do", "the same as above" if one.do in advised else advice))
            advised.add(one.do)
        for word, text in lines:
            yield from _wrapped(f"  {word:<5}{text}", " " * 7)
    if len(found) > FINDINGS:
        more = Counter(f"{one.what} {one.title}".strip() for one in found[FINDINGS:] for _ in one.names or [""])
        yield ""
        words = ", ".join(f"{number} x {title}" for title, number in more.items())
        yield from _wrapped(f"  and more: {words}; `--json` names them all", "  ")


def _wrapped(text: str, indent: str) -> list[str]:
    return wrap(
        harmless(text), WIDTH, subsequent_indent=indent, break_on_hyphens=False, drop_whitespace=True,
        replace_whitespace=False,
    )  # fmt: skip


def _since(ts: int, now: int, zone: tzinfo | None) -> str:
    return f"{instant(ts, now, zone)} ({lasting((now - ts) / 1000)})"


def _merged(found: Iterable[_Finding]) -> list[_Finding]:
    """What is the same with several parts, or differs in numbers only, is told once, with the time of the first."""
    groups: dict[tuple[object, ...], _Finding] = {}
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


def _finding(one: _Part, document: _Part, zone: tzinfo | None) -> _Finding:
    event, name, now = one["event"], one["name"], document["ts"]
    names = [name] if name is not None else []
    what, title, lines = "", event, []
    device, publisher = document["devices"].get(name), document["publishers"].get(name)
    if event in {"device.offline", "device.degraded"} and device is not None:
        state = device["state"] if device["state"] != "online" else "online, but held up"
        what, title, lines = "device", f"is {state}", _device_lines(device, now, zone)
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
        lines = [("why", f"{_size(disk['free_bytes'])} free, less than min_free_disk, {_size(disk['floor_bytes'])}")]
        lines.append(("cost", "outboxes stop growing: in an outage records are lost"))
    elif event == "config.rejected":
        config = document["agent"]["config"]
        title = "the configuration in the files is not the one in force"
        lines = [("why", config["error"] or f"{config['attempted']} was tried, {config['effective']} runs")]
    elif event == "agent.clock_unsynced":
        title, lines = "the clock is not set", [("cost", "readings are marked `clock: unsynced`")]
    return _Finding(what, title, names, one["since"], lines, one["do"], one["counts"])


def _device_lines(device: _Part, now: int, zone: tzinfo | None) -> list[tuple[str, str]]:
    lines = [("why", _without_hint(device["reason"] or "it does not say"))]
    cost = []
    if device["state"] == "offline":
        good = device["last_good"]
        cost.append("no good value yet" if good is None else f"no good value since {_since(good, now, zone)}")
    elif device["achieved_ms"] is not None and device["interval_ms"] is not None:
        cost.append(f"read every {_ms(device['achieved_ms'])} instead of {_ms(device['interval_ms'])}")
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


def _bus_lines(one: _Part, now: int, zone: tzinfo | None) -> list[tuple[str, str]]:
    devices, value = one["costs"]
    good = "no good value yet" if value["since"] is None else f"no good value since {_since(value['since'], now, zone)}"
    why = [] if one["why"] is None else [("why", one["why"])]
    return [*why, ("cost", f"{counted(devices['count'], 'device')} behind it; {good}")]


def _next(part: _Part, now: int) -> Iterator[tuple[str, str]]:
    if part["next_attempt"] is not None:
        yield "next", f"attempt in {lasting(max(0, part['next_attempt'] - now) / 1000)}"


def _publisher_words(event: str, publisher: _Part, now: int, zone: tzinfo | None) -> tuple[str, list[tuple[str, str]]]:
    filled = readable_size(publisher["bytes"], publisher["limit_bytes"])
    lost = publisher["lost"]
    match event:
        case "publisher.offline":
            lines = [("why", _without_hint(publisher["reason"] or "it does not say"))]
            return f"is {publisher['state']}", [*lines, ("cost", _waits(publisher, now, zone)), *_next(publisher, now)]
        case "publisher.refused":
            devices = list(publisher["refused"])
            cost = f"records of {listed(devices)} wait, and are tried again"
            return "is refused by its broker", [("why", publisher["refused"][devices[0]]), ("cost", cost)]
        case "publisher.conflict":
            why = f"session {publisher['conflict']} writes the status of this agent at the broker"
            return "has another agent of the same id beside it", [("why", why)]
        case "publisher.quarantined":
            records = counted(publisher["quarantined"], "record")
            return "has records in quarantine", [("cost", f"{records} the broker will never take")]
        case "outbox.disk_refused":
            return "cannot write its outbox: the disk refuses", [("cost", "records are kept in memory only")]
        case "outbox.dropped":
            title = "has a FULL outbox" if publisher["full"] else "has lost records"
            return title, [("why", f"{filled} are used"), ("cost", _lost(lost, now, zone))]
        case "outbox.filling":
            lines = [("why", f"{filled} are used")]
            if publisher["room_seconds"] is not None:
                lines.append(("cost", f"full in {lasting(publisher['room_seconds'])} at the present rate"))
            return "has an outbox that fills", lines
    return event, []


def _waits(publisher: _Part, now: int, zone: tzinfo | None) -> str:
    if not publisher["records"]:
        return "nothing waits"
    words = f"{counted(publisher['records'], 'record')} {'waits' if publisher['records'] == 1 else 'wait'}"
    if publisher["oldest"] is not None:
        words += f", the oldest of {instant(publisher['oldest'], now, zone)}"
    if publisher["room_seconds"] is not None and not publisher["full"]:
        words += f"; room for {lasting(publisher['room_seconds'])} more"
    return words


def _lost(lost: _Part, now: int, zone: tzinfo | None) -> str:
    if not lost["records"]:
        return "nothing is lost yet"
    span = ""
    if lost["from"] is not None:
        span = f" of {instant(lost['from'], now, zone)} to {instant(lost['to'], now, zone)}"
    return f"{counted(lost['records'], 'record')}, {counted(lost['readings'], 'reading')}{span} are lost"


def _orphaned(orphan: _Part) -> str:
    if orphan["records"] is None:
        return f"{orphan['file']} cannot be read"
    return f"{counted(orphan['records'], 'record')}, {counted(orphan['readings'], 'reading')} in {orphan['file']}"


def _without_hint(reason: str) -> str:
    """What to do stands in a line of its own."""
    return reason.partition(" -> ")[0]


def _ms(milliseconds: int) -> str:
    return f"{milliseconds / 1000:g} s"


def _size(size: int | None) -> str:
    return "?" if size is None else readable_size(size)


# --- what there is ----------------------------------------------------------------------------------------------------


def _devices(document: _Part, zone: tzinfo | None) -> Iterator[str]:
    devices, now = document["devices"], document["ts"]
    states = Counter("disabled" if one["causes"] == ["disabled"] else one["state"] for one in devices.values())
    order = ("online", "degraded", "offline", "disabled")
    words = ", ".join(f"{states[state]:,} {state}" for state in order if states[state])
    yield ""
    yield f"Devices     {words or 'none'}"
    if len(devices) > DEVICES:
        return
    width = min(24, max(map(len, devices), default=0))
    for name, one in devices.items():
        state = "disabled" if one["causes"] == ["disabled"] else one["state"]
        good = "-" if one["last_good"] is None else instant(one["last_good"], now, zone)
        pace = f"{_ms(one['achieved_ms'])} for {_ms(one['interval_ms'])}" if _late(one) else ""
        bad = f"{one['tags_bad']} bad" if one["tags_bad"] else ""
        since = instant(one["since"], now, zone)
        yield f"  {name:<{width}} {state:<9}since {since}, last good {good}  {pace} {bad}"[:WIDTH]


def _late(device: _Part) -> bool:
    return device["achieved_ms"] is not None and device["interval_ms"] is not None


def _publishers(document: _Part, zone: tzinfo | None) -> Iterator[str]:
    now = document["ts"]
    yield ""
    yield "Publishers"
    for name, one in document["publishers"].items():
        yield from _wrapped(f"  {name} {one['state']} since {_since(one['since'], now, zone)}", "    ")
        filled = readable_size(one["bytes"], one["limit_bytes"])
        waits = [f"{counted(one['records'], 'record')} waiting", f"{filled}{', FULL' if one['full'] else ''}"]
        if one["room_seconds"] is not None and not one["full"]:
            waits.append(f"an outage may last {lasting(one['room_seconds'])}")
        if one["lost"]["records"]:
            waits.append(f"{one['lost']['records']:,} lost")
        if one["quarantined"]:
            waits.append(f"{one['quarantined']:,} in quarantine")
        yield from _wrapped(f"    {', '.join(waits)}", "    ")


def _rest(document: _Part) -> Iterator[str]:
    disk = document["disk"]
    yield ""
    if disk["free_bytes"] is not None:
        left = disk["floor_seconds"]
        soon = "" if left is None or left > SOON else f", reached in {lasting(left)} at the present rate"
        yield f"Disk        {_size(disk['free_bytes'])} free, floor {_size(disk['floor_bytes'])}{soon}"
    yield f"Clock       {'set' if document['clock']['synced'] else 'NOT SET'}"
    up = lasting((document["ts"] - document["started"]) / 1000)
    yield f"Agent       version {document['agent']['version']}, up for {up}"
