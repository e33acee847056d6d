"""Units behind one gateway: who is late because of another is told apart from who is slow."""

from __future__ import annotations

from typing import Any

from agent.simulator.modbus import ModbusServer
from tests.faults.southbound.conftest import Running, modbus
from tests.faults.southbound.test_isolation import unit
from tests.support.waiting import eventually


async def test_a_silent_unit_is_named_and_its_neighbours_stay_online(running: Running) -> None:
    """Neighbours of a mute unit are never degraded; their status names the unit and the period of the last minute."""
    mute = unit(300)
    mute.silent = True
    async with ModbusServer({1: unit(100), 2: unit(200), 3: mute}) as gateway:
        pace: dict[str, Any] = {"interval": "250ms", "timeout": "700ms"}  # a machine busy for a moment skips no cycle
        devices = {f"u{number}": modbus(gateway.url, unit_id=number, **pace) for number in (1, 2, 3)}
        async with running(devices) as (agent, ear):
            blame = "cycles are late because unit 3 on the same bus does not answer"
            for name in ("u1", "u2"):
                await eventually(lambda: ear.state(name).get("reason") == blame, what=f"{name} names unit 3")  # noqa: B023
                assert ear.state(name)["state"] == "online"
                assert 250 < ear.state(name)["achieved_ms"] < 2500
            assert (await agent.status())["devices"]["u1"]["reason"] == blame
            assert (await ear.hears("u3", "offline"))["reason"] == "no answer from unit 3 within 0.7 s"
            asked = mute.requests
            await ear.goes_on("u1", "r0", 20)
            assert mute.requests <= asked + 1  # probed, but seldom enough
    assert agent.events("device.degraded") == []
