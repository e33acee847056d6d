"""A plant of fifty devices under load: what one of them becomes concerns none of the others."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from contextlib import AsyncExitStack
from itertools import pairwise
from typing import Any

from agent.simulator.modbus import ModbusServer, Unit
from tests.faults.reload.test_devices import unbroken
from tests.faults.southbound.conftest import Running, modbus, opcua
from tests.faults.southbound.ear import Ear
from tests.integration.opcua.server import Hall
from tests.support.agent import AgentProcess
from tests.support.load import CountingMemory
from tests.support.waiting import eventually

GATEWAYS, UNITS, SERVERS = 9, 5, 5


def every_scan(ear: Ear, device: str) -> None:
    """Each time the device was asked its answer has come: every register counts the scans."""
    counts = [one.value for one in ear.readings(device, "r0") if not one.historical]
    assert all(later == earlier + 1 for earlier, later in pairwise(counts)), (device, counts)


async def all_go_on(ear: Ear, devices: Iterable[str], times: int) -> None:
    """Wait until each of them has been read so many times more."""

    def heard(device: str) -> int:
        return len(ear.readings(device, "a" if device.startswith("ua") else "r0"))

    before = {device: heard(device) for device in devices}
    await eventually(
        lambda: all(heard(device) >= number + times for device, number in before.items()), what="all go on"
    )


async def test_forty_nine_devices_do_not_notice(running: Running, hall: Hall) -> None:
    """One device of fifty is replaced, then one gets other tags: no scan, no number and no connection of the others."""
    plant = await hall.plant()
    for name in ("a", "b"):
        await plant.do(plant.add(name, 1))
    async with AsyncExitStack() as stack:
        gateways = [
            await stack.enter_async_context(
                ModbusServer({number: Unit(memory=CountingMemory()) for number in range(1, UNITS + 1)})
            )
            for _ in range(GATEWAYS)
        ]
        devices: dict[str, Any] = {
            f"gw-{g}-{unit}": modbus(gateway.url, registers=4, unit_id=unit, interval="1s")
            for g, gateway in enumerate(gateways)
            for unit in gateway.units
        }
        devices |= {f"ua-{n}": opcua(plant.url, "a", "b", mode="poll", interval="1s") for n in range(SERVERS)}
        async with running(devices) as (agent, ear):
            await all_go_on(ear, devices, 2)
            before = connections(agent, gateways)
            document = copy.deepcopy(agent.document)
            document["devices"]["gw-0-1"]["timeout"] = "3s"
            line = await agent.reload(document)
            assert line["devices_replaced"] == ["gw-0-1"]
            document["devices"]["gw-1-1"]["tags"] |= {"more": {"address": "holding:4"}}
            line = await agent.reload(document)
            assert line["devices_retagged"] == ["gw-1-1"]
            await all_go_on(ear, devices, 3)
            assert connections(agent, gateways) == before
            assert ear.readings("gw-1-1", "more", quality="good")
    for device in devices:
        unbroken(ear, device)
        assert not ear.readings(device, why="offline")
        if device.startswith("gw") and device != "gw-0-1":
            every_scan(ear, device)
    await hall.stop(plant)


def connections(agent: AgentProcess, gateways: list[ModbusServer]) -> tuple[list[int], int]:
    """Accepted by each Modbus server, and made to the OPC UA server."""
    return [gateway.connections for gateway in gateways], len(agent.events("opcua.connected"))
