from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.collectors.common.polling import (
    Due,
    PollGroup,
    Schedule,
    first_tick,
    phase_of,
    poll_groups,
    slots_for,
    ticks,
)
from agent.settings.tags import TagBase
from agent.testing.clock import ManualClock


def tick(groups: tuple[int, ...], at: float, *, once: int = 0, **keys: float) -> Due:
    """A tick at which a cycle of every group begins but for `once`, those that have no period."""
    return Due(groups, at, scans=len(groups) - once, **keys)  # type: ignore[arg-type]  # whole numbers stay whole


def tag(**keys: object) -> TagBase:
    return TagBase.model_validate(keys)


def test_tags_are_grouped_by_interval() -> None:
    """Tags share a group where they share an interval; disabled ones are in none, `once` comes last."""
    tags = [tag(interval="once"), tag(), tag(interval="100ms"), tag(enabled=False), tag(interval="1s")]
    assert poll_groups(tags, 1.0) == [PollGroup(0.1, (2,)), PollGroup(1.0, (1, 4)), PollGroup(None, (0,))]


def test_groups_due_together_make_one_tick() -> None:
    """Where grids meet, one tick asks for all groups at once."""
    schedule = Schedule([1.0, 3.0, None], start=100.0)
    assert schedule.due(99.5) is None
    assert schedule.due(100.0) == tick((0, 1, 2), 100.0, once=1)
    assert [schedule.due(at) for at in (101.0, 102.0, 103.0)] == [
        tick((0,), 101.0),
        tick((0,), 102.0),
        tick((0, 1), 103.0),
    ]


def test_nothing_is_due_twice() -> None:
    """A group whose cycle has begun is not due again before its next tick."""
    schedule = Schedule([1.0], start=0.0)
    assert schedule.due(0.0) == tick((0,), 0.0)
    assert schedule.due(0.0) is None
    assert schedule.due(0.9) is None
    assert schedule.next == 1.0


def test_late_cycles_are_skipped_and_counted() -> None:
    """After a scan of 2.5 intervals the next cycle is the next tick on the grid; the two missed ones are counted."""
    schedule = Schedule([1.0], start=0.0)
    schedule.due(0.0)
    assert schedule.due(2.5) is None
    assert schedule.next == 3.0
    assert schedule.due(3.0) == tick((0,), 3.0, skipped=2, achieved_ms=3000, met=1 - 2 / 60)
    assert schedule.due(4.0) == tick((0,), 4.0, achieved_ms=2000, met=1 - 2 / 60)


def test_a_little_late_is_still_that_cycle() -> None:
    """A cycle may begin a tenth of its interval late, and the next tick is on the grid all the same."""
    schedule = Schedule([1.0], start=0.0)
    schedule.due(0.0)
    assert schedule.due(1.08) == tick((0,), 1.0)
    assert schedule.next == 2.0


def test_the_group_furthest_behind_gives_the_achieved_period() -> None:
    """Of several late groups the one with the worst ratio is reported."""
    schedule = Schedule([1.0, 5.0], start=0.0)
    schedule.due(0.0)
    assert schedule.due(7.5) is None
    due = schedule.due(8.0)
    assert due is not None
    assert (due.groups, due.skipped, due.achieved_ms) == ((0,), 8, 8000)


def test_the_achieved_period_spans_all_that_was_missed() -> None:
    """Looked at twice before a cycle can begin, the period is still that from the last one that did."""
    schedule = Schedule([1.0], start=0.0)
    schedule.due(0.0)
    assert schedule.due(2.5) is None
    assert schedule.due(3.5) is None
    assert schedule.due(4.0) == tick((0,), 4.0, skipped=3, achieved_ms=4000, met=1 - 3 / 60)


def test_the_achieved_period_is_that_of_the_last_minute() -> None:
    """One late cycle is one in sixty, and forgotten a minute later."""
    schedule = Schedule([1.0], start=0.0)
    pace: dict[int, tuple[int | None, float]] = {}
    for second in range(200):
        if second not in (100, 101):
            due = schedule.due(second)
            assert due is not None
            pace[second] = due.achieved_ms, round(due.met, 3)
    assert pace[99] == (None, 1.0)
    assert pace[102][0] in range(1033, 1038)
    assert pace[150][0] in range(1033, 1038)
    assert pace[150][1] == pace[102][1] == 0.967
    assert pace[170] == (None, 1.0)


def test_a_device_late_from_the_start_is_late() -> None:
    """Whose very first cycle cannot begin is behind as soon as one does."""
    schedule = Schedule([1.0], start=0.0)
    assert schedule.due(0.5) is None
    assert schedule.due(1.0) == tick((0,), 1.0, skipped=1, achieved_ms=2000, met=1 - 1 / 60)


def test_what_was_missed_before_the_first_answer_is_no_pace() -> None:
    """A unit that waited for its neighbours before it was asked at all was away; from its answer on it is measured."""
    schedule = Schedule([1.0, 60.0], start=0.0)
    assert schedule.due(0.0) == tick((0, 1), 0.0)
    schedule.begin(8.4)
    assert schedule.due(8.5) is None
    assert schedule.due(9.0) == tick((0,), 9.0)
    assert schedule.due(11.0) == tick((0,), 11.0, skipped=1, achieved_ms=2000, met=1 - 1 / 60)
    assert schedule.due(60.0) == tick((0, 1), 60.0, skipped=48, achieved_ms=25500, met=1 - 49 / 60)


