from __future__ import annotations

import asyncio
import time
from functools import partial

import pytest

from agent.core.clock import NEVER_SET_BEFORE_MS, SystemClock, battery_clock, kernel_synced, to_beat
from agent.testing.clock import ManualClock


async def test_system_clock():
    """Wall time in milliseconds, monotonic time in seconds, as the machine has them; sleeping nothing only yields."""
    clock = SystemClock()
    assert abs(clock.now_ms() - time.time() * 1000) < 2000
    assert abs(clock.monotonic() - time.monotonic()) < 2
    await clock.sleep(0)
    await clock.sleep(-5)


@pytest.mark.parametrize(
    ("now", "seconds", "rest"),
    [
        (1000.0, 1.0, 1.0),
        (1000.25, 1.0, 0.75),
        (1000.75, 1.0, 1.25),  # the next one is too near
        (1000.999, 1.0, 1.001),  # a timer that came early does not beat twice
        (1000.25, 2.0, 1.75),
        (1001.5, 2.0, 2.5),
    ],
)
def test_looks_of_one_pace_fall_together(now: float, seconds: float, rest: float) -> None:
    """Whenever they began, and never twice at one instant."""
    assert to_beat(now, seconds) == pytest.approx(rest)


def test_a_look_may_be_put_off_to_a_later_beat() -> None:
    """One of the shared beats all the same."""
    assert to_beat(1000.1, 0.5, 0.45) == pytest.approx(0.9)
    assert to_beat(1000.04, 0.5, 0.45) == pytest.approx(0.46)


def test_synced_is_judged_by_the_calendar(monkeypatch):
    """A clock before 2025 was never set: a gateway without RTC boots at its build date."""
    monkeypatch.setattr(time, "time_ns", lambda: (NEVER_SET_BEFORE_MS - 1) * 1_000_000)
    assert not SystemClock().synced
    monkeypatch.setattr(time, "time_ns", lambda: NEVER_SET_BEFORE_MS * 1_000_000)
    assert SystemClock(kernel=lambda: True).synced


@pytest.mark.parametrize(
    ("kernel", "battery", "synced"),
    [(True, False, True), (False, False, False), (False, True, True), (None, False, True), (None, True, True)],
)
def test_synced_is_what_the_kernel_says(kernel, battery, synced):
    """Disciplined, or set at boot from a battery clock; where the kernel cannot be asked the calendar has to do."""
    assert SystemClock(kernel=lambda: kernel, battery=lambda: battery).synced is synced


def test_the_kernel_is_asked_once_a_second_until_the_clock_is_set(monkeypatch):
    """Then never again: a time server that goes away makes no clock wrong."""
    now, asked, answers = [50.0], [], iter([False, False, True])
    monkeypatch.setattr(SystemClock, "monotonic", lambda _clock: now[0])

    def kernel():
        asked.append(now[0])
        return next(answers)

    clock = SystemClock(kernel=kernel, battery=lambda: False)
    seen = []
    for step in range(40):
        now[0] = 50.0 + step / 10
        seen.append(clock.synced)
    assert asked == [50.0, 51.0, 52.0]
    assert seen == [False] * 20 + [True] * 20


def test_this_kernel_can_be_asked():
    """Linux answers adjtimex, in a container too; the answer depends on the machine."""
    assert kernel_synced() in (True, False)
    assert battery_clock() in (True, False)


async def test_an_instant_is_one_for_whoever_names_it():
    """Named before and after a turn has taken its time: called in one turn, and never before the instant."""
    clock, turns, called = SystemClock(), 0, []
    instant = clock.monotonic() + 0.1
    loop = asyncio.get_running_loop()

    def call() -> None:
        called.append((turns, clock.monotonic()))

    clock.call_at(instant, call)
    while clock.monotonic() < instant - 0.05:
        pass  # what others do in this turn
    clock.call_at(instant, call)
    cancelled = clock.call_at(instant, lambda: pytest.fail("it was cancelled"))
    cancelled.cancel()
    while len(called) < 2:
        turns += 1
        await asyncio.sleep(0)
    assert called[0][0] == called[1][0]
    assert min(at for _, at in called) > instant - 0.002
    over = loop.create_future()
    clock.call_at(instant - 10, lambda: over.set_result(None))
    await over


async def test_what_is_called_at_an_instant_waits_for_the_manual_clock():
    """Likewise, and what was cancelled is not called."""
    clock = ManualClock(0)
    called: list[float] = []
    start = clock.monotonic()
    for at in (3, 1, 2, -1):
        clock.call_at(start + at, partial(called.append, at))
    clock.call_at(start + 1.5, lambda: called.append(1.5)).cancel()
    assert clock.sleepers == 3
    await clock.advance(2)
    assert called == [-1, 1, 2]
    await clock.advance(1)
    assert called == [-1, 1, 2, 3]


async def test_sleepers_wake_in_order():
    """Whoever sleeps wakes at his own instant, in order, and sees the clock stand there."""
    clock = ManualClock(0)
    woke: list[tuple[str, int]] = []

    async def sleeper(name: str, *delays: float) -> None:
        for delay in delays:
            await clock.sleep(delay)
            woke.append((name, clock.now_ms()))

    async with asyncio.TaskGroup() as group:
        group.create_task(sleeper("a", 3, 3))
        group.create_task(sleeper("b", 1, 1, 1.5))
        await clock.advance(3.2)
        assert woke == [("b", 1000), ("b", 2000), ("a", 3000)]
        assert clock.sleepers == 2
        await clock.advance(10)
    assert woke[3:] == [("b", 3500), ("a", 6000)]
    assert (clock.now_ms(), clock.sleepers) == (13_200, 0)


async def test_a_cancelled_sleeper_is_gone():
    """Cancelling a sleeper leaves nothing that wakes."""
    clock = ManualClock()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(clock.sleep(5))
        await clock.advance(1)
        task.cancel()
    assert clock.sleepers == 0
    await clock.advance(10)


async def test_sleeping_nothing_returns():
    """Zero or less only yields."""
    clock = ManualClock()
    async with asyncio.timeout(5):
        await clock.sleep(0)
        await clock.sleep(-1)


@pytest.mark.parametrize("step", [-3600, 3600])
async def test_wall_clock_steps(step):
    """The wall clock jumps alone; monotonic time and what waits for it do not."""
    clock = ManualClock(10_000_000_000)
    before = clock.monotonic()
    clock.step_wall(step)
    assert (clock.now_ms() - 10_000_000_000, clock.monotonic() - before) == (step * 1000, 0)
    await clock.advance(1)
    assert (clock.now_ms() - 10_000_000_000, clock.monotonic() - before) == (step * 1000 + 1000, 1)
