"""What visitors may take of the event loop."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from agent.web.pace import EACH, VisitorPace


class Time:
    """Passes while an answer is made, and while somebody sleeps."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


async def _answer(time: Time, waits: asyncio.Future[str] | None = None) -> None:
    time.now += 0.02
    if waits is not None:
        with suppress(ValueError):
            await waits
        time.now += 0.02


async def test_after_an_answer_visitors_wait_as_long_as_it_took(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten answers of 20 ms make the next wait for as long."""
    time, slept = Time(), []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        time.now += seconds

    monkeypatch.setattr("agent.web.pace.asyncio.sleep", sleep)
    pace = VisitorPace(time)
    for _ in range(10):
        await pace.turn()
        await pace.counted(_answer(time))
    assert slept == pytest.approx([0.02] * 9, abs=EACH)


async def test_a_stranger_s_work_counts_threefold_and_strangers_keep_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Fifty of them wait in a line of their own; who is none stands behind the first of it only."""
    time, slept, order = Time(), [], []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        time.now += seconds
        await real_sleep(0)

    real_sleep = asyncio.sleep
    monkeypatch.setattr("agent.web.pace.asyncio.sleep", sleep)
    pace = VisitorPace(time)

    async def asks(*, stranger: bool) -> None:
        await pace.turn(stranger=stranger)
        order.append(stranger)
        await pace.counted(_answer(time), stranger=stranger)

    await asks(stranger=True)
    await asyncio.gather(*(asks(stranger=True) for _ in range(50)), asks(stranger=False))
    assert slept[0] == pytest.approx(0.06, abs=3 * EACH)
    assert order.index(False) <= 2


async def test_a_machine_that_stood_still_in_an_answer_keeps_nobody_out_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What passed meanwhile was not the visitor's."""
    slept = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        time.now += seconds

    monkeypatch.setattr("agent.web.pace.asyncio.sleep", sleep)
    time = Time()
    pace = VisitorPace(time)
    pace.took(3600.0, stranger=True)
    await pace.turn()
    assert slept == [2.0]


@pytest.mark.parametrize("outcome", ["value", "error", "cancelled"])
async def test_what_an_answer_waits_for_reaches_it(outcome: str) -> None:
    """A value, an error and a cancellation; while it waits nothing is counted."""
    time, loop = Time(), asyncio.get_running_loop()
    pace, waits = VisitorPace(time), loop.create_future()

    async def counted() -> None:
        await pace.counted(_answer(time, waits))

    task = loop.create_task(counted())
    await asyncio.sleep(0)
    if outcome == "value":
        waits.set_result("there")
    elif outcome == "error":
        waits.set_exception(ValueError())
    else:
        task.cancel()
    await asyncio.wait([task])
    assert task.cancelled() == (outcome == "cancelled")
    assert time.now == (0.02 if outcome == "cancelled" else 0.04)
