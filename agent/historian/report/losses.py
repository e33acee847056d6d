"""What declared losses come to: each number counts once, however often it was declared, and not at all where it came.

    declared   dropped 1-60, lost 50-80          received   55, 81-
    counts     1-54, 56-60      61-80

The numbers of one declaration lie in a straight line between its times, so a loss over midnight is shared by both days,
and what fell into a planned stop is left out. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from agent.consumer.intervals import IntervalSet
from agent.historian.ledger import DECLARING
from agent.historian.report.facts import DeclaredLoss, Stream
from agent.historian.report.spans import Span, shared


class DeviceLosses(NamedTuple):
    """Of one device."""

    records: int  #: of the day, outside of planned stops
    readings: Mapping[str | None, int | None]  #: by epoch, all of it; None where a declaration does not tell how many


def lost(losses: Iterable[DeclaredLoss], streams: Iterable[Stream], planned: Sequence[Span]) -> DeviceLosses:
    """`losses` of a device in order, those before the day, too; `streams` are its epochs.

    `planned` is the day without its stops.
    """
    known: dict[str | None, IntervalSet] = {}
    for stream in streams:
        seen = known.setdefault(stream.epoch, IntervalSet())
        for first, end in stream.seen:
            seen.add(first, end)
    records = 0
    readings: dict[str | None, int | None] = {}
    for one in losses:
        if one.kind not in DECLARING:
            continue
        if one.from_seq is None or one.to_seq is None:
            records += (one.records or 0) * any(begin <= one.from_ts < until for begin, until in planned)
            continue
        first, end = one.from_seq, one.to_seq + 1
        told = known.setdefault(one.epoch, IntervalSet())
        fresh = list(told.holes(first, end))
        if not fresh:
            continue
        told.add(first, end)
        days = [(_first_at(one, first, end, begin), _first_at(one, first, end, until)) for begin, until in planned]
        counted = sum(shared(part, days) for part in fresh)
        # of numbers that the historian gave up most may have come before: how many are lost it counted then
        records += counted if one.records is None else min(counted, one.records)
        before = readings.get(one.epoch, 0)
        whole = fresh == [(first, end)] and one.readings is not None and before is not None
        readings[one.epoch] = before + one.readings if whole else None  # type: ignore[operator]
    return DeviceLosses(records, readings)


def _first_at(loss: DeclaredLoss, first: int, end: int, at: int) -> int:
    """The first of its numbers [first, end) that was read at this time or later."""
    width, steps = loss.to_ts - loss.from_ts, end - 1 - first
    if at <= loss.from_ts:
        return first
    if width <= 0 or steps <= 0:
        return end
    return min(end, first - (loss.from_ts - at) * steps // width)
