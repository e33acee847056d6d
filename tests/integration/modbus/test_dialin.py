"""DTUs that dial in: who they are, what becomes of strangers, and of those who come again."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from agent.collectors.modbus.bus.bus import ModbusBus
from agent.collectors.modbus.bus.dialin import DtuConnection as Caller
from agent.collectors.modbus.bus.dialin import DtuPort
from agent.collectors.modbus.bus.transaction import ReadRequest
from agent.collectors.modbus.config import ModbusConfig
from agent.core.errors import ConnectionLost
from agent.testing.clock import ManualClock
from agent.testing.context import SimpleContext
from tests.faults.modbus.media import Ask, Medium, value
from tests.integration.modbus.reading import cycle
from tests.integration.modbus.servers import device
from tests.support.ports import accepts, free_port
from tests.support.waiting import eventually


class DtuConnection:
    """A DTU before one RTU device, driven by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.medium = Medium("rtu", Ask.truth)
        self.medium.connected(writer.write)
        self.over = False

    async def pass_on(self) -> None:
        """Serve until the agent hangs up."""
        try:
            while data := await self._reader.read(4096):
                self.medium.heard(data)
        except ConnectionResetError:
            pass
        self.over = True
        self._writer.close()

    def say(self, data: bytes) -> None:
        self._writer.write(data)


@asynccontextmanager
async def dialled(port: int, *introductions: bytes) -> AsyncIterator[list[DtuConnection]]:
    """DTUs that dial one after the other and say this, some in several pieces."""
    await eventually(lambda: accepts(port))
    async with asyncio.TaskGroup() as group:
        dtus = []
        for introduction in introductions:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in introduction:
                writer.write(bytes([byte]))
            dtus.append(DtuConnection(reader, writer))
        tasks = [group.create_task(dtu.pass_on()) for dtu in dtus]
        try:
            yield dtus
        finally:
            for task in tasks:
                task.cancel()
            for dtu in dtus:
                dtu._writer.close()


def behind(port: int, registration: str | None, unit: int = 1, **keys: object) -> ModbusConfig:
    dtu = {} if registration is None else {"registration": registration}
    return device(f"tcp-listen://127.0.0.1:{port}", {"a": "holding:7"}, unit_id=unit, dtu=dtu, **keys)


async def test_several_at_one_port() -> None:
    """Two DTUs at one port are told apart by what they say first; devices behind one share its connection."""
    port = free_port()
    async with SimpleContext() as context:
        configs = [behind(port, "A-1", 1), behind(port, "A-1", 2), behind(port, "0x010203", 3)]
        collectors = [config.build(f"d{number}", context) for number, config in enumerate(configs)]
        async with dialled(port, b"\1\2\3", b"A-1") as (third, first):
            for config, collector in zip(configs, collectors, strict=True):

                async def attempt(config: ModbusConfig = config, collector: object = collector) -> object:
                    try:
                        async with collector.open() as samples:  # type: ignore[attr-defined]
                            return (await cycle(samples, config))["a"].value
                    except ConnectionLost:
                        return None

                assert await eventually(attempt) == value(config.unit_id, 7)
            assert {ask.unit for ask in first.medium.asked} == {1, 2}
            assert {ask.unit for ask in third.medium.asked} == {3}
    assert len(context.buses) == 3  # the port, and two lines


def test_uvloop_carries_it_too() -> None:
    """On the loop the agent runs on, whose transports are no `asyncio.Transport` by inheritance."""
    uvloop = pytest.importorskip("uvloop")
    complaints: list[object] = []

    async def story() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
        await test_several_at_one_port()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(story())
    assert not complaints


async def test_nobody_has_dialled_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the DTU dials in its devices are offline, and the reason says who is missing."""
    monkeypatch.setattr("agent.collectors.modbus.bus.transports.CONNECT_SECONDS", 0.05)
    async with SimpleContext() as context:
        collector = behind(free_port(), "A-1").build("press", context)
        with pytest.raises(ConnectionLost, match="DTU 'A-1' has not dialled in"):
            async with collector.open():
                pass


async def test_strangers_are_sent_away() -> None:
    """Who says something nobody expects is hung up on, and the DTU that is expected is not disturbed."""
    port = free_port()
    async with SimpleContext() as context:
        config = behind(port, "A-1")
        collector = config.build("press", context)
        async with dialled(port, b"GET / HTTP/1.1\r\n\r\n", b"A-2", b"A-1") as (browser, other, _):
            await eventually(lambda: browser.over and other.over)
            async with collector.open() as samples:
                assert (await cycle(samples, config))["a"].value == value(1, 7)


def test_nobody_is_let_in_before_and_after() -> None:
    """Whoever connects in the moment the port is closed is sent away, not left waiting."""
    hall = DtuPort("127.0.0.1", 0, ManualClock())
    assert not hall.admit(Caller(hall))


async def test_a_dtu_that_comes_again_replaces_itself() -> None:
    """When a DTU dials in anew its old connection is dropped, and what was asked there is asked over the new one."""
    port = free_port()
    async with SimpleContext() as context:
        behind(port, "A-1").build("press", context)
        shared = next(line for line in context.buses.values() if isinstance(line, ModbusBus))
        request = ReadRequest(3, 7, 1, 5.0)  # what a connection took along rests three time-outs: some pass it on
        with shared.used():
            async with dialled(port, b"A-1") as (old,):
                assert (await shared.ask(1, request)).data == value(1, 7).to_bytes(2, "big")
                old.medium.script = lambda _: None  # its radio link is dead
                waiting = shared.submit(1, request)
                await eventually(lambda: len(old.medium.asked) == 2)
                async with dialled(port, b"A-1") as (new,):
                    assert (await waiting).data == value(1, 7).to_bytes(2, "big")
                    await eventually(lambda: old.over)
                    assert new.medium.asked


async def test_whoever_comes() -> None:
    """Without a registration the DTU need not say anything."""
    port = free_port()
    async with SimpleContext() as context:
        config = behind(port, None)
        collector = config.build("press", context)
        async with dialled(port, b""), collector.open() as samples:
            assert (await cycle(samples, config))["a"].value == value(1, 7)
