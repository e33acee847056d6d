"""One bad thing costs exactly itself."""

from __future__ import annotations

import time
from typing import Any

from agent.core.quality import number_of
from agent.simulator.description import plant_of
from agent.simulator.modbus import ModbusServer, Unit
from agent.simulator.plant import OpcUaDevice
from agent.simulator.points import Memory
from tests.faults.southbound.conftest import Running, modbus
from tests.faults.southbound.ear import keeps_pace
from tests.support.waiting import eventually

ILLEGAL = ("bad", None, "BadConfigurationError", number_of("BadConfigurationError"), "illegal data address")


def unit(first: int) -> Unit:
    """A unit whose registers hold `first` plus their offset."""
    memory = Memory()
    memory.fill("holding", 0, [first + offset for offset in range(40)])
    return Unit(memory=memory)


async def test_one_illegal_register_costs_one_tag(running: Running) -> None:
    """In the middle of a merged block, and later two more: those tags are bad with code and reason, the others flow."""
    press = unit(1000)
    press.refused = {("holding", 13)}
    async with ModbusServer({1: press}) as server, running({"press": modbus(server.url, registers=40)}) as (_, ear):
        good = [f"r{n}" for n in range(40) if n != 13]
        await ear.good("press", good)
        press.refused |= {("holding", 20), ("holding", 39)}
        bad = {"r13", "r20", "r39"}
        quality = {f"r{n}": "bad" if f"r{n}" in bad else "good" for n in range(40)}
        await eventually(lambda: ear.qualities("press") == quality, what="exactly three tags are bad")
        await ear.goes_on("press", "r20", 10)
        state = await ear.hears("press", "degraded")
    assert "3 of 40 tags are bad" in state["reason"]
    said = ear.readings("press")
    found = {(one.tag, one.quality, one.value, one.code, one.status, one.reason) for one in said if one.tag in bad}
    assert {one for one in found if one[1] == "bad"} == {(tag, *ILLEGAL) for tag in bad}
    assert all(one.value == 1000 + int(one.tag[1:]) for one in said if one.quality == "good")
    assert not [one for one in said if one.tag not in bad and one.quality != "good"]
    assert not ear.readings("press", why="offline")
    began = ear.readings("press", "r20", quality="bad")[0].ts
    keeps_pace(ear.scans("press", "r0", began, said[-1].ts), 100)


async def test_one_bad_node_costs_one_tag(running: Running) -> None:
    """A node the server does not have is bad with code and reason, polled and subscribed; later ones too."""
    async with plant_of({"devices": {"cnc": {"kind": "cnc"}}}) as plant:
        cnc = plant.device("cnc")
        assert isinstance(cnc, OpcUaDevice)
        assert cnc.server is not None
        cnc.server.hide({"Tool.Number"})
        names = [node.name for node in cnc.nodes]
        tags: dict[str, Any] = {name: {"node": f"nsu=urn:acme:cnc;s={name}"} for name in names}
        base = {"type": "opcua", "url": cnc.url, "interval": "100ms", "tags": tags}
        devices = {"poll": base | {"mode": "poll"}, "subscribe": base | {"mode": "subscribe"}}
        quality = {name: "bad" if name == "Tool.Number" else "good" for name in names}
        async with running(devices) as (_, ear):
            for device in devices:
                await eventually(lambda: ear.qualities(device) == quality, what=f"one tag of {device} is bad")  # noqa: B023
                state = await ear.hears(device, "degraded")
                assert "1 of 17 tags are bad" in state["reason"]
            began = round(time.time() * 1000)
            cnc.server.hide(set())
            cnc.status = {"Axis.X": number_of("BadSensorFailure")}
            for device in devices:
                await ear.goes_on(device, "Axis.Y", 20)
    unknown = ("bad", None, "BadNodeIdUnknown", number_of("BadNodeIdUnknown"))
    broken = ("bad", None, "BadSensorFailure", number_of("BadSensorFailure"))
    for device in devices:
        bad = ear.readings(device, quality="bad")
        assert {(one.tag, one.quality, one.value, one.code, one.status) for one in bad} == {
            ("Tool.Number", *unknown),
            ("Axis.X", *broken),
        }
        assert all(one.reason for one in bad if one.tag == "Tool.Number")
        keeps_pace(sorted({one.ts for one in ear.readings(device, "Axis.Y", since=began)}), 100)
