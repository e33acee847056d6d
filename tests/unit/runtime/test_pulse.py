"""The pulse: what keeps the loop from running shows, as long as it was."""

from __future__ import annotations

import asyncio
import time

from agent.runtime.blocks import BUSY, IDLE_STEP, STEP, LoopBlocks, step_for
from agent.runtime.pulse import BEAT, Pulse
from agent.runtime.steps import Steps
from agent.telemetry import metrics
from agent.testing.clock import ManualClock
from tests.support.waiting import eventually

_BLOCK = 0.2


def _lag() -> float:
    lag: float = metrics.LOOP_LAG.value
    return lag


def _hold(seconds: float) -> None:
    """Keep the loop from running: the fault itself."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


async def test_the_metric_tells_the_longest_block_and_keeps_it_for_a_minute() -> None:
    """A callback that holds the loop for 200 ms between two beats shows with its length, also 59 beats later."""
    clock = ManualClock()
    metrics.LOOP_LAG.set(0)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(Pulse(clock, Steps(clock)).run())
        await asyncio.sleep(0)  # it watches from its first turn on
        _hold(_BLOCK)
        await asyncio.sleep(0)
        for _ in range(60):
            await clock.advance(BEAT)
        await eventually(lambda: _lag() >= _BLOCK - STEP, what="the block is told")
        running.cancel()


async def test_a_block_under_way_counts_up_to_now() -> None:
    """Who asks before the loop has run again is told of it too."""
    blocks = LoopBlocks()
    with blocks.watched():
        await asyncio.sleep(0)
        _hold(_BLOCK)
        assert blocks.take() >= _BLOCK - STEP


def test_a_loop_that_computes_is_looked_at_more_often() -> None:
    """A look costs a turn of the loop: one that sleeps is not woken forty times a second for it."""
    assert step_for(0.0) == IDLE_STEP
    assert step_for(BUSY) == step_for(1.0) == STEP
