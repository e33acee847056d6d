"""The plant: named devices with their servers, a ticker for what is subscribed to, and faults on command.

    async with plant_of({"devices": {"press-01": {"kind": "press"}}}) as plant:
        await plant.device("press-01").fail("offline")
        await plant.device("press-01").heal()

Faults: `offline` (connection refused), `silent` (takes requests, never answers; Modbus), `slow` (`delay` seconds before
every answer), `illegal_address` (`names` or, Modbus, `places` are refused with exception 02, OPC UA: BadNodeIdUnknown),
`bad_status` (`names` of an OPC UA server get `code`; a Modbus unit answers everything with exception `code`), `restart`
(connections and sessions drop, the device is back after `after` seconds, at once by default).
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

from agent.core.clock import Clock, SystemClock
from agent.core.quality import number_of
from agent.simulator.machines import Machine, State
from agent.simulator.points import Area, NodePoint
from agent.telemetry.logging import get_logger

if TYPE_CHECKING:
    from agent.simulator.modbus import ModbusServer, Unit
    from agent.simulator.opcua import OpcUaServer

log = get_logger("simulator")

Fault = Literal["offline", "silent", "slow", "illegal_address", "bad_status", "restart"]

TICK = 0.1  #: seconds between two looks of an OPC UA server at its machine


@dataclass(frozen=True)
class Trouble:
    """How a device misbehaves. The defaults of `slow` and `bad_status` are those of a tired and of a broken device."""

    fault: Fault
    delay: float = 0.5
    names: frozenset[str] = frozenset()
    places: frozenset[tuple[Area, int]] = frozenset()
    code: str = ""
    after: float = 0.0


class SimulatedDevice(ABC):
    """One simulated device. Faults do not add up: a new one replaces the one before."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.trouble: Trouble | None = None
        self._clock: Clock = SystemClock()

    @property
    @abstractmethod
    def url(self) -> str:
        """What stands under `url:` of a device of the agent. Known once the plant is open."""

    async def fail(
        self, fault: Fault, *, delay: float = 0.5, names: Iterable[str] = (), places: Iterable[tuple[Area, int]] = (),
        code: str = "", after: float = 0.0,
    ) -> None:  # fmt: skip
        """Misbehave from now on, until :meth:`heal`; `restart` heals by itself. Raises ValueError where it cannot."""
        await self._clear()
        log.info("simulator.fault", device=self.name, fault=fault)
        self.trouble = Trouble(fault, delay, frozenset(names), frozenset(places), code, after)
        await self._apply(self.trouble)
        if fault == "restart":
            await self._clock.sleep(after)
            await self.heal()

    async def heal(self) -> None:
        """Behave again."""
        if self.trouble is not None:
            log.info("simulator.fault", device=self.name, fault=None)
        await self._clear()

    async def _clear(self) -> None:
        self.trouble = None
        await self._apply(None)

    @abstractmethod
    async def start(self, clock: Clock) -> None: ...

    @abstractmethod
    async def stop(self) -> None: ...

    @abstractmethod
    async def tick(self, t: float) -> None: ...

    @abstractmethod
    async def _apply(self, trouble: Trouble | None) -> None: ...


class ModbusDevice(SimulatedDevice):
    """One unit of a Modbus server; several devices may share the server."""

    def __init__(self, name: str, server: ModbusServer, unit_id: int) -> None:
        super().__init__(name)
        self.server = server
        self.unit_id = unit_id

    @property
    def unit(self) -> Unit:
        """Memory, machine and counters."""
        return self.server.units[self.unit_id]

    @property
    def url(self) -> str:
        return self.server.url

    async def start(self, clock: Clock) -> None:
        self._clock = clock
        await self.server.start()
        log.info("simulator.listening", device=self.name, url=self.url)

    async def stop(self) -> None:
        await self.server.stop()

    async def tick(self, t: float) -> None:
        """Nothing: values are computed when they are asked for."""

    async def _apply(self, trouble: Trouble | None) -> None:
        unit, fault = self.unit, trouble.fault if trouble else None
        alone = len(self.server.units) == 1
        unit.silent = fault == "silent" or (fault in ("offline", "restart") and not alone)
        unit.delay = trouble.delay if trouble and fault == "slow" else 0.0
        unit.refused = self._places(trouble) if trouble and fault == "illegal_address" else set()
        unit.exception = (int(trouble.code, 0) if trouble.code else 4) if trouble and fault == "bad_status" else None
        if fault in ("offline", "restart") and alone:
            await self.server.stop()
        else:
            await self.server.start()

    def _places(self, trouble: Trouble) -> set[tuple[Area, int]]:
        known = {point.name: (point.area, point.address) for point in self.unit.points}
        if unknown := trouble.names - known.keys():
            msg = f"{self.name} has no points {sorted(unknown)}"
            raise ValueError(msg)
        return set(trouble.places) | {known[name] for name in trouble.names}


