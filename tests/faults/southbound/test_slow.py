"""A device slower than its interval."""

from __future__ import annotations

import re
import time

from agent.simulator.description import plant_of
from agent.simulator.modbus import ModbusServer, Unit
from agent.simulator.plant import OpcUaDevice
from agent.simulator.points import Area, Memory
from tests.faults.southbound.conftest import Running, modbus
from tests.faults.southbound.ear import keeps_pace, retained
from tests.faults.southbound.test_isolation import unit
from tests.support.agent import AgentProcess
from tests.support.mosquitto import Mosquitto

DELAY = 0.35


class Diary(Memory):
    """Every answer is the number of the request; when it was asked is written down."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[float] = []

    def read(self, area: Area, address: int, count: int) -> list[int]:
        self.asked.append(time.time())
        return [len(self.asked) - 1] * count


async def metric(agent: AgentProcess, name: str, device: str) -> float:
    found = re.search(rf'^edge_agent_{name}{{device="{device}"}} (\S+)$', await agent.metrics(), re.MULTILINE)
    assert found, name
    return float(found[1])


async def test_slow_devices_skip_cycles_and_say_so(running: Running, mosquitto: Mosquitto) -> None:
    """Skipped and counted, degraded with the period reached; values stamped when their answer came; others on time."""
    diary = Diary()
    async with (
        ModbusServer({1: Unit(memory=diary, delay=DELAY)}) as slow,
        ModbusServer({1: unit(0)}) as quick,
        plant_of({"devices": {"cnc": {"kind": "cnc"}}}) as plant,
    ):
        node = {"node": "nsu=urn:acme:cnc;s=Axis.X"}
        devices = {
            "slow": modbus(slow.url),
            "quick": modbus(quick.url),
            "cnc": {
                "type": "opcua", "url": plant.device("cnc").url, "mode": "poll", "interval": "100ms", "timeout": "5s",
                "tags": {"x": node},
            },
        }  # fmt: skip
        async with running(devices) as (agent, ear):
            await ear.good("cnc", ["x"])
            cnc = plant.device("cnc")
            assert isinstance(cnc, OpcUaDevice)
            assert cnc.server is not None
            cnc.server.delay = 0.25
            for device in ("slow", "cnc"):
                await ear.hears(device, "degraded")
            await ear.goes_on("slow", "r0", 6)
            for device in ("slow", "cnc"):
                status = await retained(mosquitto.port, f"edge/plant/hall/{device}/status")
                assert status["state"] == "degraded"
                assert "slower than its interval" in status["reason"]
                assert 200 <= status["achieved_ms"] <= 3000
            skipped = {device: await metric(agent, "scans_skipped_total", device) for device in devices}
            asked = len(diary.asked)
            cnc.server.delay = 0.0
    said = ear.readings("slow", "r0")
    assert [one.value for one in said] == list(range(said[0].value, said[-1].value + 1))  # never overlapped, none lost
    for one in said:
        answered = (diary.asked[one.value] + DELAY) * 1000
        assert answered - 5 <= one.ts <= answered + 1000, one
    periods = (said[-1].ts - said[0].ts) / 100  # of 100 ms; each began or was skipped
    assert skipped["slow"] >= 2 * (asked - 2)
    assert skipped["slow"] + asked >= periods - 6
    assert skipped["cnc"] > 0
    assert {one.quality for device in devices for one in ear.readings(device)} == {"good"}
    keeps_pace([one.ts for one in ear.readings("quick", "r0")], 100)
