"""The plant: named devices with their servers, and a ticker for what is subscribed to.

    async with plant_of({"devices": {"press-01": {"kind": "press"}}}) as plant:
        await plant.device("press-01").fail()
        await plant.device("press-01").heal()

What fails refuses connections; a unit behind a gateway that goes on keeps silent.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

from agent.core.clock import Clock
from agent.simulator.machines import Machine
from agent.simulator.points import NodePoint
from agent.telemetry.logging import get_logger

if TYPE_CHECKING:
    from agent.simulator.modbus import ModbusServer, Unit
    from agent.simulator.opcua import OpcUaServer

log = get_logger("simulator")

TICK = 0.1  #: seconds between two looks of an OPC UA server at its machine


class SimulatedDevice(ABC):
    """One simulated device."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    @abstractmethod
    def url(self) -> str:
        """What stands under `url:` of a device of the agent. Known once the plant is open."""

    async def fail(self) -> None:
        """Be away from now on, until :meth:`heal`."""
        log.info("simulator.fault", device=self.name, fault="offline")
        await self._unplug()

    async def heal(self) -> None:
        """Be back, at the same address."""
        log.info("simulator.fault", device=self.name, fault=None)
        await self._plug_in()

    @abstractmethod
    async def start(self, clock: Clock) -> None: ...

    @abstractmethod
    async def stop(self) -> None: ...

    @abstractmethod
    async def tick(self, t: float) -> None: ...

    @abstractmethod
    async def _unplug(self) -> None: ...

    @abstractmethod
    async def _plug_in(self) -> None: ...


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
        del clock
        await self.server.start()
        log.info("simulator.listening", device=self.name, url=self.url)

    async def stop(self) -> None:
        await self.server.stop()

    async def tick(self, t: float) -> None:
        """Nothing: values are computed when they are asked for."""

    async def _unplug(self) -> None:
        if len(self.server.units) == 1:
            await self.server.stop()
        else:
            self.unit.silent = True

    async def _plug_in(self) -> None:
        self.unit.silent = False
        await self.server.start()


class OpcUaDevice(SimulatedDevice):
    """One OPC UA server and its machine."""

    def __init__(
        self, name: str, machine: Machine, nodes: tuple[NodePoint, ...], *, namespace: str, host: str, port: int
    ) -> None:
        super().__init__(name)
        self.machine = machine
        self.nodes = nodes
        self._namespace, self._host, self._port = namespace, host, port
        self.status: dict[str, int] = {}  #: of nodes that are not Good
        self.server: OpcUaServer | None = None

    @property
    def url(self) -> str:
        return self._running().url

    async def start(self, clock: Clock) -> None:
        from agent.simulator.opcua import OpcUaServer

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
        await self._running().say(self.machine.state(t), self.status)

    async def _unplug(self) -> None:
        await self._running().stop()

    async def _plug_in(self) -> None:
        await self._running().start()

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
