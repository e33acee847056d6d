"""What is said of values that are not simply good, of what is not read, and of what does not change."""

from __future__ import annotations

import math
import struct
from itertools import pairwise
from typing import Any

from asyncua import ua

from agent.core.quality import number_of
from agent.simulator.modbus import ModbusServer, Unit
from agent.simulator.points import Memory
from tests.faults.southbound.conftest import Running, modbus, opcua
from tests.faults.southbound.ear import Ear
from tests.faults.southbound.test_outage import LONG_AGO, SAID_THEN, furnish
from tests.integration.opcua.server import Hall, said
from tests.support.waiting import eventually

DISABLED = ("bad", None, "BadOutOfService", number_of("BadOutOfService"), "disabled")


def registers(form: str, *values: object) -> list[int]:
    """Big-endian registers of some values."""
    data = struct.pack(f">{form}", *values)
    return [int.from_bytes(data[at : at + 2]) for at in range(0, len(data), 2)]


def words(ear: Ear, device: str, tag: str) -> set[tuple[Any, ...]]:
    """Everything that was ever said of a tag, less its times."""
    return {(one.quality, one.value, one.code, one.status, one.why) for one in ear.readings(device, tag)}


async def test_what_is_disabled_is_said_once(running: Running, hall: Hall) -> None:
    """A disabled device and a disabled tag: bad, BadOutOfService, once, and nobody asks the device for them."""
    plant = await hall.plant()
    await furnish(plant, "a", "b")
    memory = Memory()
    memory.fill("holding", 0, [7, 8])
    unit, unread = Unit(memory=memory), Unit(memory=memory)
    async with ModbusServer({1: unit}) as server, ModbusServer({1: unread}) as other:
        device = modbus(server.url, registers=3, timeout="300ms")
        device["tags"]["r2"]["enabled"] = False  # the device has no register 2
        cnc = opcua(plant.url, "a", "b", mode="subscribe")
        cnc["tags"]["b"]["enabled"] = False
        devices = {"part": device, "cnc": cnc, "whole": modbus(other.url, enabled=False)}
        async with running(devices) as (_, ear):
            await ear.good("part", ["r0", "r1"])
            await ear.good("cnc", ["a"])
            state = await ear.hears("whole", "offline")
            assert state["reason"] == "disabled"
            await ear.hears("part", "online", "degraded")
            await server.stop()
            await ear.hears("part", "offline")
            await server.start()
            await ear.why("part", "recovered", ["r0", "r1"])
            everything = [*ear.snapshots["whole"], *ear.readings("whole")]
    assert {one.tag for one in everything} == {f"r{n}" for n in range(8)}
    off = [("part", "r2"), ("cnc", "b"), *(("whole", f"r{n}") for n in range(8))]
    for name, tag in off:
        told = ear.readings(name, tag)
        assert len(told) == 1, told
        (one,) = told
        assert (one.quality, one.value, one.code, one.status, one.why) == DISABLED
    assert unread.requests == 0
    assert not ear.readings("part", "r0", code="BadConfigurationError")


async def test_once_is_once_per_connection(running: Running, hall: Hall) -> None:
    """`interval: once` is read on each connection and never in between; other tags go on."""
    plant = await hall.plant()
    await furnish(plant, "type", "a")
    memory = Memory()
    memory.fill("holding", 0, [7, 8, 9])
    async with ModbusServer({1: Unit(memory=memory)}) as server:
        press = modbus(server.url, registers=2)
        press["tags"]["r1"]["interval"] = "once"
        only = modbus(server.url, registers=1)
        only["tags"]["r0"]["interval"] = "once"
        cnc = opcua(plant.url, "type", "a", mode="poll")
        cnc["tags"]["type"]["interval"] = "once"
        devices = {"press": press, "only": only, "poll": cnc, "subscribe": cnc | {"mode": "subscribe"}}
        async with running(devices) as (_, ear):
            once = {"press": "r1", "only": "r0", "poll": "type", "subscribe": "type"}
            for device, tag in once.items():
                await ear.good(device, [tag])
            await ear.goes_on("press", "r0", 10)
            await ear.goes_on("poll", "a", 10)
            await server.stop()
            await plant.do(plant.close_listener())
            for device in devices:
                await ear.why(device, "offline", [once[device]])
            memory.fill("holding", 0, [70, 80])
            await server.start()
            await plant.do(plant.open_listener())
            for device in devices:
                await ear.why(device, "recovered", [once[device]])
            await ear.goes_on("press", "r0", 5)
    for device, tag in once.items():
        assert [one.why for one in ear.readings(device, tag)] == ["initial", "offline", "recovered"], device
    assert [one.value for one in ear.readings("press", "r1")] == [8, None, 80]
    assert [one.value for one in ear.readings("only", "r0")] == [7, None, 70]