def test_of_a_slow_group_the_last_five_cycles_count() -> None:
    """A group read once a minute that missed one of its last five is behind for five minutes, not for one."""
    schedule = Schedule([60.0], start=0.0)
    pace = {}
    for minute in range(12):
        if minute != 4:
            due = schedule.due(minute * 60.0)
            assert due is not None
            pace[minute] = due.achieved_ms
    assert pace[3] is None
    assert all(60_000 < (pace[minute] or 0) <= 80_000 for minute in (5, 6, 7, 8))
    assert pace[11] is None


def test_once_is_once_until_it_had_no_answer() -> None:
    """A `once` group is due at the first tick only, and again where it is asked for."""
    schedule = Schedule([1.0, None], start=0.0)
    assert schedule.due(0.0) == tick((0, 1), 0.0, once=1)
    assert schedule.due(1.0) == tick((0,), 1.0)
    schedule.again([0, 1])
    assert schedule.due(2.0) == tick((0, 1), 2.0, once=1)
    assert schedule.due(3.0) == tick((0,), 3.0)


def test_without_periodic_groups_it_ticks_idly() -> None:
    """A device with nothing but `once` tags is looked at every `idle` seconds, with nothing due and nothing late."""
    schedule = Schedule([None], start=0.0, idle=2.0)
    assert schedule.due(0.0) == tick((0,), 0.0, once=1)
    assert schedule.due(2.0) == tick((), 2.0)
    assert schedule.due(7.9) is None
    assert schedule.due(8.0) == tick((), 8.0)


@given(
    intervals=st.lists(st.sampled_from([0.05, 0.1, 0.25, 1.0, 7.0]), min_size=1, max_size=4, unique=True),
    busy=st.lists(st.floats(0, 3), min_size=1, max_size=60),
)
def test_ticks_stay_on_the_grid(intervals: list[float], busy: list[float]) -> None:
    """However long scans take: begun and skipped cycles add up to the grid's, and none begins off its tick."""
    start, now = 17.3, 17.3
    schedule = Schedule(intervals, start=start)
    begun = skipped = 0
    for seconds in busy:
        due = schedule.due(now)
        while due is None:
            assert schedule.next > now
            now = schedule.next
            due = schedule.due(now)
        begun += len(due.groups)
        skipped += due.skipped
        for group in due.groups:
            k = round((now - start) / intervals[group] - 0.05 + 1e-9)
            assert now - (start + k * intervals[group]) <= 0.1 * intervals[group] + 1e-6
        total = sum(int((now + min(0.002, interval * 0.1) - start) / interval) + 1 for interval in intervals)
        assert begun + skipped == total
        now += seconds


def test_phases_are_spread_and_stay() -> None:
    """The phase depends on the device's name alone, and forty devices do not tick together."""
    phases = [phase_of(f"meter-{number}", [10.0]) for number in range(40)]
    assert phases == [phase_of(f"meter-{number}", [10.0]) for number in range(40)]
    assert all(0 <= phase < 1 for phase in phases)
    assert len({int(phase * 10) for phase in phases}) >= 7
    assert phase_of("fast", [0.1, 5.0]) < 0.1


@pytest.mark.parametrize(("interval", "slot"), [(1.0, 0.1), (0.1, 0.01), (60.0, 0.1)])
def test_ticks_of_all_devices_lie_in_the_same_slots(interval: float, slot: float) -> None:
    """Devices opened at any instant tick on one grid, at their phase, and the first tick is not late."""
    for number in range(40):
        name, now = f"meter-{number}", 1000.0 + number * 0.00731
        start = first_tick(name, [interval, None], now)
        assert start / slot == pytest.approx(round(start / slot), abs=1e-6)
        assert now - 1e-6 <= start <= now + phase_of(name, [interval]) + slot + 1e-6
        due = Schedule([interval, None], start=start).due(max(now, start))
        assert due is not None
        assert (due.groups, due.skipped, due.scans) == ((0, 1), 0, 1)


@pytest.mark.parametrize(
    ("devices", "tags", "slots"),
    [(40, 1, 1), (79, 20, 1), (100, 20, 2), (200, 20, 5), (500, 20, 10), (10, 1000, 2), (50, 1000, 10), (6, 9000, 10)],
)
def test_small_devices_share_a_slot_and_of_large_ones_few_do(devices: int, tags: int, slots: int) -> None:
    """So many answers at once as keep the loop for some milliseconds, whatever the plant."""
    assert slots_for(devices, tags) == slots


@pytest.mark.parametrize("slots", [1, 2, 5])
def test_slots_of_large_and_small_devices_begin_together(slots: int) -> None:
    """Each grid lies on the finest one, so that their bursts are the same bursts."""
    for number in range(20):
        start = first_tick(f"meter-{number}", [1.0], 1000.0 + number * 0.00731, slots)
        assert start * slots == pytest.approx(round(start * slots), abs=1e-6)


async def test_the_loop_waits_on_the_clock() -> None:
    """`ticks` hands out each tick at its instant and skips what a slow consumer missed."""
    clock = ManualClock()
    origin = clock.monotonic()
    seen: list[tuple[float, int]] = []

    async def consume() -> None:
        async for due in ticks(Schedule([1.0], start=origin + 0.5), clock):
            seen.append((clock.monotonic() - origin, due.skipped))
            if len(seen) == 2:
                await clock.sleep(2.2)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(consume())
        await clock.advance(6.0)
        task.cancel()
    assert seen == [(0.5, 0), (1.5, 0), (4.5, 2), (5.5, 0)]
