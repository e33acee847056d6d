"""Samples taken where they arrive; how a Modbus collector has them: tests/integration/modbus/test_each_sample.py."""

from __future__ import annotations

import asyncio

import pytest

from agent.collectors.common.sampling import Sampling
from agent.core.flow import Sample


class Queue(Sampling):
    """What was put into it."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []

    def next_sample(self) -> Sample | None:
        return self.samples.pop(0) if self.samples else None


async def test_nothing_goes_on_while_nobody_waits() -> None:
    """Nor for somebody who has stopped waiting: what has come is for the next one."""
    queue, taken = Queue(), list[Sample]()
    queue.go_on()
    async with asyncio.TaskGroup() as group:
        waiting: asyncio.Task[None] = group.create_task(queue.each_sample(taken.append))
        await asyncio.sleep(0)
        queue.samples.append(Sample(ts=1))
        queue.go_on()
        assert [sample.ts for sample in taken] == [1]
        waiting.cancel()
    queue.samples.append(Sample(ts=2))
    queue.go_on()
    queue.nobody_waits()
    queue.go_on()
    assert [sample.ts for sample in taken] == [1]
    assert (await anext(queue)).ts == 2


async def test_a_stray_stop_iteration_ends_the_wait() -> None:
    """A bug of who takes, such as `next()` of nothing: no future carries it, and nobody would ever go on."""
    queue = Queue()

    async def wait() -> None:
        with pytest.raises(RuntimeError) as bug:
            await queue.each_sample(lambda _sample: next(iter(())))
        assert isinstance(bug.value.__cause__, StopIteration)

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(wait())
        await asyncio.sleep(0)
        queue.samples.append(Sample(ts=1))
        queue.go_on()
