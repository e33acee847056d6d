"""The status of an agent on one screen of 80 columns: what is wrong first, then what there is. Pure.

What is shown may come from devices, brokers and files of strangers: nothing of it reaches the terminal unescaped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import tzinfo
from textwrap import wrap

from agent.cli.findings import FindingGroup, Part, explained, lasts_since, merged, period, size_of, told
from agent.cli.words import counted, harmless, instant, lasting
from agent.settings.values import readable_size

WIDTH = 80
#: So many findings are told in full, and so few devices are listed one by one.
FINDINGS, DEVICES = 6, 12

#: A floor of the disk that is further away is not worth a word, seconds.
SOON = 7 * 86400


def screen(document: Part, zone: tzinfo | None = None) -> str:
    """All of it, each line ended."""
    lines = [*_heading(document, zone), *_wrong(document, zone), *_devices(document, zone)]
    lines += [*_publishers(document, zone), *_rest(document)]
    return "".join(f"{harmless(line).rstrip()}\n" for line in lines)


def _heading(document: Part, zone: tzinfo | None) -> Iterator[str]:
    agent, now = document["agent"], document["ts"]
    number = sum(one["counts"] for one in explained(document))
    verdict = f"{number} {'thing is' if number == 1 else 'things are'} wrong" if number else "all well"
    if not number and document["wrong"]:
        verdict += f", but {counted(len(explained(document)), 'thing')} to look at"
    yield from _wrapped(f"{agent['id']}: {verdict}, {instant(now, 0, zone)}", "  ")


# --- what is wrong ----------------------------------------------------------------------------------------------------


def _wrong(document: Part, zone: tzinfo | None) -> Iterator[str]:
    found = merged([told(one, document, zone) for one in explained(document)])
    shown = _first_of_each_kind(found)
    advised: set[str] = set()
    for one in shown:
        since = f" since {lasts_since(one.since, document['ts'], zone)}" if one.since is not None else ""
        yield ""
        yield from _wrapped(f"{'!' if one.counts else '-'} {one.headline}{since}", "  ")
        lines = list(one.lines)
        if one.do is not None:
            advice = one.do.replace("`reason`", "the line `why`")
            lines.append(("do", "the same as above" if one.do in advised else advice))
            advised.add(one.do)
        for word, text in lines:
            yield from _wrapped(f"  {word:<5}{text}", " " * 7)
    if len(found) > len(shown):
        rest = (one for one in found if one not in shown)
        more = Counter(f"{one.what} {one.title}".strip() for one in rest for _ in one.names or [""])
        yield ""
        words = ", ".join(f"{number} x {title}" for title, number in more.items())
        yield from _wrapped(f"  and more: {words}; `--json` names them all", "  ")


def _first_of_each_kind(found: Sequence[FindingGroup]) -> list[FindingGroup]:
    """As many as are told in full, in their order: no kind is left out because there is much of another."""
    met: Counter[tuple[str, str]] = Counter()
    rank: list[tuple[int, int]] = []
    for at, one in enumerate(found):
        rank.append((met[one.what, one.title], at))
        met[one.what, one.title] += 1
    return [found[at] for at in sorted(at for _, at in sorted(rank)[:FINDINGS])]


def _wrapped(text: str, indent: str) -> list[str]:
    return wrap(
        harmless(text), WIDTH, subsequent_indent=indent, break_on_hyphens=False, drop_whitespace=True,
        replace_whitespace=False,
    )  # fmt: skip


# --- what there is ----------------------------------------------------------------------------------------------------


def _devices(document: Part, zone: tzinfo | None) -> Iterator[str]:
    devices, now = document["devices"], document["ts"]
    states = Counter(map(_state, devices.values()))
    order = ("online", "degraded", "silent", "offline", "disabled")
    words = ", ".join(f"{states[state]:,} {state}" for state in order if states[state])
    yield ""
    yield f"Devices     {words or 'none'}"
    if len(devices) > DEVICES:
        return
    width = min(24, max(map(len, devices), default=0))
    for name, one in devices.items():
        good = "-" if one["last_good"] is None else instant(one["last_good"], now, zone)
        pace = f"{period(one['achieved_ms'])} for {period(one['interval_ms'])}" if _late(one) else ""
        bad = f"{one['tags_bad']} bad" if one["tags_bad"] else ""
        since = instant(one["unanswered"] or one["since"], now, zone)
        trouble = ", ".join(filter(None, (pace, bad)))
        yield f"  {name:<{width}} {_state(one):<9}since {since}, last good {good}  {trouble}"[:WIDTH]


def _state(device: Part) -> str:
    if device["unanswered"] is not None:
        return "silent"
    return "disabled" if device["causes"] == ["disabled"] else str(device["state"])


def _late(device: Part) -> bool:
    return device["achieved_ms"] is not None and device["interval_ms"] is not None


def _publishers(document: Part, zone: tzinfo | None) -> Iterator[str]:
    now = document["ts"]
    yield ""
    yield "Publishers"
    for name, one in document["publishers"].items():
        yield from _wrapped(f"  {name} {one['state']} since {lasts_since(one['since'], now, zone)}", "    ")
        filled = readable_size(one["bytes"], one["limit_bytes"])
        waits = [f"{counted(one['records'], 'record')} waiting", f"{filled}{', FULL' if one['full'] else ''}"]
        if one["room_seconds"] is not None and not one["full"]:
            waits.append(f"an outage may last {lasting(one['room_seconds'])}")
        if one["lost"]["records"]:
            waits.append(f"{one['lost']['records']:,} lost")
        if one["quarantined"]:
            waits.append(f"{one['quarantined']:,} in quarantine")
        yield from _wrapped(f"    {', '.join(waits)}", "    ")


def _rest(document: Part) -> Iterator[str]:
    disk = document["disk"]
    yield ""
    if disk["free_bytes"] is not None:
        left = disk["floor_seconds"]
        soon = "" if left is None or left > SOON else f", reached in {lasting(left)} at the present rate"
        yield f"Disk        {size_of(disk['free_bytes'])} free, floor {size_of(disk['floor_bytes'])}{soon}"
    yield f"Clock       {'set' if document['clock']['synced'] else 'NOT SET'}"
    up = lasting((document["ts"] - document["started"]) / 1000)
    yield f"Agent       version {document['agent']['version']}, up for {up}"
