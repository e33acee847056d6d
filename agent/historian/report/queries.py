"""The rows of a day out of the database. One SQL for both (see `stores/asking.py`)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import pairwise
from operator import attrgetter

from agent.core.ids import time_of
from agent.historian.report.facts import (
    Age,
    Agent,
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
from agent.historian.stores.asking import Query

_RANGE = re.compile(r"(\d+),(\d+)")
#: So far before the day the newest reading of a tag is looked for, milliseconds.
_BACK = 31 * 86_400_000

_TAGS = "SELECT id, path, device, name, unit, interval_ms, catalogue FROM tag WHERE valid_from < AT(:until) ORDER BY id"
_READINGS = """SELECT r.tag, MS(r.ts), r.quality, r.snapshot, r.stream, r.seq, r.historical, r.age
FROM tag t CROSS JOIN reading r
WHERE r.tag = t.id AND r.ts >= AT(:begin) AND r.ts < AT(:until) ORDER BY t.id, r.ts, r.seq, r.part, r.position"""
_BEFORE = """SELECT r.tag, MS(r.ts), r.quality, r.snapshot, r.stream, r.seq, r.historical, r.age
FROM tag t CROSS JOIN reading r WHERE r.tag = t.id AND r.ts = (
SELECT max(n.ts) FROM reading n WHERE n.tag = t.id AND n.ts < AT(:begin) AND n.ts >= AT(:back))
AND r.ts < AT(:begin) AND r.ts >= AT(:back) ORDER BY r.tag, r.seq, r.part, r.position"""
# one look into the index for each device, however many years of states there are
_STATES = """WITH RECURSIVE path (path) AS (SELECT min(path) FROM device_state
UNION ALL SELECT (SELECT min(n.path) FROM device_state n WHERE n.path > p.path) FROM path p WHERE p.path IS NOT NULL),
span AS MATERIALIZED (SELECT path,
coalesce((SELECT max(b.at) FROM device_state b WHERE b.path = p.path AND b.at <= AT(:begin)), AT(:begin)) AS first,
coalesce((SELECT min(a.at) FROM device_state a WHERE a.path = p.path AND a.at >= AT(:until)), AT(:until)) AS last
FROM path p WHERE path IS NOT NULL)
SELECT s.path, MS(s.at), s.state, MS(s.since), s.reason, s.due, s.done, s.late, s.readings, s.session
FROM span JOIN device_state s ON s.path = span.path AND s.at >= span.first AND s.at <= span.last
WHERE s.at <= AT(:made) ORDER BY s.path, s.at"""
# of older ones those that say what of an epoch was declared before: where it is declared again within the day, and all
# of the newest epoch, whose readings the agent counts
_LOSSES = """WITH epoch AS MATERIALIZED (
SELECT agent, device, epoch FROM gap WHERE from_seq IS NOT NULL AND from_ts < AT(:until) AND to_ts >= AT(:begin)
UNION SELECT agent, device, max(epoch) FROM stream s WHERE path <> ''
AND EXISTS (SELECT 1 FROM arrival a WHERE a.stream = s.id AND a.slot < AT(:until)) GROUP BY agent, device, path)
SELECT g.agent, g.device, g.epoch, kind, MS(from_ts), MS(to_ts), from_seq, to_seq, records, readings, tags, reason
FROM gap g LEFT JOIN epoch e ON e.agent = g.agent AND e.device = g.device AND e.epoch = g.epoch
WHERE from_ts < AT(:until) AND (to_ts >= AT(:back) OR (from_seq IS NOT NULL AND e.epoch IS NOT NULL))
ORDER BY from_ts, g.agent, id"""
# those of which something was committed before the day's end: what began later is nothing of this day, so it changes
# no report made before; only of a device's newest epoch the agent's count is compared
_STREAMS = """WITH heard AS MATERIALIZED (SELECT s.*,
(SELECT min(a.slot) FROM arrival a WHERE a.stream = s.id AND a.slot < AT(:until)) AS heard FROM stream s
WHERE s.path <> '')
SELECT h.id, h.agent, h.epoch, h.device, h.path, h.base, CASE WHEN h.epoch = max(h.epoch) OVER (PARTITION BY h.path)
THEN h.readings - coalesce((SELECT sum(a.readings) FROM arrival a WHERE a.stream = h.id AND a.slot >= AT(:until)), 0)
ELSE 0 END, MS(h.heard), CAST(h.seen AS text), h.due, h.done
FROM heard h WHERE h.heard IS NOT NULL ORDER BY h.epoch, h.id"""
# one look into the index for each tag of a device
_LAST = """SELECT MS(n.last) FROM (SELECT max((SELECT max(r.ts) FROM reading r WHERE r.tag = t.id AND r.ts < AT(:at)
AND r.ts >= AT(:back))) AS last FROM tag t WHERE t.path = (SELECT path FROM stream WHERE id = :stream)) n"""
_AGES = """SELECT a.stream, a.age, sum(a.records - a.snapshots) FROM stream s CROSS JOIN arrival a
WHERE a.stream = s.id AND a.slot >= AT(:begin) AND a.slot < AT(:until)
GROUP BY a.stream, a.age HAVING sum(a.records - a.snapshots) > 0 ORDER BY a.stream, a.age"""
_HOLES = "SELECT stream, from_seq, to_seq, repair FROM missing ORDER BY stream, from_seq"
_AGENTS = """WITH before AS MATERIALIZED (
SELECT agent, max(at) AS at FROM agent_state WHERE at <= AT(:begin) GROUP BY agent)
SELECT s.agent, MS(s.at), s.state, s.version, s.config FROM agent_state s LEFT JOIN before b ON b.agent = s.agent
WHERE s.at < AT(:until) AND s.at >= coalesce(b.at, AT(:begin)) ORDER BY s.agent, s.at, s.session"""


def ask_facts(ask: Query, day: Day, equipment: int | None, stops: Sequence[Stop]) -> Facts:
    """Everything but the readings is fetched at once; those come as they are counted."""
    given = {"begin": day.begin, "until": day.until, "back": day.begin - _BACK, "made": day.made}
    devices = [Stream._make((*row[:6], int(row[6]), row[7], _ranges(row[8]), *row[9:])) for row in ask(_STREAMS, given)]
    return Facts(
        day=day,
        equipment=equipment,
        tags=[Tag(*row) for row in ask(_TAGS, given)],
        readings=_readings(ask, given),
        states=[State(*row) for row in ask(_STATES, given)],
        losses=_losses(ask, given, devices),
        streams=devices,
        ages=[Age(row[0], row[1], int(row[2])) for row in ask(_AGES, given)],
        holes=[MissingNumbers._make(row) for row in ask(_HOLES, given)],
        agents=[Agent(*row) for row in ask(_AGENTS, given)],
        stops=[stop for stop in stops if stop.begin < day.until and stop.end > day.begin],
    )


def _readings(ask: Query, given: dict[str, int]) -> Iterator[Read]:
    before = (Read._make(row) for row in ask(_BEFORE, given))
    return merge(before, map(Read._make, ask(_READINGS, given)), key=attrgetter("tag"))


def _ranges(text: str) -> tuple[tuple[int, int], ...]:
    """As either database writes them: `[[1,5],[7,9]]`, `{[1,5),[7,9)}`."""
    return tuple((int(first), int(end)) for first, end in _RANGE.findall(text))


def _losses(ask: Query, given: dict[str, int], streams: Sequence[Stream]) -> list[DeclaredLoss]:
    """As declared. A `down` gap may be lost at the broker: the next epoch tells of it all the same."""
    losses = [_loss(row) for row in ask(_LOSSES, given)]
    told = {(one.agent, one.device, one.epoch) for one in losses if one.kind == "down"}
    whose = attrgetter("agent", "device", "path")
    for before, after in pairwise(sorted(streams, key=attrgetter("agent", "device", "path", "epoch"))):
        began = time_of(after.epoch)
        fresh = whose(before) == whose(after) and (before.agent, before.device, before.epoch) not in told
        if not fresh or not given["begin"] <= began < given["until"]:
            continue
        ((last,),) = ask(_LAST, {"at": began, "back": given["back"], "stream": before.id})
        if last is not None:
            reason = "the agent was started anew; its own declaration never came"
            times = last, began, None, None, None, None, None
            losses.append(DeclaredLoss(before.agent, before.device, before.epoch, "down", *times, reason))
    return sorted(losses, key=attrgetter("from_ts", "agent"))


def _loss(row: tuple[object, ...]) -> DeclaredLoss:
    *first, tags, reason = row
    named = json.loads(tags) if isinstance(tags, str) else tags
    return DeclaredLoss._make((*first, tuple(named) if isinstance(named, list) else None, reason))
