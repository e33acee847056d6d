from __future__ import annotations

import asyncio
from collections.abc import Set as AbstractSet

import pytest

from agent.collectors.modbus.line import ModbusLine, Wire
from agent.collectors.modbus.transaction import Request
from agent.core.errors import ConnectionLost
from agent.testing.clock import ManualClock
from agent.testing.site import SimpleSite
from tests.support.waiting import eventually

READ = Request(3, 0, 1, 1.0)


class Twin:
    """A wire that answers zeros, or raises what it is told to."""

    stale = 0

    def __init__(self) -> None:
        self.any_unit: AbstractSet[int] = set()
        self.lost: str | None = None
        self.fault: Exception | None = None
        self.closed = False

    async def transact(self, unit: int, request: Request) -> tuple[bytes, int]:
        if self.fault is not None:
            raise self.fault
        return bytes(request.size), 0

    def rest(self, unit: int) -> float:
        return 0.0

    def renew(self, unit: int) -> bool:
        return False

    def close(self) -> None:
        self.closed = True


class Network:
    """Connects to twins while it is up, and counts attempts."""

    def __init__(self) -> None:
        self.up = True
        self.attempts = 0
        self.wires: list[Twin] = []

    async def connect(self) -> Wire:
        self.attempts += 1
        if not self.up:
            raise ConnectionLost("refused")
        self.wires.append(Twin())
        return self.wires[-1]


async def test_all_who_wait_share_an_attempt() -> None:
    """While a line backs off, asking fails at once without an attempt; those who want to open wait for the next one."""
    clock, network = ManualClock(), Network()
    network.up = False
    async with SimpleSite(clock=clock) as site:
        line: ModbusLine = site.line("line", lambda: ModbusLine("line", network.connect, clock))
        with pytest.raises(ConnectionLost, match="refused"):
            await line.ready()
        for _ in range(3):
            with pytest.raises(ConnectionLost, match="refused"):
                await line.ask(1, READ)
        assert network.attempts == 1
        async with asyncio.TaskGroup() as group:
            waiting = [group.create_task(_fails(line)) for _ in range(3)]
            await eventually(lambda: clock.sleepers == 3)
            await clock.advance(1.0)
        assert [task.result() for task in waiting] == ["refused"] * 3
        assert network.attempts == 2
        network.up = True
        with line.used():
            async with asyncio.TaskGroup() as group:
                group.create_task(line.ready())
                await clock.advance(5.0)
            assert line.connected
            assert network.attempts == 3


async def _fails(line: ModbusLine) -> str:
    try:
        await line.ready()
    except ConnectionLost as error:
        return error.reason
    return "connected"


async def test_the_connection_ends_with_its_last_user() -> None:
    """The connection is kept while somebody uses the line, and closed when nobody is left."""
    network = Network()
    async with SimpleSite() as site:
        line: ModbusLine = site.line("line", lambda: ModbusLine("line", network.connect, site.clock))
        with line.used():
            with line.used():
                await line.ask(1, READ)
            await line.ask(1, READ)
            assert not network.wires[0].closed
        await eventually(lambda: network.wires[0].closed)
        with line.used():
            await line.ask(1, READ)
    assert network.attempts == 2
    assert all(wire.closed for wire in network.wires)


async def test_a_bug_is_told_to_its_caller_and_the_line_lives() -> None:
    """An error nobody translated reaches whoever asked; others are served on a new connection."""
    network = Network()
    async with SimpleSite() as site:
        line: ModbusLine = site.line("line", lambda: ModbusLine("line", network.connect, site.clock))
        with line.used():
            await line.ready()
            network.wires[0].fault = ZeroDivisionError("a bug")
            with pytest.raises(ZeroDivisionError):
                await line.ask(1, READ)
            assert (await line.ask(2, READ)).data == b"\0\0"
    assert network.wires[0].closed
