"""What agents counted of a device: totals that they publish now and then, and when nobody knows them. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import NamedTuple

from agent.core.ids import time_of
from agent.historian.report.facts import DeclaredLoss, State, Stream
from agent.historian.report.spans import Span, merged

#: Statuses come every 30 s; whoever is away for less than this leaves no hole worth a word, milliseconds.
UNTOLD = 120_000


class Totals:
    """A total that agents publish now and then, at any instant: in a straight line between two statuses."""

    def __init__(self, points: Iterable[tuple[int, int]]) -> None:
        self._at: list[int] = []
        self._sum: list[int] = []
        before = 0
        for at, total in points:
            # a total that falls belongs to another epoch, which began at 0
            more = total - before if total >= before else total
            self._at.append(at)
            self._sum.append((self._sum[-1] + more) if self._sum else 0)
            before = total
        self.known = bool(self._at)

    def at(self, ts: int) -> float:
        """Counted from the first status on; what was counted before and after all statuses is unknown: nothing."""
        place = bisect_right(self._at, ts)
        if place == 0:
            return 0.0
        if place == len(self._at):
            return float(self._sum[-1])
        first, last = self._at[place - 1], self._at[place]
        return self._sum[place - 1] + (self._sum[place] - self._sum[place - 1]) * (ts - first) / (last - first)

    def within(self, span: Span, without: Sequence[Span] = ()) -> float:
        """How much it rose within a span, outside of others (merged)."""
        begin, end = span
        rose = self.at(end) - self.at(begin)
        for first, last in without:
            if max(first, begin) < min(last, end):
                rose -= self.at(min(last, end)) - self.at(max(first, begin))
        return rose


class Run(NamedTuple):
    """An epoch of a device, as far as its totals go."""

    began: int
    over: int | None  #: when the next one began
    ended: int | None  #: when it had its last totals, where the agent told them later; …
    totals: dict[str, int]  #: … and what they were
    whole: bool  #: it was heard from its beginning


def runs_of(streams: Sequence[Stream], losses: Iterable[DeclaredLoss], states: Iterable[State]) -> list[Run]:
    """Epochs of a device, in order."""
    downs = {one.epoch: one.from_ts for one in losses if one.kind == "down"}
    begun = sorted((began, one) for one in streams if (began := time_of(one.epoch)))
    runs = []
    for place, (began, one) in enumerate(begun):
        over = begun[place + 1][0] if place + 1 < len(begun) else None
        ended = None
        if over is not None and one.due is not None:
            said = [state.at for state in states if state.due is not None and began <= state.at < over]
            ended = max([min(downs.get(one.epoch, over), over - 1), *said])
        totals = {"due": one.due or 0, "done": one.done or 0}
        runs.append(Run(began, over, ended, totals, one.base == 1))
    return runs


def placed(states: Sequence[State], streams: Sequence[Stream], losses: Iterable[DeclaredLoss]) -> list[State]:
    """Each status in its epoch, by its session. One that waited at the broker comes when another epoch has begun.

    What an agent says before the first record of an epoch are still the totals of the epoch before: they fall with the
    next status of the same epoch, and are left out.
    """
    begun = sorted((began, one.epoch) for one in streams if (began := time_of(one.epoch)))
    downs = {one.epoch: one.from_ts for one in losses if one.kind == "down"}
    last: dict[int, int] = {}
    found: list[State] = []
    newest: dict[int, int] = {}  # by place: which of `found` told totals last
    for state in states:
        place = bisect_right(begun, (time_of(state.session), "~")) - 1
        if place >= 0:
            over = begun[place + 1][0] if place + 1 < len(begun) else None
            at = state.at
            if over is not None and at >= over:
                at = max(last.get(place, 0), min(downs.get(begun[place][1], over), over - 1))
            last[place] = at
            if state.due is not None:
                before = newest.get(place)
                if before is not None and (found[before].due or 0) > state.due:
                    found[before] = found[before]._replace(due=None, done=None)
                newest[place] = len(found)
            found.append(state._replace(at=at))
        else:
            found.append(state)
    return sorted(found, key=attrgetter("at"))


def totals_of(states: Iterable[State], what: str, runs: Iterable[Run]) -> Totals:
    """One of `due`, `done` of a device; each of its runs begins at 0."""
    said = _said(states, what)
    first, last = (said[0][0], said[-1][0]) if said else (0, 0)
    points = list(said)
    earlier: list[tuple[int, int]] = []
    for run in runs:
        if run.ended is not None:
            # what it said last was not written down yet, where it was killed
            own = max((total for at, total in said if run.began <= at <= run.ended), default=0)
            points += [(run.began, 0), (run.ended, max(own, run.totals[what]))]
        elif first <= run.began < last:
            points.append((run.began, 0))
        elif run.began < first:
            earlier.append((run.began, 0))
    # of the other epochs before the first status only the newest one can be what it counts
    return Totals(sorted([*points, *sorted(earlier)[-1:]]))


def untold(states: Iterable[State], runs: Sequence[Run], day: Span) -> list[Span]:
    """When no count of the agent covers the device: who listens was away, and the agent was started anew meanwhile.

    What lies in a straight line between two totals of one epoch is told.
    """
    said = _said(states, "due")
    blank: list[Span] = []
    for run in runs:
        over = day[1] if run.over is None else run.over
        at, total = run.began, 0
        known = run.whole
        for told, more in said:
            if not run.began <= told < (over if run.over is not None else told + 1):
                continue
            if more < total or not known:
                blank.append((at, told))
            at, total, known = told, more, True
        if run.ended is None:
            blank.append((at, over))
    return merged(
        (max(begin, day[0]), min(end, day[1])) for begin, end in blank if end - begin > UNTOLD and end > day[0]
    )


def _said(states: Iterable[State], what: str) -> list[tuple[int, int]]:
    return [(one.at, getattr(one, what)) for one in states if getattr(one, what) is not None]
