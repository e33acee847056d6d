"""Samples taken where they arrive (`agent/core/each.py`): as those of the iterator, without a task woken for each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol, cast

import pytest

from agent.core.each import EachSample
from agent.core.errors import ConnectionLost
from agent.core.flow import Sample
from agent.testing.context import SimpleContext
from tests.integration.modbus.servers import Plant, device, plant


class Samples(EachSample, Protocol):
    """As a Modbus collector has them."""

    async def __anext__(self) -> Sample: ...


@asynccontextmanager
async def reading() -> AsyncIterator[tuple[Samples, Plant]]:
    """A device of two blocks, read every 20 ms."""
    bugs: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: bugs.append(context))
    tags: dict[str, object] = {"first": {"address": "holding:0"}, "second": {"address": "input:0"}}
    async with asyncio.timeout(20), plant() as running, SimpleContext() as context:
        config = device(running.url, tags, interval="20ms")
        async with config.build("press", context).open() as samples:
            assert isinstance(samples, EachSample)
            yield cast("Samples", samples), running
    assert not bugs


def values(sample: Sample) -> list[object]:
    return [value for answer in sample.answers for value in answer.values]


async def test_samples_come_without_a_task() -> None:
    """Nothing is left out; the wait ends when something is said, and with that."""
    async with reading() as (samples, _):
        taken: list[Sample] = []

        def take(sample: Sample) -> str | None:
            assert asyncio.current_task() is None
            taken.append(sample)
            return "enough" if sum(sample.scans for sample in taken) == 3 else None

        first = await anext(samples)  # begun in the task
        assert await samples.each_sample(take) == "enough"
        assert sum(len(values(sample)) for sample in (first, *taken)) == 2 * (first.scans + 3)


async def test_what_comes_as_somebody_stops_waiting_is_kept() -> None:
    """It is what is said to the next one."""
    async with reading() as (samples, _):
        await anext(samples)
        loop = asyncio.get_running_loop()
        taken: list[Sample] = []

        def take(sample: Sample) -> Sample:
            taken.append(sample)
            loop.call_soon(waiting.cancel)
            return sample

        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(samples.each_sample(take))
        assert waiting.cancelled()
        assert await anext(samples) is taken[0]
        assert await anext(samples) is not taken[0]


async def test_whoever_is_cancelled_may_wait_again() -> None:
    """Also in the middle of a cycle, and from within: nothing is asked twice, nothing left out."""
    async with reading() as (samples, running):
        await anext(samples)

        def stop(_sample: Sample) -> bool:
            waiting.cancel()
            return True

        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(samples.each_sample(stop))
        for turns in range(5):
            async with asyncio.TaskGroup() as group:
                again: asyncio.Task[None] = group.create_task(samples.each_sample(lambda _sample: None))
                for _ in range(1 + turns):
                    await asyncio.sleep(0)
                again.cancel()
        read = 0
        while not read or read % 2:  # a busy machine may hand it on in pieces
            read += len(values(await anext(samples)))
        areas = [function for _, function, _, _ in running.memory.asked]
        assert areas == [3, 4] * (len(areas) // 2)


async def test_what_is_raised_is_raised_to_who_waits() -> None:
    """A bug of who takes, and the loss of the connection."""
    async with reading() as (samples, running):
        with pytest.raises(ZeroDivisionError):
            await samples.each_sample(lambda sample: sample.ts / 0)
    async with reading() as (samples, running):
        await anext(samples)
        await running.down()
        with pytest.raises(ConnectionLost):
            await samples.each_sample(lambda _sample: None)
