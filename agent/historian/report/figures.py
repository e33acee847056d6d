"""Facts of a day → its figures. Pure, and the same whenever they are made again from the same rows."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

from agent.core.ids import time_of
from agent.historian.report.facts import (
    QUARTER,
    Age,
    Day,
    DeclaredLoss,
    Facts,
    MissingNumbers,
    Read,
    State,
    Stop,
    Stream,
    Tag,
)
from agent.historian.report.losses import DeviceLosses, lost
from agent.historian.report.owners import Owners
from agent.historian.report.spans import Account, Span, account, merged, offline, shared, without
from agent.historian.report.totals import Run, placed, runs_of, totals_of, untold

#: What the agent publishes of itself is none of the plant's devices.
ITSELF = "_agent"
_STEPS = 20
#: A status of the last minute may count records that the agent's clock puts behind the end of the day.
_SKEW = 60_000

Figures = dict[str, Any]


def figures(facts: Facts) -> Figures:
    """A document of plain values: shares are fractions of 1, times epoch milliseconds, durations seconds."""
    day = facts.day
    owners = Owners(facts)
    spread: dict[int, tuple[int, int]] = {}
    accounts = _accounts(facts, owners, spread)
    facts = facts._replace(holes=[hole for hole in facts.holes if _of_the_day(hole, spread.get(hole.stream))])
    owners.settle(accounts)
    devices = [_device(facts, owners, path, accounts) for path in owners.paths]
    counted = [one for one in devices if one["device"] != ITSELF]
    return {
        "day": day.date,
        "time_zone": day.zone,
        "begin": day.begin,
        "until": day.until,
        "complete": day.until == day.end,
        "networked": _networked(counted, facts.equipment),
        "collected": _rate(sum(one["collected"] or 0 for one in counted), sum(one["expected"] or 0 for one in counted)),
        "good": _rate(*(round(sum(one[key] for one in counted), 3) for key in ("good_s", "planned_s"))),
        "stops": [_stop(one) for one in facts.stops],
        "devices": devices,
        "gaps": [_gap(one, day) for one in facts.losses if one.to_ts >= day.begin],
        "differences": [_difference(one) for one in devices if one["short"] or one["missing"]],
        "agents": [one._asdict() for one in facts.agents],
    }


def _accounts(facts: Facts, owners: Owners, spread: dict[int, tuple[int, int]]) -> dict[int, Account]:
    """By tag. `spread` learns the first and last number of each stream in the day, where something is missing."""
    holed = {hole.stream for hole in facts.holes}
    span = facts.day.begin, facts.day.until
    tags = {tag.id: tag for tag in facts.tags}
    away = {path: offline(states, facts.day.until) for path, states in owners.states.items()}
    dead = _dead(facts, owners)
    stops = {path: owners.stops(path) for path in owners.paths}
    done: dict[int, Account] = {}
    for number, group in groupby(facts.readings, key=attrgetter("tag")):
        tag = tags.get(number)
        if tag is None:
            continue
        readings = list(group)
        if holed:
            _spread(readings, holed, span, spread)
        cuts = [*away.get(tag.path, ()), *_cuts(owners.losses(tag.path), tag.name)]
        if tag.path in dead:
            cuts.append((max(dead[tag.path], readings[-1].ts + 1), facts.day.until))
        done[number] = account(readings, span, tag.interval_ms, merged(cuts), stops[tag.path])
    return done


def _spread(readings: Iterable[Read], holed: set[int], day: Span, spread: dict[int, tuple[int, int]]) -> None:
    for one in readings:
        if one.stream in holed and day[0] <= one.ts < day[1] and not one.historical and not one.snapshot:
            first, last = spread.get(one.stream, (one.seq, one.seq))
            spread[one.stream] = min(first, one.seq), max(last, one.seq)


def _of_the_day(hole: MissingNumbers, spread: tuple[int, int] | None) -> bool:
    """Whether the record before it, or after it where it is the first one, is of the day."""
    if spread is None:
        return False
    first, last = spread
    return first <= hole.first - 1 <= last or (hole.first == 1 and hole.last + 1 == first)


def _dead(facts: Facts, owners: Owners) -> dict[str, int]:
    """Devices whose agent is offline and has not come back by the end of the day, and since when."""
    last = {agent.agent: agent for agent in sorted(facts.agents, key=attrgetter("at"))}
    gone = {name: agent.at for name, agent in last.items() if agent.state == "offline"}
    return {path: gone[owners.agent(path)] for path in owners.paths if owners.agent(path) in gone}


def _cuts(losses: Iterable[DeclaredLoss], tag: str) -> list[Span]:
    return [(one.from_ts, one.to_ts) for one in losses if one.tags is None or tag in one.tags]


def _device(facts: Facts, owners: Owners, path: str, accounts: dict[int, Account]) -> Figures:
    span = facts.day.begin, facts.day.until
    name, states, streams = owners.name(path), owners.states.get(path, []), owners.streams.get(path, [])
    stops = owners.stops(path)
    planned_s = (span[1] - span[0] - shared(span, stops)) / 1000
    polled = any(tag.interval_ms is not None for tag in owners.tags.get(path, ()))
    told = placed(states, streams, owners.losses(path))
    runs = runs_of(streams, owners.losses(path), told)
    due, made = totals_of(told, "due", runs), totals_of(told, "done", runs)
    untold = _untold(facts.day, told, runs, stops) if due.known and polled else []
    left_out = merged([*stops, *untold])
    expected = round(due.within(span, left_out)) if due.known and polled else None
    scanned = round(made.within(span, left_out)) if expected is not None else None
    gone = lost(owners.losses(path), streams, without(span, left_out))
    ids = {stream.id for stream in streams}
    missing = sum(hole.last - hole.first + 1 for hole in facts.holes if hole.stream in ids)
    tags = _tags(owners.tags.get(path, ()), accounts, planned_s, expected)
    short, counted, received = _agreement(facts.day, states, streams, gone)
    good_s = round(sum(tag["good_s"] for tag in tags), 3)
    return {
        "device": name,
        "agent": owners.agent(path),
        "path": path,
        "networked": any(tag["good_readings"] for tag in tags),
        "good_s": good_s,
        "planned_s": round(planned_s * len(tags), 3),
        "good": _share(good_s, planned_s * len(tags)),
        "expected": expected,
        "scanned": scanned,
        "collected": max(0, scanned - gone.records - missing) if scanned is not None else None,
        "lost": gone.records,
        "missing": missing,
        "repair": sorted({hole.repair for hole in facts.holes if hole.stream in ids}),
        "offline_s": shared(span, offline(states, span[1])) / 1000,
        "age_ms": _percentiles(_by_age(age for age in facts.ages if age.stream in ids)),
        "agent_readings": counted,
        "database_readings": received,
        "short": short,
        "untold": [{"from_ts": begin, "to_ts": end, "seconds": (end - begin) / 1000} for begin, end in untold],
        "tags": tags,
    }


def _untold(day: Day, states: Sequence[State], runs: Sequence[Run], stops: Sequence[Span]) -> list[Span]:
    """What no agent counted, but for stops and for what was no device of the plant any more."""
    cuts = merged([*stops, *offline(states, day.until, ("removed",))])
    return [part for one in untold(states, runs, (day.begin, day.until)) for part in without(one, cuts)]


def _tags(
    tags: Iterable[Tag], accounts: dict[int, Account], planned_s: float, expected: int | None
) -> list[dict[str, Any]]:
    """By name: a tag that got another unit within the day is one tag."""
    by_name: dict[str, list[Tag]] = defaultdict(list)
    for tag in tags:
        by_name[tag.name].append(tag)
    intervals = {tag.interval_ms for rows in by_name.values() for tag in rows[-1:] if tag.interval_ms is not None}
    whole = sum(1 / interval for interval in intervals)
    found = []
    for name, rows in sorted(by_name.items()):
        own = [accounts[row.id] for row in rows if row.id in accounts]
        interval = rows[-1].interval_ms
        good_s = sum(one.good_ms for one in own) / 1000
        found.append(
            {
                "tag": name,
                "unit": rows[-1].unit,
                "good_s": good_s,
                "good": _share(good_s, planned_s),
                "expected": round(expected / interval / whole) if expected is not None and interval else None,
                "arrived": sum(one.arrived for one in own),
                "readings": sum(one.readings for one in own),
                "good_readings": sum(one.good_readings for one in own),
                "age_ms": _percentiles(sum((one.ages for one in own), Counter())),
            }
        )
    return found


def _agreement(
    day: Day, states: Sequence[State], streams: Sequence[Stream], gone: DeviceLosses
) -> tuple[int, int | None, int | None]:
    """Readings the agent counted in its present epoch that are neither received nor declared lost; both counts."""
    said = [one for one in states if one.readings is not None and one.at < day.until - _SKEW]
    if not said or not streams:
        return 0, None, None
    newest = max(streams, key=attrgetter("epoch"))
    if newest.base != 1 or newest.heard is None or newest.heard > time_of(newest.epoch) + QUARTER:
        return 0, None, None  # the database was not there from the beginning, or has thrown old rows away
    declared = gone.readings.get(newest.epoch, 0)
    if declared is None:
        return 0, None, None  # what was asked for and is not kept is declared by number: nobody knows its readings
    counted = said[-1].readings or 0
    return max(0, counted - declared - newest.received), counted, newest.received


def _by_age(ages: Iterable[Age]) -> Counter[int]:
    counts: Counter[int] = Counter()
    for age in ages:
        counts[age.step] += age.records
    return counts


def _percentiles(counts: Counter[int]) -> dict[str, int] | None:
    total = sum(counts.values())
    if not total:
        return None
    found, reached, wanted = {}, 0, [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)]
    for step in sorted(counts):
        reached += counts[step]
        while wanted and reached >= math.ceil(total * wanted[0][1]):
            found[wanted.pop(0)[0]] = round(10 ** (step / _STEPS))
    return found


def _networked(devices: Sequence[Figures], equipment: int | None) -> Figures:
    there = sum(one["networked"] for one in devices)
    return {**_rate(there, equipment if equipment is not None else len(devices)), "by_plant": equipment is not None}


def _rate(numerator: float, denominator: float) -> Figures:
    return {"numerator": numerator, "denominator": denominator, "rate": _share(numerator, denominator)}


def _share(part: float, whole: float) -> float | None:
    return round(part / whole, 6) if whole else None


def _gap(loss: DeclaredLoss, day: Day) -> Figures:
    begin, end = max(loss.from_ts, day.begin), min(loss.to_ts, day.until)
    return {
        **loss._asdict(),
        "tags": list(loss.tags) if loss.tags is not None else None,
        "seconds": max(0, end - begin) / 1000,
    }


def _stop(stop: Stop) -> Figures:
    return stop._asdict()


def _difference(device: Figures) -> Figures:
    keys = ("device", "agent", "agent_readings", "database_readings", "short", "missing", "repair")
    return {key: device[key] for key in keys}