async def test_what_does_not_change_is_said_again_after_max_silence(running: Running, hall: Hall) -> None:
    """on_change says a change at once and nothing else but a heartbeat, which keeps the value's own time."""
    plant = await hall.plant()
    await furnish(plant, "still", "moving")
    memory = Memory()
    memory.fill("holding", 0, [7, 8])
    quiet = {"report": "on_change", "max_silence": "500ms"}
    async with ModbusServer({1: Unit(memory=memory)}) as server:
        press = modbus(server.url, registers=2)
        press["tags"]["r0"] |= quiet
        press["tags"]["r1"] |= {"report": "on_change"}
        cnc = opcua(plant.url, "still", "moving", mode="poll")
        for tag in cnc["tags"].values():
            tag.update(quiet)
        devices = {"press": press, "poll": cnc, "subscribe": cnc | {"mode": "subscribe"}}
        tags = {"press": "r0", "poll": "still", "subscribe": "still"}
        async with running(devices) as (_, ear):
            for device, tag in tags.items():
                await ear.good(device, [tag])
                await eventually(lambda: len(ear.readings(device, tag, why="heartbeat")) >= 3)  # noqa: B023
            memory.fill("holding", 0, [70, 80])
            await plant.do(plant.put("still", said(70.5, at=LONG_AGO)))
            for device, tag in tags.items():
                await eventually(lambda: ear.newest(device, tag).value in (70, 70.5))  # noqa: B023
    for device, tag in tags.items():
        told = ear.readings(device, tag)
        assert told[0].why == "initial", told
        beats = [one for one in told if one.why == "heartbeat"]
        assert [one.why for one in told if one not in beats] == ["initial", None], told
        assert all(b.ts - a.ts >= 400 for a, b in pairwise(beats)), beats
        # A register has no time of its own: what was just read again was true just now.
        assert {one.src for one in beats} == {None if device == "press" else SAID_THEN}
    assert [one.value for one in ear.readings("press", "r1")] == [8, 80]


