"""Ending tasks: with a deadline; tasks that are late are named."""

from __future__ import annotations

import asyncio
from asyncio import Task
from collections.abc import Iterable

from agent.telemetry.logging import get_logger

#: A task that did not end in time, and was cancelled for it, gets so long to do so, seconds.
GRACE = 0.5

log = get_logger("agent")


def let_go(part: object, task: Task[None]) -> None:
    """The part has ended for good: drop all it refers to, itself among that.

    What was built at a start is not looked through for garbage any more (gc.freeze); cycles would stay for ever.
    """
    if task.done():
        vars(part).clear()


async def end(tasks: Iterable[Task[None]], within: float) -> None:
    """Cancel and await with `asyncio.wait`, so that one's own cancellation is never swallowed."""
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await finish(tasks, within)


async def finish(tasks: Iterable[Task[None]], within: float) -> None:
    """Wait for tasks; one that is late is named, cancelled (again), and given a last moment."""
    tasks = list(tasks)
    if not tasks:
        return
    _, late = await asyncio.wait(tasks, timeout=within)
    for task in late:
        log.warning("component.stop_slow", component=task.get_name(), waited_s=within)
        task.cancel()
    if late:
        await asyncio.wait(late, timeout=GRACE)
