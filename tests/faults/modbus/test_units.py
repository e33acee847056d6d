"""Units behind one gateway or on one bus: what one of them suffers the others do not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from agent.collectors.modbus.collector import ModbusCollector
from agent.collectors.modbus.config import ModbusConfig
from agent.core.errors import ConnectionLost, TransientError
from agent.testing.context import SimpleContext
from tests.faults.modbus.media import Ask, Medium, medium, value
from tests.integration.modbus.reading import Said, cycle, take
from tests.integration.modbus.servers import device
from tests.support.clock import Hasty
from tests.support.waiting import eventually

BEHIND = ["tcp", "rtu+tcp", "serial rtu", "dtu rtu"]


class Units:
    """Devices 1, 2 and 3 on one medium."""

    def __init__(self, peer: Medium, context: SimpleContext, timeout: str) -> None:
        self.peer = peer
        self.configs: dict[int, ModbusConfig] = {}
        self.collectors: dict[int, ModbusCollector] = {}
        for unit in (1, 2, 3):
            tags: dict[str, object] = {"a": "holding:5", "b": "holding:50"}
            config = device(peer.url, tags, unit_id=unit, interval="30ms", timeout=timeout, **peer.keys)
            collector = config.build(f"unit {unit}", context)
            assert isinstance(collector, ModbusCollector)
            self.configs[unit], self.collectors[unit] = config, collector

    async def read(self, unit: int) -> bool:
        """One attempt of the supervisor: open, read all tags once, leave. Raises what the supervisor would see."""
        async with self.collectors[unit].open() as samples:
            return await cycle(samples, self.configs[unit]) == self.truth(unit)

    async def until_read(self, unit: int) -> None:
        """Try until it is read."""

        async def attempt() -> bool:
            try:
                return await self.read(unit)
            except TransientError:
                return False

        await eventually(attempt)

    def truth(self, unit: int) -> dict[str, Said]:
        """What its tags hold."""
        return {"a": Said(value(unit, 5), "Good"), "b": Said(value(unit, 50), "Good")}

    def asked(self, unit: int) -> int:
        """Requests it got."""
        return sum(ask.unit == unit for ask in self.peer.asked)


@asynccontextmanager
async def units(name: str, context: SimpleContext, timeout: str = "2s") -> AsyncIterator[Units]:
    """Three devices that have all been read once; the line is kept."""
    async with medium(name) as peer:
        three = Units(peer, context, timeout)
        for unit in (1, 2, 3):
            await three.until_read(unit)
        async with three.collectors[3].open() as samples:
            await take(samples)
            yield three


@pytest.mark.parametrize("name", BEHIND)
async def test_a_unit_the_gateway_does_not_reach(name: str) -> None:
    """0B takes its unit offline and no other; the connection stays, and the unit costs one request per probe."""
    async with SimpleContext() as context, units(name, context) as three:
        opened = three.peer.opened
        three.peer.script = lambda ask: ask.exception(0x0B) if ask.unit == 2 else ask.truth()
        with pytest.raises(TransientError, match="gateway target device failed to respond"):
            await three.read(2)
        for _ in range(3):
            before = three.asked(2)
            with pytest.raises(TransientError, match="gateway target device failed to respond"):
                await three.read(2)
            assert three.asked(2) == before + 1
            assert await three.read(1)
        three.peer.script = Ask.truth
        assert await three.read(2)
        assert three.peer.opened == opened


async def test_a_gateway_without_a_path() -> None:
    """0A takes all units behind it offline; while it backs off nobody is asked, then one request asks for all."""
    clock = Hasty()
    async with SimpleContext(clock=clock) as context, medium("tcp") as peer:
        three = Units(peer, context, "2s")
        for unit in (1, 2, 3):
            assert await three.read(unit)
        peer.script = lambda ask: ask.exception(0x0A)
        clock.skip(6)  # before, it may be one register that has no path
        for unit in (1, 2, 3):
            with pytest.raises(TransientError, match="gateway path unavailable"):
                await three.read(unit)
        refused = len(peer.asked)
        for unit in (1, 2, 3, 1, 2, 3):
            with pytest.raises(TransientError, match="gateway path unavailable"):
                await three.read(unit)
        assert len(peer.asked) <= refused + 1
        peer.script = Ask.truth
        clock.skip(60)
        for unit in (1, 2, 3):
            assert await three.read(unit)


@pytest.mark.parametrize("name", BEHIND)
async def test_a_dead_unit_costs_one_time_out_per_probe(name: str) -> None:
    """Once it is known to be dead, a unit gets one request per probe; its neighbours lose nothing but that time."""
    async with SimpleContext() as context, units(name, context, "80ms") as three:
        three.peer.script = lambda ask: None if ask.unit == 2 else ask.truth()
        with pytest.raises(TransientError, match="no answer from unit 2"):
            await three.read(2)
        for _ in range(3):
            before = three.asked(2)
            with pytest.raises(TransientError, match="no answer from unit 2"):
                await three.read(2)
            assert three.asked(2) == before + 1
            await three.until_read(1)
        three.peer.script = Ask.truth
        await three.until_read(2)


async def test_a_connection_that_is_cut_takes_all_of_them() -> None:
    """When the gateway itself is gone all its units are lost at once, and all come back with it."""
    async with SimpleContext() as context, medium("tcp") as peer:
        three = Units(peer, context, "60s")
        async with three.collectors[1].open() as first, three.collectors[2].open() as second:
            for samples, unit in ((first, 1), (second, 2)):
                await cycle(samples, three.configs[unit])
            peer.script = lambda _: peer.hang_up()
            async with asyncio.timeout(30):
                for samples in (first, second):
                    with pytest.raises(ConnectionLost):
                        await drain(samples)
        peer.script = Ask.truth
        for unit in (1, 2):
            await three.until_read(unit)


async def drain(samples: AsyncIterator[object]) -> None:
    async for _ in samples:
        pass
