"""Polling without drift: poll groups, the grid of their ticks, and the loop that waits for them.

Ticks lie on a grid, `start + k * interval`. A cycle that could not begin in time is skipped and counted, never
overlapped, never queued: the next one begins on the grid again. All groups due at one tick are handed out together and
make one sample. Times are monotonic seconds; everything but :func:`ticks` is pure.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import NamedTuple
from zlib import crc32

from agent.collectors.common.pace import CyclePace
from agent.core.clock import Clock
from agent.settings.tags import TagBase

SCAN_YIELD_SECONDS = 0.1
"""A scan longer than this hands on what it has, so that good values never wait for a dead block."""

_LATE_SHARE = 0.1  #: a cycle may begin this share of its interval late; later it is skipped
_EARLY_SECONDS = 0.002  #: loops wake up to a millisecond early (uvloop rounds), and ticks this close are one
_PHASE_SPAN = 1.0  #: devices spread over at most this much, so that none waits long for its first values
_SLOTS = (1, 2, 5, 10)  #: of a span: devices of one slot tick together, because the loop wakes once for all of them …
MOST_SLOTS = _SLOTS[-1]
_TOGETHER = 40  #: … and then answer one after the other: so many small ones share a slot before there are more slots
_SMALL, _WEIGHT = 20, 125  #: tags; each so many more weigh as much as one more small device


class PollGroup(NamedTuple):
    """The tags of a device that share an interval."""

    interval: float | None  #: seconds; None: once per connection
    positions: tuple[int, ...]  #: in the device's tag table


def poll_groups(tags: Iterable[TagBase], default: float) -> list[PollGroup]:
    """The enabled tags by interval, shortest first, `once` last. `default` is the device's interval."""
    found: dict[float | None, list[int]] = {}
    for position, tag in enumerate(tags):
        if tag.enabled:
            interval = None if tag.interval == "once" else tag.interval or default
            found.setdefault(interval, []).append(position)
    order = sorted(found, key=lambda interval: math.inf if interval is None else interval)
    return [PollGroup(interval, tuple(found[interval])) for interval in order]


def phase_of(device: str, intervals: Iterable[float | None]) -> float:
    """How far the ticks of a device are moved, seconds: the same on every start, spread over all devices."""
    shortest = min((interval for interval in intervals if interval is not None), default=_PHASE_SPAN)
    return crc32(device.encode()) / 2**32 * min(shortest, _PHASE_SPAN)


def slots_for(devices: int, tags: int) -> int:
    """Slots of a span where so many devices have about so many tags each."""
    slots = devices * (1 + max(0, tags - _SMALL) / _WEIGHT) / _TOGETHER
    return max((some for some in _SLOTS if some <= slots), default=1)


def first_tick(device: str, intervals: Sequence[float | None], now: float, slots: int = MOST_SLOTS) -> float:
    """When the grid of a device begins (monotonic seconds), never in the past: at its phase, in a slot all share.

    A hundred devices answer in a few bursts a second instead of one by one: what the loop, the outbox and the broker do
    for fifty answers at once costs little more than for one.
    """
    slot = min((interval for interval in intervals if interval is not None), default=_PHASE_SPAN)
    slot = min(slot, _PHASE_SPAN) / slots
    return math.ceil((now + int(phase_of(device, intervals) / slot) * slot) / slot) * slot


class Due(NamedTuple):
    """What a tick asks for."""

    groups: tuple[int, ...]  #: indexes into the schedule's intervals; empty: nothing but a look at the peer
    at: float  #: the instant on the grid
    skipped: int = 0  #: cycles skipped since the last tick handed out, over all groups
    achieved_ms: int | None = None  #: period reached by the group furthest behind, lately (pace.py); None: all keep up
    met: float = 1.0  #: share of its cycles that this group met lately
    scans: int = 0  #: periodic groups among `groups`: one cycle of each begins


