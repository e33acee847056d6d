"""Good time and scans of one tag. Pure. Times are epoch milliseconds."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from agent.historian.report.facts import Read, State

Span = tuple[int, int]  #: from, to (not within)

#: A good reading of a tag that is read in intervals holds for so many of them.
HOLDS = 3


def merged(spans: Iterable[Span]) -> list[Span]:
    """In order, none touching another."""
    done: list[Span] = []
    for begin, end in sorted(spans):
        if done and begin <= done[-1][1]:
            done[-1] = done[-1][0], max(end, done[-1][1])
        elif begin < end:
            done.append((begin, end))
    return done


def shared(span: Span, spans: Sequence[Span]) -> int:
    """How much of `span` lies in `spans` (apart from each other)."""
    begin, end = span
    return sum(max(0, min(end, last) - max(begin, first)) for first, last in spans)


def without(span: Span, spans: Iterable[Span]) -> list[Span]:
    """What is left of `span` beside `spans` (merged)."""
    left, (begin, end) = [], span
    for first, last in spans:
        if begin < min(first, end):
            left.append((begin, min(first, end)))
        begin = max(begin, last)
    return [*left, (begin, end)] if begin < end else left


class Account(NamedTuple):
    """Of one tag within the day, without the planned stops."""

    good_ms: int
    arrived: int  #: scans, snapshots left out
    readings: int
    good_readings: int
    ages: Counter[int]  #: scans by age


def account(
    readings: Sequence[Read], day: Span, interval_ms: int | None, cuts: Sequence[Span], stops: Sequence[Span]
) -> Account:
    """`readings` in order, the newest before the day first. `cuts` (merged) end what is good, until the next one."""
    begin, until = day
    cap = HOLDS * interval_ms if interval_ms is not None and every_scan(readings, interval_ms) else None
    starts = [first for first, _ in cuts]
    good_ms = arrived = count = good_count = 0
    ages: Counter[int] = Counter()
    scan: tuple[int, int] | None = None
    for position, one in enumerate(readings):
        ts = one.ts
        good = one.quality == "good"
        if begin <= ts < until and not (stops and _covered(ts, stops)):
            count += 1
            good_count += good
            if not one.snapshot and scan != (one.stream, one.seq):
                scan = one.stream, one.seq
                arrived += 1
                if one.age is not None:
                    ages[one.age] += 1
        if not good:
            continue
        following = readings[position + 1].ts if position + 1 < len(readings) else until
        end = min(following, until) if cap is None else min(following, until, ts + cap)
        if cuts:
            place = bisect_right(starts, ts)
            if place and cuts[place - 1][1] > ts:
                continue
            if place < len(cuts):
                end = min(end, cuts[place][0])
        start = max(ts, begin)
        if end > start:
            good_ms += end - start - (shared((start, end), stops) if stops else 0)
    return Account(good_ms, arrived, count, good_count, ages)


def every_scan(readings: Sequence[Read], interval_ms: int) -> bool:
    """Whether the tag reports every reading, not only changes: half of the distances are one interval.

    The catalogue does not tell.
    """
    near = sum(2 * (after.ts - before.ts) <= 3 * interval_ms for before, after in zip(readings, readings[1:]))  # noqa: B905, RUF007
    return 2 * near >= len(readings) - 1


def _covered(ts: int, spans: Sequence[Span]) -> bool:
    return any(begin <= ts < end for begin, end in spans)


def offline(states: Sequence[State], until: int, words: Sequence[str] = ("offline", "removed")) -> list[Span]:
    """When the device was offline or no longer configured, by its agent's clock."""
    spans: list[Span] = []
    for position, one in enumerate(states):
        if one.state in words:
            begin = _began(one)
            end = _began(states[position + 1]) if position + 1 < len(states) else max(until, begin)
            spans.append((begin, max(begin, end)))
    return merged(spans)


def _began(state: State) -> int:
    return min(state.at, state.since) if state.since is not None else state.at
