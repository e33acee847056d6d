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

from msgspec import Struct

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


class Due(Struct, frozen=True, gc=False):
    """What a tick asks for."""

    groups: tuple[int, ...]  #: indexes into the schedule's intervals; empty: nothing but a look at the peer
    at: float  #: the instant on the grid
    skipped: int = 0  #: cycles skipped since the last tick handed out, over all groups
    achieved_ms: int | None = None  #: period reached by the group furthest behind, lately (pace.py); None: all keep up
    met: float = 1.0  #: share of its cycles that this group met lately
    scans: int = 0  #: periodic groups among `groups`: one cycle of each begins


class _Grid:
    """The cycles of one poll group, or the looks at the peer where there is none (`group` -1)."""

    __slots__ = ("early", "group", "interval", "late", "next", "next_k", "pace", "start")

    def __init__(self, group: int, interval: float, start: float) -> None:
        self.group = group
        self.interval = interval
        self.late = interval * _LATE_SHARE
        self.early = min(_EARLY_SECONDS, self.late)
        self.start = start
        self.next_k = 0
        self.next = start  #: the instant of the cycle `next_k`
        self.pace = CyclePace(interval, start)

    def go_to(self, k: int) -> None:
        """This cycle is the next one."""
        self.next_k = k
        self.next = self.start + k * self.interval

    def skip_to(self, now: float) -> None:
        """Go on at the next instant of the grid; what went before is no pace."""
        self.go_to(max(self.next_k, math.floor((now - self.start) / self.interval) + 1))
        self.pace = CyclePace(self.interval, now)

    def newest(self, now: float) -> int:
        """The newest cycle whose time has come."""
        return math.floor((now + self.early - self.start) / self.interval)


class Schedule:
    """Which groups are due when. `intervals` in seconds, None for `once`; all are due at `start`, the first tick.

    Without any periodic group it ticks every `idle` seconds with nothing due, so that a lost peer is still seen.
    """

    def __init__(self, intervals: Sequence[float | None], *, start: float, idle: float = 1.0) -> None:
        self._start = start
        self._once = {group for group, interval in enumerate(intervals) if interval is None}
        self._grids = [_Grid(group, each, start) for group, each in enumerate(intervals) if each is not None]
        if not self._grids:
            self._grids.append(_Grid(-1, idle, start))
        self._behind = False  #: whether a cycle was skipped lately
        self._skipped = 0
        self.next = start  #: the instant of the next tick

    def succeed(self, before: Schedule, groups: Mapping[int, int], now: float) -> None:
        """Go on with the ticks of another schedule: these groups (mine → its) go on with theirs.

        The others begin at the next instant of the grid.
        """
        self._start, self._skipped, self._behind = before._start, before._skipped, before._behind
        self._once = {mine for mine, its in groups.items() if mine in self._once and its in before._once}
        theirs = {grid.group: grid for grid in before._grids}
        for grid in self._grids:
            grid.start = before._start
            its = theirs.get(groups.get(grid.group, -2))
            if its is not None and its.interval == grid.interval:
                grid.go_to(its.next_k)
                grid.pace = its.pace
            else:
                grid.skip_to(now)
        self._look_ahead()

    def begin(self, now: float) -> None:
        """Its first answer has come: what was due until now was missed while the device was away, and is no pace."""
        for grid in self._grids:
            grid.skip_to(now)
        self._look_ahead()

    def _look_ahead(self) -> None:
        self.next = self._grids[0].next
        for grid in self._grids[1:]:
            self.next = min(self.next, grid.next)

    def again(self, groups: Iterable[int]) -> None:
        """These `once` groups got no answer: due again at the next tick. Others are left alone."""
        periodic = {grid.group for grid in self._grids}
        self._once.update(group for group in groups if group not in periodic)

    def due(self, now: float) -> Due | None:
        """The groups whose cycle begins now, or None: ask again at :attr:`next`. Late cycles are skipped here."""
        if now < self.next - 2 * _EARLY_SECONDS:
            return None
        groups: list[int] = []
        at = None
        for grid in self._grids:
            if now + grid.early >= grid.next and (instant := self._begin(grid, now)) is not None:
                groups.append(grid.group)
                at = instant if at is None or instant < at else at
        self._look_ahead()
        if at is None:
            return None
        return self._tick(groups, min(at, now))

    def _begin(self, grid: _Grid, now: float) -> float | None:
        """The time of its next cycle has come: since when; None where it is too late, and is skipped."""
        instant = grid.next
        if now - instant <= grid.late:
            grid.go_to(grid.next_k + 1)
            grid.pace.keep(now)
            return instant
        newest = grid.newest(now)
        instant = grid.start + newest * grid.interval
        begins = now - instant <= grid.late
        cycles = newest - grid.next_k + 1
        grid.go_to(newest + 1)
        if grid.group >= 0:
            self._skipped += cycles - begins
            self._behind = True
            grid.pace.skip(now, cycles, begins=begins)
        return instant if begins else None

    def _tick(self, groups: list[int], at: float) -> Due:
        """These begin now, and `once` groups with them."""
        achieved_ms, met = self._pace() if self._behind else (None, 1.0)
        skipped, self._skipped = self._skipped, 0
        if groups == [-1]:
            groups = []
        scans = len(groups)
        if self._once:
            groups = sorted([*groups, *self._once])
            self._once.clear()
        return Due(tuple(groups), at, skipped, achieved_ms, met, scans)

    def _pace(self) -> tuple[int | None, float]:
        """Of the group furthest behind; forgotten when all have kept up for the whole span."""
        stretch, group = max((grid.pace.stretch, grid.group) for grid in self._grids)
        self._behind = stretch > 1.0
        if not self._behind:
            return None, 1.0
        furthest = next(grid for grid in self._grids if grid.group == group)
        return round(stretch * furthest.interval * 1000), min(grid.pace.met for grid in self._grids)


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