class Schedule:
    """Which groups are due when. `intervals` in seconds, None for `once`; all are due at `start`, the first tick.

    Without any periodic group it ticks every `idle` seconds with nothing due, so that a lost peer is still seen.
    """

    def __init__(self, intervals: Sequence[float | None], *, start: float, idle: float = 1.0) -> None:
        self._start = start
        self._once = {group for group, interval in enumerate(intervals) if interval is None}
        self._intervals = {group: interval for group, interval in enumerate(intervals) if interval is not None}
        if not self._intervals:
            self._intervals[-1] = idle
        self._next_k = dict.fromkeys(self._intervals, 0)
        self._paces = {group: CyclePace(interval, start) for group, interval in self._intervals.items() if group >= 0}
        self._behind = False  #: whether a cycle was skipped lately
        self._skipped = 0

    def succeed(self, before: Schedule, groups: Mapping[int, int], now: float) -> None:
        """Go on with the ticks of another schedule: these groups (mine → its) go on with theirs.

        The others begin at the next instant of the grid.
        """
        self._start, self._skipped, self._behind = before._start, before._skipped, before._behind
        self._once = {mine for mine, its in groups.items() if mine in self._once and its in before._once}
        for group, interval in self._intervals.items():
            its = groups.get(group)
            if its is not None and before._intervals.get(its) == interval:
                self._next_k[group] = before._next_k[its]
                self._paces[group] = before._paces[its]
            else:
                self._next_k[group] = max(0, math.floor((now - self._start) / interval) + 1)
                if group >= 0:
                    self._paces[group] = CyclePace(interval, now)

    def begin(self, now: float) -> None:
        """Its first answer has come: what was due until now was missed while the device was away, and is no pace."""
        for group, interval in self._intervals.items():
            self._next_k[group] = max(self._next_k[group], math.floor((now - self._start) / interval) + 1)
            if group >= 0:
                self._paces[group] = CyclePace(interval, now)

    @property
    def next(self) -> float:
        """The instant of the next tick."""
        return min(self._start + k * self._intervals[group] for group, k in self._next_k.items())

    def again(self, groups: Iterable[int]) -> None:
        """These `once` groups got no answer: due again at the next tick. Others are left alone."""
        self._once.update(group for group in groups if group not in self._intervals)

    def due(self, now: float) -> Due | None:
        """The groups whose cycle begins now, or None: ask again at :attr:`next`. Late cycles are skipped here."""
        groups: list[int] = []
        at = now
        for group, interval in self._intervals.items():
            early = min(_EARLY_SECONDS, interval * _LATE_SHARE)
            newest = math.floor((now + early - self._start) / interval)
            expected = self._next_k[group]
            if newest < expected:
                continue
            self._next_k[group] = newest + 1
            instant = self._start + newest * interval
            begins = now - instant <= interval * _LATE_SHARE
            if group >= 0:
                cycles = newest - expected + 1
                self._skipped += cycles - begins
                self._behind = self._behind or cycles > begins
                self._paces[group].count(now, cycles, begins=begins)
            if begins:
                groups.append(group)
                at = min(at, instant)
        if not groups:
            return None
        achieved_ms, met = self._pace() if self._behind else (None, 1.0)
        due = Due(
            groups=tuple(sorted([group for group in groups if group >= 0] + [*self._once])),
            at=at,
            skipped=self._skipped,
            achieved_ms=achieved_ms,
            met=met,
            scans=sum(group >= 0 for group in groups),
        )
        self._once.clear()
        self._skipped = 0
        return due

    def _pace(self) -> tuple[int | None, float]:
        """Of the group furthest behind; forgotten when all have kept up for the whole span."""
        stretch, group = max((pace.stretch, group) for group, pace in self._paces.items())
        self._behind = stretch > 1.0
        if not self._behind:
            return None, 1.0
        return round(stretch * self._intervals[group] * 1000), min(pace.met for pace in self._paces.values())


async def next_tick(schedule: Schedule, clock: Clock) -> Due:
    """Wait for the next tick. What its caller does between two of them may take long."""
    while True:
        now = clock.monotonic()
        due = schedule.due(now)
        if due is not None:
            return due
        await clock.sleep(schedule.next - now)


async def ticks(schedule: Schedule, clock: Clock) -> AsyncIterator[Due]:
    """:func:`next_tick` for ever, as an iterator. Close it (`aclosing`) where it is left early."""
    while True:
        yield await next_tick(schedule, clock)