class OpcUaDevice(SimulatedDevice):
    """One OPC UA server and its machine."""

    def __init__(
        self, name: str, machine: Machine, nodes: tuple[NodePoint, ...], *, namespace: str, host: str, port: int
    ) -> None:
        super().__init__(name)
        self.machine = machine
        self.nodes = nodes
        self._namespace, self._host, self._port = namespace, host, port
        self._state: State | None = None
        self._status: dict[str, int] = {}
        self.server: OpcUaServer | None = None

    @property
    def url(self) -> str:
        return self._running().url

    async def start(self, clock: Clock) -> None:
        from agent.simulator.opcua import OpcUaServer

        self._clock = clock
        self.server = OpcUaServer(
            self.name, self.nodes, namespace=self._namespace, clock=clock, host=self._host, port=self._port
        )
        await self.server.build(self.machine.state(0.0))
        await self.server.start()
        log.info("simulator.listening", device=self.name, url=self.url)

    async def stop(self) -> None:
        if self.server is not None:
            await self.server.close()

    async def tick(self, t: float) -> None:
        self._state = self.machine.state(t)
        await self._running().say(self._state, self._status)

    async def _apply(self, trouble: Trouble | None) -> None:
        server, fault = self._running(), trouble.fault if trouble else None
        if fault == "silent":
            msg = "an OPC UA server cannot be silent here; use slow with a long delay"
            raise ValueError(msg)
        if trouble and (unknown := trouble.names - {node.name for node in self.nodes}):
            msg = f"{self.name} has no nodes {sorted(unknown)}"
            raise ValueError(msg)
        server.delay = trouble.delay if trouble and fault == "slow" else 0.0
        server.hide(set(trouble.names) if trouble and fault == "illegal_address" else set())
        code = number_of((trouble and trouble.code) or "BadSensorFailure")
        self._status = dict.fromkeys(trouble.names, code) if trouble and fault == "bad_status" else {}
        if self._state is not None:
            await server.say(self._state, self._status)
        if fault in ("offline", "restart"):
            await server.stop()
            if fault == "restart":
                await server.forget_sessions()
        else:
            await server.start()

    def _running(self) -> OpcUaServer:
        if self.server is None:
            msg = f"{self.name}: the plant is not open"
            raise RuntimeError(msg)
        return self.server


class PlantClock:
    """Machine time: seconds since the plant was made, plus `age`, so that machines need not start cold."""

    def __init__(self, clock: Clock, age: float) -> None:
        self.clock = clock
        self._zero = clock.monotonic() - age

    def __call__(self) -> float:
        return self.clock.monotonic() - self._zero


class Plant:
    """All devices, open between entering and leaving."""

    def __init__(self, devices: Mapping[str, SimulatedDevice], time: PlantClock) -> None:
        self.devices = dict(devices)
        self.time = time
        self._group: asyncio.TaskGroup | None = None
        self._ticker: asyncio.Task[None] | None = None

    def device(self, name: str) -> SimulatedDevice:
        """The device of that name; KeyError where there is none."""
        return self.devices[name]

    async def __aenter__(self) -> Self:
        started: list[SimulatedDevice] = []
        try:
            for device in self.devices.values():
                started.append(device)
                await device.start(self.time.clock)
                await device.tick(self.time())
        except BaseException:
            for device in reversed(started):
                await device.stop()
            raise
        self._group = asyncio.TaskGroup()
        await self._group.__aenter__()
        self._ticker = self._group.create_task(self._tick(), name="plant")
        return self

    async def __aexit__(self, *_exc: object) -> None:
        assert self._group is not None  # noqa: S101  # entered before
        assert self._ticker is not None  # noqa: S101  # entered before
        self._ticker.cancel()
        try:
            # The body's own error is none of the group's: it would come out wrapped.
            await self._group.__aexit__(None, None, None)
        finally:
            for device in reversed(self.devices.values()):
                await device.stop()

    async def _tick(self) -> None:
        while True:
            for device in self.devices.values():
                await device.tick(self.time())
            await self.time.clock.sleep(TICK)