async def test_values_that_are_not_simply_good(running: Running, hall: Hall) -> None:
    """64 bits are exact, what is no number is bad, sentinels and labels are told, status codes come with numbers."""
    huge = [2**63 + 1, -(2**63) + 1, 2**53 + 1]
    memory = Memory()
    memory.fill("holding", 0, registers("QqqfffdHHHH", *huge, math.nan, math.inf, -math.inf, math.nan, 32768, 9, 1, 5))
    tags: dict[str, dict[str, Any]] = {
        "u64": {"address": "holding:0", "type": "uint64"},
        "i64": {"address": "holding:4", "type": "int64"},
        "odd": {"address": "holding:8", "type": "int64"},
        "nan": {"address": "holding:12", "type": "float32"},
        "inf": {"address": "holding:14", "type": "float32", "scale": 0.1},
        "minus": {"address": "holding:16", "type": "float32", "report": "on_change"},
        "wide": {"address": "holding:18", "type": "float64"},
        "broken": {"address": "holding:22", "null_values": {32768: "BadSensorFailure"}},
        "none": {"address": "holding:23", "null_values": [9]},
        "state": {"address": "holding:24", "enum": {0: "stopped", 1: "running"}},
        "high": {"address": "holding:25", "range": {"min": 0, "max": 4}, "unit": "bar"},
    }
    plant = await hall.plant()
    codes = {
        "GoodClamped": 0x00300000, "GoodLocalOverride": 0x00960000, "UncertainLastUsableValue": 0x40900000,
        "Uncertain": 0x40000000, "BadSensorFailure": 0x808C0000, "BadOutOfService": 0x808D0000,
    }  # fmt: skip
    for name, code in codes.items():
        await plant.do(plant.add(name, 1.5))
        await plant.do(plant.put(name, said(1.5, status=code, at=LONG_AGO)))
    for name, value, kind in (
        ("u64", huge[0], ua.VariantType.UInt64), ("i64", huge[1], ua.VariantType.Int64),
        ("nan", math.nan, ua.VariantType.Double), ("inf", math.inf, ua.VariantType.Float),
    ):  # fmt: skip
        await plant.do(plant.add(name, value, kind=kind))
        await plant.do(plant.put(name, said(value, at=LONG_AGO, kind=kind)))
    names = [*codes, "u64", "i64", "nan", "inf"]
    async with ModbusServer({1: Unit(memory=memory)}) as server:
        devices = {
            "plc": modbus(server.url, tags=tags),
            "poll": opcua(plant.url, *names, mode="poll"),
            "subscribe": opcua(plant.url, *names, mode="subscribe"),
        }
        async with running(devices) as (_, ear):
            for device, table in devices.items():
                await eventually(lambda: ear.qualities(device).keys() == table["tags"].keys())  # noqa: B023
            await ear.goes_on("plc", "u64", 5)
            everything = [one for device in devices for one in (*ear.readings(device), *ear.snapshots[device])]
    waiting = "BadWaitingForInitialData"

    def told(device: str, tag: str) -> set[tuple[Any, ...]]:
        return {(one.quality, one.value, one.code, one.status) for one in ear.readings(device, tag)}

    good = {
        "plc": dict(zip(("u64", "i64", "odd", "state"), (*huge, 1), strict=True)),
        "poll": {"u64": huge[0], "i64": huge[1]},
        "subscribe": {"u64": huge[0], "i64": huge[1]},
    }
    for device, values in good.items():
        for tag, value in values.items():
            assert told(device, tag) == {("good", value, None, None)}
            assert all(isinstance(one.value, int) for one in ear.readings(device, tag))
    range_ = number_of("BadOutOfRange")
    for device, numbers in (
        ("plc", ("nan", "inf", "minus", "wide")),
        ("poll", ("nan", "inf")),
        ("subscribe", ("nan",)),
    ):
        for tag in numbers:
            assert told(device, tag) == {("bad", None, "BadOutOfRange", range_)}, (device, tag)
            assert all(one.reason for one in ear.readings(device, tag))
    assert told("plc", "broken") == {("bad", None, "BadSensorFailure", codes["BadSensorFailure"])}
    ((quality, value, code, status),) = told("plc", "none")
    assert (quality, value) == ("bad", None)
    assert status == number_of(code)
    assert {one.label for one in ear.readings("plc", "state")} == {"running"}
    exceeded = "UncertainEngineeringUnitsExceeded"
    assert told("plc", "high") == {("uncertain", 5, exceeded, number_of(exceeded))}
    assert {one.unit for one in ear.readings("plc", "high")} == {"bar"}
    for name, code in codes.items():
        quality = next(word for word in ("good", "uncertain", "bad") if name.lower().startswith(word))
        for device in ("poll", "subscribe"):
            assert told(device, name) == {(quality, None if quality == "bad" else 1.5, name, code)}
            assert {one.src or one.ts for one in ear.readings(device, name)} == {SAID_THEN}
    assert all(one.value is not None or one.quality == "bad" for one in everything)
    assert {one.why for one in everything if one.code == waiting} <= {"initial"}
