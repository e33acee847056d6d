"""What every collector must keep to (`core.ports.Collector`), as checks to run against any of them.

A protocol brings a :class:`Bench`: a real peer on loopback that can go away and come back, and a collector to read it.
Add it to the fixture in `tests/contract/test_collectors.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Protocol

import pytest

from agent.core.errors import ConnectionLost, TransientError
from agent.core.flow import Sample
from agent.core.ports import BuildContext, Collector
from agent.core.quality import quality_of
from agent.testing.context import SimpleContext

_SECONDS = 10.0  #: longest any single step may take


class Bench(Protocol):
    """A peer and how to read it."""

    tags: int  #: how many tags its device has; all are readable, at an interval well below a second

    async def up(self) -> None:
        """The peer serves, on the same address each time."""

    async def down(self) -> None:
        """The peer is gone, its connections are closed."""

    @property
    def connections(self) -> int:
        """Connections the peer has now."""

    def build(self, name: str, context: BuildContext) -> Collector:
        """A collector for it."""


async def _until(condition: Callable[[], bool], what: str) -> None:
    try:
        async with asyncio.timeout(_SECONDS):
            while not condition():  # noqa: ASYNC110 - nothing here is told of a peer's connections
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"not in time: {what}") from None


async def _take(samples: AsyncIterator[Sample]) -> Sample:
    async with asyncio.timeout(_SECONDS):
        return await anext(samples)


async def _read_all(samples: AsyncIterator[Sample], tags: int) -> list[Sample]:
    """Samples until each tag was good once; what is asserted of every sample is asserted here."""
    taken: list[Sample] = []
    good: set[int] = set()
    while len(good) < tags:
        sample = await _take(samples)
        assert sample.outage is None, "a collector raises instead of saying it is offline"
        taken.append(sample)
        for answer in sample.answers:
            assert len(answer.tags) == len(answer.values) == len(set(answer.tags))
            assert answer.ts <= sample.ts
            for index, position in enumerate(answer.tags):
                status = answer.status if isinstance(answer.status, int) else answer.status[index]
                assert 0 <= position < tags
                assert quality_of(status) != "bad" or answer.values[index] is None
                if quality_of(status) == "good":
                    good.add(position)
    return taken


async def check_reads(bench: Bench) -> None:
    """Opened, it reads every tag; left, the peer has no connection any more."""
    await bench.up()
    async with SimpleContext() as context:
        async with bench.build("device", context).open() as samples:
            await _read_all(samples, bench.tags)
            assert bench.connections == 1
        await _until(lambda: bench.connections == 0, "the connection is closed")


async def check_nobody_there(bench: Bench) -> None:
    """Where nobody listens, entering raises ConnectionLost."""
    await bench.up()
    await bench.down()
    async with SimpleContext() as context:
        with pytest.raises(ConnectionLost):
            async with asyncio.timeout(_SECONDS), bench.build("device", context).open():
                raise AssertionError("opened without a peer")


async def check_lost_peer(bench: Bench) -> None:
    """When the peer goes away, iterating raises TransientError (ConnectionLost); opened again, it reads on."""
    await bench.up()
    async with SimpleContext() as context:
        collector = bench.build("device", context)

        async def read() -> None:
            async with collector.open() as samples:
                await _read_all(samples, bench.tags)
                await bench.down()
                async for _ in samples:
                    pass

        with pytest.raises(TransientError):
            async with asyncio.timeout(_SECONDS):
                await read()
        await bench.up()
        async with asyncio.timeout(_SECONDS), collector.open() as samples:
            await _read_all(samples, bench.tags)


async def check_reopens(bench: Bench) -> None:
    """One collector can be opened again and again, each time anew."""
    await bench.up()
    async with SimpleContext() as context:
        collector = bench.build("device", context)
        for _ in range(3):
            async with collector.open() as samples:
                await _read_all(samples, bench.tags)


async def check_close_on_cancel(bench: Bench) -> None:
    """Cancelled while it waits for a sample it closes at once: no task, no connection stays."""
    await bench.up()
    async with SimpleContext() as context:
        before = asyncio.all_tasks()
        reading = asyncio.Event()

        async def read() -> None:
            async with bench.build("device", context).open() as samples:
                await _read_all(samples, bench.tags)
                reading.set()
                async for _ in samples:
                    pass

        async with asyncio.TaskGroup() as group:
            task = group.create_task(read())
            async with asyncio.timeout(_SECONDS):
                await reading.wait()
            task.cancel()
            async with asyncio.timeout(_SECONDS):
                await asyncio.wait([task])
            assert task.cancelled()
        await _until(lambda: bench.connections == 0, "the connection is closed")
        await _until(
            lambda: all(task.get_name().startswith("bus ") for task in asyncio.all_tasks() - before),
            "no task but the context's buses is left",
        )


async def check_close_before_reading(bench: Bench) -> None:
    """Opened and left without reading: nothing stays, nothing hangs."""
    await bench.up()
    async with SimpleContext() as context:
        async with asyncio.timeout(_SECONDS), bench.build("device", context).open():
            pass
        await _until(lambda: bench.connections == 0, "the connection is closed")


CHECKS = (
    check_reads,
    check_nobody_there,
    check_lost_peer,
    check_reopens,
    check_close_on_cancel,
    check_close_before_reading,
)
"""Every check, to parametrise a test with."""
