"""A plant of fifty devices under load: what one of them becomes concerns none of the others."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

from agent.simulator.modbus import ModbusServer, Unit
from tests.faults.reload.test_devices import unbroken
from tests.faults.southbound.conftest import modbus, opcua, stage
from tests.faults.southbound.ear import Ear
from tests.integration.opcua.server import Hall
from tests.support.agent import AgentProcess
from tests.support.load import CountingMemory
from tests.support.mosquitto import Mosquitto
from tests.support.processes import agent_command, process
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


async def test_forty_nine_devices_do_not_notice(tmp_path: Path, mosquitto: Mosquitto, hall: Hall) -> None:
    """One device of fifty is replaced, others get other tags, each asked for in another way: nothing of the others.

    No scan, no number, no connection of theirs is lost, and none of their cycles is skipped.
    """
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
        devices |= {f"ua-{n}": opcua(plant.url, "a", mode="poll", interval="1s") for n in range(SERVERS)}
        running = stage(tmp_path, mosquitto, agent={"reload": "watch"})
        async with running(devices) as (agent, ear):
            await all_go_on(ear, devices, 2)
            before, late = connections(agent, gateways), await skipped(agent)
            document = copy.deepcopy(agent.document)

            document["devices"]["gw-0-1"]["timeout"] = "3s"
            agent.configure(document)
            (line,) = await eventually(lambda: agent.events("config.reloaded"), what="the changed file is noticed")
            assert (line["reason"], line["devices_replaced"]) == ("files changed", ["gw-0-1"])
            await all_go_on(ear, devices, 1)

            document["agent"]["reload"] = "signal"
            document["devices"]["gw-1-1"]["tags"] |= {"more": {"address": "holding:4"}}
            line = await agent.reload(document)
            assert (line["reason"], line["devices_retagged"]) == ("SIGHUP", ["gw-1-1"])
            await all_go_on(ear, devices, 1)

            document["devices"]["ua-1"]["tags"] |= {"b": {"node": "nsu=urn:test:plant;s=b"}}
            document["devices"]["gw-2-1"]["tags"] |= {"more": {"address": "holding:4"}}
            agent.configure(document)
            with process(*agent_command("reload", "-c", str(agent.config), "--wait", "30s"), cwd=tmp_path) as command:
                assert await command.wait(40) == 0, command.tail()
            line = agent.events("config.reloaded")[-1]
            assert (line["reason"], line["devices_retagged"]) == ("command", ["gw-2-1", "ua-1"])
            await all_go_on(ear, devices, 2)

            assert connections(agent, gateways) == before
            for device, tag in (("gw-1-1", "more"), ("gw-2-1", "more"), ("ua-1", "b")):
                assert ear.readings(device, tag, quality="good")
            late = await skipped(agent) - late
            assert len(agent.events("config.reloaded")) == 3
    for device in devices:
        unbroken(ear, device)
        assert not ear.readings(device, why="offline")
        if device.startswith("gw") and device != "gw-0-1":
            every_scan(ear, device)
    # a busy machine may cost a cycle here and there; a reload that holds the others up would cost each of them one
    assert late < len(devices) / 2
    await hall.stop(plant)


def connections(agent: AgentProcess, gateways: list[ModbusServer]) -> tuple[list[int], int]:
    """Accepted by each Modbus server, and made to the OPC UA server."""
    return [gateway.connections for gateway in gateways], len(agent.events("opcua.connected"))


async def skipped(agent: AgentProcess) -> float:
    """Cycles of all devices that were skipped since the start."""
    lines = (await agent.metrics()).splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("edge_agent_scans_skipped_total{"))
