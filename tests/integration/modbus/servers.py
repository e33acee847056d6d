"""Modbus servers for tests: the library's own over a memory of ours, and one that says what a test scripts."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

from pymodbus.constants import ExcCodes
from pymodbus.exceptions import NoSuchIdException
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice
from pymodbus.simulator.simcore import SimCore

from agent.collectors.modbus.config import ModbusConfig
from agent.collectors.modbus.tags.address import Address
from tests.support.ports import free_port


class Memory:
    """What the simulated devices of one server hold, and how they behave. Offsets 0..1999 of each area exist."""

    SIZE = 2000

    def __init__(self) -> None:
        self.registers: dict[tuple[int, str], list[int]] = {}
        self.bits: dict[tuple[int, str], list[bool]] = {}
        self.illegal: set[tuple[str, int]] = set()  #: area, offset: a read that touches one is refused with 02
        self.largest = 125  #: more registers in one request are refused with 03
        self.asked: list[tuple[int, int, int, int]] = []  #: unit, function, offset, count
        self.refuse_all: ExcCodes | None = None


_AREAS = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}


def make_device(unit: int, memory: Memory, values: dict[str, list[int]]) -> SimDevice:
    """One unit of the library's server, with this memory's behaviour."""

    async def action(
        function: int, start: int, address: int, count: int, current: list[int], new: object
    ) -> ExcCodes | None:
        memory.asked.append((unit, function, address, count))
        if memory.refuse_all is not None:
            return memory.refuse_all
        area = _AREAS[function]
        if any((area, offset) in memory.illegal for offset in range(address, address + count)):
            return ExcCodes.ILLEGAL_ADDRESS
        if function > 2 and count > memory.largest:
            return ExcCodes.ILLEGAL_VALUE
        return None

    def registers(area: str) -> list[SimData]:
        return [SimData(0, values=values[area], datatype=DataType.REGISTERS)]

    def bits(area: str) -> list[SimData]:
        return [SimData(0, values=[bool(value) for value in values[area]], datatype=DataType.BITS)]

    return SimDevice(
        unit,
        (bits("coil"), bits("discrete"), registers("holding"), registers("input")),
        action=action,
    )


def pattern(unit: int) -> dict[str, list[int]]:
    """Values that name their unit, area and offset, so that a wrong one is seen."""
    size = Memory.SIZE
    return {
        "coil": [(offset * 7 + unit) % 3 == 0 for offset in range(size)],
        "discrete": [(offset * 5 + unit) % 4 == 0 for offset in range(size)],
        "holding": [(offset * 31 + unit * 1009 + 7) & 0xFFFF for offset in range(size)],
        "input": [(offset * 17 + unit * 2003 + 40_000) & 0xFFFF for offset in range(size)],
    }  # fmt: skip


class Core(SimCore):
    """The library answers exception 04 for a unit that is not there; its server keeps silent for this error only."""

    async def async_getValues(  # noqa: N802 - the library's name
        self, device_id: int, func_code: int, address: int, count: int = 1
    ) -> list[int] | list[bool] | ExcCodes:
        if device_id not in self.devices:
            raise NoSuchIdException
        return await super().async_getValues(device_id, func_code, address, count)


class Plant:
    """The library's server with some units on one port. Can go away and come back on the same port."""

    def __init__(self, units: tuple[int, ...] = (1,), *, values: dict[str, list[int]] | None = None) -> None:
        self.memory = Memory()
        self.values = {unit: values or pattern(unit) for unit in units}
        self.port = free_port()
        self._server: ModbusTcpServer | None = None

    @property
    def url(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        return 0 if self._server is None else len(self._server.active_connections)

    async def up(self) -> None:
        devices = [make_device(unit, self.memory, values) for unit, values in self.values.items()]
        server = ModbusTcpServer(devices, address=("127.0.0.1", self.port), ignore_missing_devices=True)
        server.context = Core(devices)
        await server.serve_forever(background=True)
        self._server = server

    async def down(self) -> None:
        if self._server is not None:
            server, self._server = self._server, None
            await server.shutdown()


@asynccontextmanager
async def plant(*units: int, values: dict[str, list[int]] | None = None) -> AsyncIterator[Plant]:
    """A running server with these units (1 where none is named)."""
    running = Plant(units or (1,), values=values)
    await running.up()
    try:
        yield running
    finally:
        await running.down()


@dataclass(frozen=True)
class Ask:
    """A request as it came over the wire."""

    tid: int
    unit: int
    function: int
    offset: int
    count: int

    def frame(self, pdu: bytes, *, tid: int | None = None, unit: int | None = None, **header: int) -> bytes:
        """An answer to it, faithful but for what is given (`protocol`, `length` too)."""
        head = struct.pack(
            ">HHHB",
            self.tid if tid is None else tid,
            header.get("protocol", 0),
            header.get("length", len(pdu) + 1),
            self.unit if unit is None else unit,
        )
        return head + pdu

    def registers(self, *values: int) -> bytes:
        """The PDU with these registers."""
        return struct.pack(f">BB{len(values)}H", self.function, len(values) * 2, *values)

    def truth(self) -> bytes:
        """The true answer of a device whose registers hold their own offset."""
        return self.frame(self.registers(*range(self.offset, self.offset + self.count)))

    def exception(self, code: int) -> bytes:
        """The frame of an exception."""
        return self.frame(bytes((self.function | 0x80, code)))


Script = Callable[[Ask], "bytes | None"]


class _Peer(asyncio.Protocol):
    def __init__(self, server: Scripted) -> None:
        self._server = server
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._server.peers.append(self._transport)
        self._server.accepted += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.peers.remove(self._transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= 12:
            tid, _, _, unit, function, offset, count = struct.unpack(">HHHBBHH", self._buffer[:12])
            self._buffer = self._buffer[12:]
            ask = Ask(tid, unit, function, offset, count)
            self._server.asked.append(ask)
            answer = self._server.script(ask)
            if answer is not None:
                self._transport.write(answer)


class Scripted:
    """A server that answers what `script` says; None keeps silent. The script may be changed at any time."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.asked: list[Ask] = []
        self.peers: list[asyncio.Transport] = []
        self.accepted = 0
        self.port = 0

    @property
    def url(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def say(self, data: bytes) -> None:
        """Send something nobody asked for just now."""
        self.peers[-1].write(data)


@asynccontextmanager
async def scripted(script: Script = Ask.truth) -> AsyncIterator[Scripted]:
    """A running scripted server."""
    running = Scripted(script)
    server = await asyncio.get_running_loop().create_server(lambda: _Peer(running), "127.0.0.1", 0)
    running.port = server.sockets[0].getsockname()[1]
    try:
        yield running
    finally:
        server.close()
        for peer in list(running.peers):
            peer.abort()
        await server.wait_closed()


def device(url: str, tags: dict[str, object], **keys: object) -> ModbusConfig:
    """A device as a configuration gives it; a tag may be an address alone."""
    table = {name: {"address": tag} if isinstance(tag, str | Address) else tag for name, tag in tags.items()}
    return ModbusConfig.model_validate(
        {"type": "modbus", "url": url, "interval": "20ms", "timeout": "5s", "tags": table} | keys
    )
