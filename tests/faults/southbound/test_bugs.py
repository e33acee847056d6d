"""A bug in one component costs that component."""

from __future__ import annotations

from pathlib import Path

from agent.simulator.modbus import ModbusServer, Unit
from agent.simulator.points import Memory
from tests.faults.southbound.conftest import modbus
from tests.faults.southbound.ear import hearing, keeps_pace
from tests.support.agent import AgentProcess
from tests.support.mosquitto import Mosquitto
from tests.support.ports import free_port
from tests.support.waiting import eventually

COMPONENTS = {"publisher broken", "image", "device broken", "device mute"}


async def test_what_raises_hurts_nobody_else(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """An encoder, a catalogue, a log and a report raise whenever they are called: the others are not affected."""
    memory = Memory()
    memory.fill("holding", 0, list(range(8)))
    publishers = {
        "plant": {"type": "mqtt", "url": mosquitto.url},
        "broken": {"type": "mqtt", "url": mosquitto.url, "root": "other"},
    }
    async with ModbusServer({1: Unit(memory=memory)}) as server, hearing(mosquitto.url) as ear:
        devices = {
            "sound": modbus(server.url),
            "broken": modbus(server.url),
            "mute": modbus(f"tcp://127.0.0.1:{free_port()}"),
        }
        module = "tests.faults.southbound.raising"
        with AgentProcess(tmp_path, publishers=publishers, devices=devices, module=module) as agent:
            await agent.start()
            await eventually(
                lambda: {bug["component"] for bug in agent.events("component.bug")} == COMPONENTS,
                what="each of them has raised",
            )
            await ear.goes_on("sound", "r0", 1)
            began = ear.readings("sound", "r0")[-1].ts
            await ear.goes_on("sound", "r0", 30)
            until = ear.readings("sound", "r0")[-1].ts
            state = ear.state("sound")
            assert await agent.stop() == 0
        bugs = agent.events("component.bug")
    keeps_pace(ear.scans("sound", "r0", began, until), 100)
    # A busy machine may cost a cycle of 100 ms; what raises beside it costs no tag.
    assert state["state"] == "online" or state["reason"].startswith("slower than its interval")
    assert ear.qualities("sound") == {f"r{n}": "good" for n in range(8)}
    assert all("PutInError" in bug["traceback"] for bug in bugs)
    assert len({(bug["component"], bug["traceback"]) for bug in bugs}) == len(bugs)
