"""The OPC UA collector and its server, for the contract of all collectors."""

from __future__ import annotations

from agent.core.ports import BuildContext, Collector
from tests.integration.opcua.server import URN, Hall, Plant
from tests.integration.opcua.support import config


class OpcUaBench:
    """The library's own server; down it keeps its address space, which takes more than a second to make."""

    tags = 3

    def __init__(self, hall: Hall, mode: str) -> None:
        self._hall, self._mode = hall, mode

    @property
    def _plant(self) -> Plant:
        return self._hall.kept["bench"]

    async def up(self) -> None:
        if "bench" not in self._hall.kept:
            plant = self._hall.kept["bench"] = await self._hall.plant()
            for name in ("speed", "program", "serial"):
                await plant.do(plant.add(name, name))
        elif not self._plant.listens:
            await self._plant.do(self._plant.open_listener())

    async def down(self) -> None:
        if self._plant.listens:
            await self._plant.do(self._plant.close_listener())

    @property
    def connections(self) -> int:
        return self._plant.connections()

    def build(self, name: str, context: BuildContext) -> Collector:
        tags = {
            "speed": f"nsu={URN};s=speed",
            "program": f"nsu={URN};s=program",
            "serial": {"node": f"nsu={URN};s=serial", "interval": "once"},
        }
        return config(self._plant.url, tags, mode=self._mode).build(name, context)
