"""A machine that counts how often it is asked, and one of whose registers does not exist."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from agent.simulator.modbus import ModbusServer, Unit
from agent.simulator.points import Memory
from tests.support.waiting import eventually


class CountingMemory(Memory):
    """Register 0 says how often it has been read; register 100 does not exist."""

    def __init__(self) -> None:
        super().__init__()
        self.scans = 0

    def read(self, area, address, count):
        if address == 0:
            self.scans += 1
            return [self.scans, *range(1, count)]
        return None


class Machine:
    """Its memory, and how an agent reads it."""

    def __init__(self, memory: CountingMemory, url: str) -> None:
        self.memory = memory
        self.device = {
            "type": "modbus",
            "url": url,
            "interval": "100ms",
            "timeout": "5s",
            "tags": {
                "scan": {"address": "holding:0", "type": "uint16"},
                "油温": {"address": "holding:1", "type": "uint16", "description": "Öltemperatur"},
                "lost": {"address": "holding:100"},
            },
        }

    async def goes_on(self, scans: int) -> None:
        """Wait until it has been asked so often again."""
        goal = self.memory.scans + scans
        await eventually(lambda: self.memory.scans >= goal, what=f"{scans} scans more")


@pytest.fixture
async def machine() -> AsyncIterator[Machine]:
    memory = CountingMemory()
    async with ModbusServer({1: Unit(memory=memory)}) as server:
        yield Machine(memory, server.url)
