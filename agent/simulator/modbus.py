"""Modbus TCP servers of the plant: the only file of the simulator that touches pymodbus.

One server may stand for several units, as a gateway does. Values come from memories and machines; this file only
answers, or misbehaves as it is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Self, cast

from pymodbus.constants import ExcCodes
from pymodbus.exceptions import NoSuchIdException
from pymodbus.server import ModbusTcpServer
from pymodbus.server.requesthandler import ServerRequestHandler
from pymodbus.simulator import SimData, SimDevice

from agent.simulator.machines import Machine
from agent.simulator.points import Area, Memory, Point

_AREAS: dict[int, Area] = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}


class Silence(NoSuchIdException):
    """Instead of an answer: none."""


class Disconnect(Silence):
    """Instead of an answer: the connection is closed, after so many seconds."""

    def __init__(self, after: float) -> None:
        super().__init__("disconnects")
        self.after = after


@dataclass
class Unit:
    """One unit behind a server: its memory, the machine that fills it, and how it misbehaves just now."""

    memory: Memory = field(default_factory=Memory)
    machine: Machine | None = None
    points: tuple[Point, ...] = ()
    silent: bool = False  #: takes requests and never answers
    delay: float = 0.0  #: seconds before every answer
    refused: set[tuple[Area, int]] = field(default_factory=set)  #: a request touching one of these gets exception 02
    exception: int | None = None  #: answered to every request instead of values
    requests: int = 0  #: how many have been asked of it

    def answer(self, code: int, address: int, count: int, t: float) -> list[int] | list[bool] | ExcCodes:
        """Values or an exception code."""
        self.requests += 1
        area = _AREAS.get(code)
        if area is None:
            return ExcCodes.ILLEGAL_FUNCTION
        if self.exception is not None:
            return ExcCodes(self.exception)
        if self.refused and any((area, place) in self.refused for place in range(address, address + count)):
            return ExcCodes.ILLEGAL_ADDRESS
        cells = self.cells(area, address, count, t)
        if cells is None:
            return ExcCodes.ILLEGAL_ADDRESS
        return [bool(cell) for cell in cells] if area in ("coil", "discrete") else cells

    def cells(self, area: Area, address: int, count: int, t: float) -> list[int] | None:
        """`count` cells at t seconds; None where one of them does not exist."""
        if self.machine is not None:
            self.memory.put_all(self.points, self.machine.state(t))
        return self.memory.read(area, address, count)


class _Context:
    """What pymodbus asks for values, in place of its own data store. Nothing here can be written."""

    def __init__(self, units: dict[int, Unit], elapsed: Callable[[], float]) -> None:
        self._units = units
        self._elapsed = elapsed

    def device_ids(self) -> Iterable[int]:
        return self._units

    async def async_getValues(self, device_id: int, func_code: int, address: int, count: int = 1) -> Any:  # noqa: N802 - pymodbus
        unit = self._units.get(device_id)
        if unit is None or unit.silent:
            msg = f"unit {device_id} does not answer"
            raise NoSuchIdException(msg)
        return unit.answer(func_code, address, count, self._elapsed())

    async def async_setValues(self, *_request: object) -> Any:  # noqa: N802 - pymodbus
        return ExcCodes.ILLEGAL_FUNCTION


class _Handler(ServerRequestHandler):
    """Keeps the request it answers, so that a late answer still answers the request it belongs to."""

    async def handle_request(self) -> None:
        request = self.last_pdu
        if request is None:
            return
        try:
            response = await request.datastore_update(self.server.context, request.dev_id)
        except Disconnect as end:
            self.loop.call_later(end.after, self._hang_up)
            return
        except NoSuchIdException:
            return  # a dead unit says nothing; the client's timeout finds out
        response.transaction_id, response.dev_id = request.transaction_id, request.dev_id
        unit = self.server.units.get(request.dev_id)
        if unit is not None and unit.delay > 0:
            self.loop.call_later(unit.delay, self._send_late, response)
        else:
            self._send_late(response)

    def _hang_up(self) -> None:
        if self.transport is not None:
            self.transport.close()

    def _send_late(self, response: Any) -> None:
        if self.transport is not None:
            self.server_send(response, None)  # type: ignore[no-untyped-call]


class _Server(ModbusTcpServer):
    def __init__(self, units: dict[int, Unit], elapsed: Callable[[], float], address: tuple[str, int]) -> None:
        nothing = SimDevice(0, simdata=SimData(0))  # pymodbus insists on one; the context below takes its place
        super().__init__(nothing, address=address)
        self.units = units
        self.context = _Context(units, elapsed)  # type: ignore[assignment]
        self.accepted = 0

    def callback_new_connection(self) -> _Handler:
        self.accepted += 1
        return _Handler(self, self.trace_packet, self.trace_pdu, self.trace_connect)  # type: ignore[no-untyped-call]


class ModbusServer:
    """A listener on `host`:`port` (0: a free one, kept over restarts) with its units. Start and stop it as you like.

    `elapsed` gives the machine time in seconds. Raises OSError where the port is taken.
    """

    def __init__(
        self, units: dict[int, Unit], *, elapsed: Callable[[], float] = lambda: 0.0, host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:  # fmt: skip
        self.units = units
        self._accepted = 0
        self.host = host
        self.port = port
        self._elapsed = elapsed
        self._server: _Server | None = None

    @property
    def connections(self) -> int:
        """How many have been accepted so far."""
        return self._accepted + (self._server.accepted if self._server is not None else 0)

    @property
    def url(self) -> str:
        """What stands under `url:` of a device."""
        return f"tcp://{self.host}:{self.port}"

    async def start(self) -> None:
        """Listen. Nothing happens where it listens already."""
        if self._server is not None:
            return
        server = _Server(self.units, self._elapsed, (self.host, self.port))
        if not await server.listen():
            await server.shutdown()  # type: ignore[no-untyped-call]
            msg = f"cannot listen on {self.host}:{self.port}: port in use, or address not on this host"
            raise OSError(msg)
        self._server = server
        listener = cast(asyncio.Server, server.transport)  # what loop.create_server gives pymodbus
        self.port = listener.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Drop all connections and refuse new ones."""
        if self._server is None:
            return
        server, self._server = self._server, None
        self._accepted += server.accepted
        await server.shutdown()  # type: ignore[no-untyped-call]
        await asyncio.sleep(0)  # closed transports finish on the next turn of the loop

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.stop()
