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
