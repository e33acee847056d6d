"""The rows of a day out of the database. One SQL for both (see `stores/asking.py`)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from heapq import merge
from operator import attrgetter

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

_TAGS = "SELECT id, path, device, name, unit, interval_ms FROM tag WHERE valid_from < AT(:until) ORDER BY id"
_READINGS = """SELECT r.tag, MS(r.ts), r.quality, r.snapshot, r.stream, r.seq, r.historical, r.age
FROM tag t CROSS JOIN reading r
WHERE r.tag = t.id AND r.ts >= AT(:begin) AND r.ts < AT(:until) ORDER BY t.id, r.ts, r.seq, r.part, r.position"""
_BEFORE = """SELECT r.tag, MS(r.ts), r.quality, r.snapshot, r.stream, r.seq, r.historical, r.age
FROM tag t JOIN reading r ON r.tag = t.id AND r.ts = (
SELECT max(n.ts) FROM reading n WHERE n.tag = t.id AND n.ts < AT(:begin) AND n.ts >= AT(:back))
ORDER BY r.tag, r.seq, r.part, r.position"""
_STATES = """SELECT path, MS(at), state, MS(since), reason, due, done, late, readings FROM device_state s
WHERE s.at >= coalesce((SELECT max(b.at) FROM device_state b WHERE b.path = s.path AND b.at <= AT(:begin)), AT(:begin))
AND s.at <= coalesce((SELECT min(a.at) FROM device_state a WHERE a.path = s.path AND a.at >= AT(:until)),
AT(:until))
AND s.at <= AT(:made) ORDER BY path, at"""
_LOSSES = """SELECT agent, device, epoch, kind, MS(from_ts), MS(to_ts), from_seq, to_seq, records, readings, tags,
reason FROM gap WHERE from_ts < AT(:until) AND (to_ts >= AT(:back) OR from_seq IS NOT NULL)
ORDER BY from_ts, agent, id"""
_STREAMS = """SELECT s.id, s.agent, s.epoch, s.device, s.path, s.base, coalesce(sum(a.readings), 0), min(MS(a.slot)),
CAST(s.seen AS text) FROM stream s LEFT JOIN arrival a ON a.stream = s.id AND a.slot < AT(:until)
WHERE s.path <> '' GROUP BY s.id ORDER BY s.epoch, s.id"""
_AGES = """SELECT stream, age, sum(records - snapshots) FROM arrival WHERE slot >= AT(:begin) AND slot < AT(:until)
GROUP BY stream, age HAVING sum(records - snapshots) > 0 ORDER BY stream, age"""
_HOLES = "SELECT stream, from_seq, to_seq, repair FROM missing ORDER BY stream, from_seq"
_AGENTS = """SELECT agent, MS(at), state, version, config FROM agent_state s WHERE s.at < AT(:until) AND s.at >=
coalesce((SELECT max(b.at) FROM agent_state b WHERE b.agent = s.agent AND b.at <= AT(:begin)), AT(:begin))
ORDER BY agent, at, session"""


def ask_facts(ask: Query, day: Day, equipment: int | None, stops: Sequence[Stop]) -> Facts:
    """Everything but the readings is fetched at once; those come as they are counted."""
    given = {"begin": day.begin, "until": day.until, "back": day.begin - _BACK, "made": day.made}
    devices = [Stream._make((*row[:6], int(row[6]), row[7], _ranges(row[8]))) for row in ask(_STREAMS, given)]
    return Facts(
        day=day,
        equipment=equipment,
        tags=[Tag(*row) for row in ask(_TAGS, given)],
        readings=_readings(ask, given),
        states=[State(*row) for row in ask(_STATES, given)],
        losses=[_loss(row) for row in ask(_LOSSES, given)],
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


def _loss(row: tuple[object, ...]) -> DeclaredLoss:
    *first, tags, reason = row
    named = json.loads(tags) if isinstance(tags, str) else tags
    return DeclaredLoss._make((*first, tuple(named) if isinstance(named, list) else None, reason))
