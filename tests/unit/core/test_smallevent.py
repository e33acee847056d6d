"""asyncio's event, smaller."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Callable

from agent.core.smallevent import SmallEvent


async def test_whoever_waits_is_woken_and_whoever_gave_up_is_forgotten():
    """Several at once, one of them cancelled before."""
    event = SmallEvent()
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(event.wait()) for _ in range(4)]
        await asyncio.sleep(0)
        waiting.pop(1).cancel()
        await asyncio.sleep(0)
        event.set()
    assert [task.result() for task in waiting] == [True] * 3
    assert not event._waiters
    assert await event.wait()
    event.clear()
    assert not event.is_set()


def test_it_takes_a_quarter():
    """What there are thousands of is small, whatever asyncio's takes."""

    def each(made: Callable[[], object]) -> float:
        tracemalloc.start()
        kept = [made() for _ in range(1000)]
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        return size / len(kept)

    assert each(SmallEvent) < 0.25 * each(asyncio.Event)
