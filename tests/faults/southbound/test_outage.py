"""A device goes away and comes back: said once, and everything restated. Other faults of OPC UA: tests/faults/opcua."""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

from agent.simulator.modbus import ModbusServer
from agent.simulator.proxy import Proxy
from tests.faults.southbound.conftest import Running, modbus, opcua
from tests.faults.southbound.ear import Ear, keeps_pace, retained
from tests.faults.southbound.test_isolation import unit
from tests.integration.opcua.server import Hall, Plant, said
from tests.support.agent import AgentProcess
from tests.support.mosquitto import Mosquitto

LONG_AGO = dt.datetime(2024, 2, 29, 12, 0, 0, 250000, tzinfo=dt.UTC)
SAID_THEN = 1709208000250
REGISTERS = [f"r{n}" for n in range(8)]
NODES = ["a", "b"]

#: Ceilings of the back-off (device and line), seconds, and what a busy machine may take on top.
LONGEST, LONGEST_LINE, SLACK = 15.0, 5.0, 10.0
#: Of devices that answer from this process, which starts servers meanwhile.
PATIENT = "20s"


def now() -> int:
    return round(time.time() * 1000)


async def furnish(plant: Plant, *names: str) -> None:
    """Nodes that hold a value since long ago."""
    for number, name in enumerate(names):
        await plant.do(plant.add(name, number + 0.5))
        await plant.do(plant.put(name, said(number + 0.5, at=LONG_AGO)))


def went_once(ear: Ear, device: str, tags: list[str], away: int) -> str:
    """Each tag was said offline once, null, not before it was away; nothing else was bad. The reason."""
    offline = ear.readings(device, why="offline")
    assert sorted(one.tag for one in offline) == sorted(tags), offline
    assert {(one.value, one.quality, one.code) for one in offline} == {(None, "bad", "BadNoCommunication")}
    assert min(one.ts for one in offline) >= away
    assert len({one.ts for one in offline}) == 1
    assert len(ear.readings(device, quality="bad")) == len(offline)
    (reason,) = {one.reason for one in offline}
    assert reason
    return str(reason)


def came_back_once(agent: AgentProcess, ear: Ear, device: str, tags: list[str], back: int) -> None:
    """Each tag was restated once, good; within two intervals and the back-off that was running then."""
    recovered = ear.readings(device, why="recovered")
    assert sorted(one.tag for one in recovered) == sorted(tags), recovered
    assert {one.quality for one in recovered} == {"good"}
    assert all(one.ts >= ear.readings(device, one.tag, why="offline")[0].ts for one in recovered)
    (online,) = [event for event in agent.events("device.online") if event["device"] == device and event["attempts"]]
    ceiling = min(LONGEST, 0.5 * 2 ** (online["attempts"] - 1)) + LONGEST_LINE
    late = max(one.ts for one in recovered) - back
    assert late <= 2 * 100 + 1000 * (ceiling + SLACK), (device, late, online)


async def test_devices_that_stop_come_back(running: Running, hall: Hall, mosquitto: Mosquitto) -> None:
    """Servers stopped, and a cable dead without a goodbye: one bad reading each, state retained, restated on return."""
    plant = await hall.plant()
    await furnish(plant, *NODES)
    port = int(plant.url.rsplit(":", 1)[1])
    units = [{1: unit(1000 * n)} for n in range(3)]
    async with (
        ModbusServer(units[0]) as press,
        ModbusServer(units[1]) as far,
        ModbusServer(units[2]) as steady,
        Proxy("127.0.0.1", far.port) as cable,
    ):
        devices: dict[str, Any] = {
            "press": modbus(press.url, timeout=PATIENT),
            "far": modbus(f"tcp://127.0.0.1:{cable.port}", timeout="3s"),
            "poll": opcua(plant.url, *NODES, mode="poll", timeout="6s"),
            "subscribe": opcua(plant.url, *NODES, mode="subscribe", timeout="6s"),
        }
        tags = dict.fromkeys(("press", "far"), REGISTERS) | dict.fromkeys(("poll", "subscribe"), NODES)
        async with running(devices | {"steady": modbus(steady.url, timeout=PATIENT)}) as (agent, ear):
            for device in devices:
                await ear.good(device, tags[device])
            before = {device: await ear.hears(device, "online", "degraded") for device in devices}
            away = now()
            cable.freeze()
            await press.stop()
            await hall.stop(plant)
            for device in devices:
                await ear.hears(device, "offline")
                await ear.why(device, "offline", tags[device])
            for device in devices:
                status = await retained(mosquitto.port, f"edge/plant/hall/{device}/status")
                assert (status["state"], bool(status["reason"])) == ("offline", True), status
                assert status["since"] >= away
                assert before[device]["since"] <= status["last_good"] <= status["since"]
            await ear.goes_on("steady", "r0", 10)
            plant = await hall.plant(port=port)
            await furnish(plant, *NODES)
            back = now()
            cable.thaw()
            await press.start()
            for device in devices:
                await ear.why(device, "recovered", tags[device])
                await ear.hears(device, "online", "degraded")
            await ear.goes_on("far", "r0", 5)
            await ear.goes_on("press", "r0", 5)
        for device in devices:
            reason = went_once(ear, device, tags[device], away)
            assert reason in {state["reason"] for state in ear.states[device] if state["state"] == "offline"}
            came_back_once(agent, ear, device, tags[device], back)
    assert {one.src for device in ("poll", "subscribe") for one in ear.readings(device, why="recovered")} == {SAID_THEN}
    for device, first in (("press", 0), ("far", 1000), ("steady", 2000)):
        assert all(one.value == first + int(one.tag[1:]) for one in ear.readings(device, quality="good"))
    keeps_pace([one.ts for one in ear.readings("steady", "r0")], 100)
    assert not ear.readings("steady", quality="bad")
