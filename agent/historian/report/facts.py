"""Plain rows of a day, as the database gives them: what figures are made of. Times are epoch milliseconds."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import NamedTuple
from zoneinfo import ZoneInfo

#: Arrivals are counted by quarters of an hour, and zones change at them.
QUARTER = 900_000


class Day(NamedTuple):
    """00:00 to 24:00 in a time zone, as far as it has passed."""

    date: str  #: 2026-11-28
    zone: str
    begin: int
    end: int
    until: int  #: `end`, or the last full quarter of an hour where the day is not over
    made: int  #: when the figures were made: what agents publish later does not change them


class Tag(NamedTuple):
    """A row of `tag`: a tag in one unit."""

    id: int
    path: str
    device: str
    name: str
    unit: str | None
    interval_ms: int | None  #: None: subscribed, or read once
    catalogue: int | None = None  #: version of the newest one it stands in


class Read(NamedTuple):
    """A reading. In the order of tag, time and number."""

    tag: int
    ts: int
    quality: str
    snapshot: bool
    stream: int
    seq: int
    historical: bool = False
    age: int | None = None  #: of its record when it arrived, as in `Age`


class State(NamedTuple):
    """What an agent published of a device. Totals are those of an epoch: they fall where another one begins."""

    path: str
    at: int
    state: str
    since: int | None
    reason: str | None
    due: int | None
    done: int | None
    late: int | None
    readings: int | None
    session: str = ""  #: of the agent, when it said so


class DeclaredLoss(NamedTuple):
    """A gap."""

    agent: str
    device: str
    epoch: str | None
    kind: str
    from_ts: int
    to_ts: int
    from_seq: int | None
    to_seq: int | None
    records: int | None
    readings: int | None
    tags: tuple[str, ...] | None  #: None: any of the device
    reason: str


class Stream(NamedTuple):
    """One epoch of a device."""

    id: int
    agent: str
    epoch: str
    device: str
    path: str
    base: int | None  #: 1 where it was heard from its beginning
    received: int  #: readings in the records committed before `until`; counted of a device's newest epoch
    heard: int | None  #: when the oldest of them were committed, to the quarter of an hour
    seen: tuple[tuple[int, int], ...] = ()  #: numbers received until now: first, last + 1
    due: int | None = None  #: scans in all, where it is over and the agent told; …
    done: int | None = None  #: … and those made


class Age(NamedTuple):
    """Records of a stream that were so old when they arrived."""

    stream: int
    step: int  #: twentieths of a decade of milliseconds
    records: int  #: without snapshots


class MissingNumbers(NamedTuple):
    """Numbers that never came and that nobody declared."""

    stream: int
    first: int
    last: int
    repair: str


class Agent(NamedTuple):
    """What an agent published of itself."""

    agent: str
    at: int
    state: str
    version: str
    config: str | None


class Stop(NamedTuple):
    """Planned: what is not collected then is not missed."""

    begin: int
    end: int
    device: str  #: a glob
    reason: str


class Facts(NamedTuple):
    """All that is known of a day."""

    day: Day
    equipment: int | None
    tags: list[Tag]
    readings: Iterable[Read]  #: of the day, and of each tag the newest one before it
    states: list[State]  #: of the day, the newest one before and the first one after it
    losses: list[DeclaredLoss]  #: in order, those that began before the day, too
    streams: list[Stream]
    ages: list[Age]
    holes: list[MissingNumbers]
    agents: list[Agent]
    stops: list[Stop]


def day_of(date: dt.date, zone: str, now_ms: int) -> Day:
    """The day; it has 23 or 25 hours where the clock is changed."""
    where = ZoneInfo(zone)
    begin, end = (
        round(dt.datetime.combine(one, dt.time(), where).timestamp() * 1000) for one in (date, date + dt.timedelta(1))
    )
    return Day(date.isoformat(), zone, begin, end, max(begin, min(end, now_ms // QUARTER * QUARTER)), now_ms)
