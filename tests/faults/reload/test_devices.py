"""One device changes; nobody else in the plant notices."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from agent.simulator.modbus import ModbusServer, Unit
from agent.simulator.points import Memory
from tests.faults.southbound.conftest import Running, modbus, opcua
from tests.faults.southbound.ear import Ear, keeps_pace
from tests.integration.opcua.server import Hall, said
from tests.support.waiting import eventually


def unit(first: int = 0) -> Unit:
    """A unit whose registers hold `first` plus their offset."""
    memory = Memory()
    memory.fill("holding", 0, [first + offset for offset in range(40)])
    return Unit(memory=memory)


def seqs(ear: Ear, device: str) -> list[tuple[str, int]]:
    """Epoch and number of each record of a device, in the order they came."""
    return [record.number for record in ear.records if record.device == device]


def unbroken(ear: Ear, device: str) -> None:
    """One epoch, and no number left out."""
    numbers = seqs(ear, device)
    assert len({epoch for epoch, _ in numbers}) == 1
    assert sorted(seq for _, seq in numbers) == list(range(1, len(numbers) + 1))


def changed(document: dict[str, Any], device: str, **keys: Any) -> dict[str, Any]:
    """The same configuration with other keys of one device."""
    document = copy.deepcopy(document)
    document["devices"][device] |= keys
    return document


async def test_a_changed_device_is_replaced_and_its_neighbour_is_not_touched(running: Running) -> None:
    """The neighbour keeps its pace, its epoch and its connection; the changed one is read as it says now."""
    async with ModbusServer({1: unit()}) as server, ModbusServer({1: unit()}) as other:
        devices = {"press": modbus(server.url, registers=4), "saw": modbus(other.url, registers=4)}
        async with running(devices) as (agent, ear):
            await ear.goes_on("saw", "r0", 5)
            await ear.goes_on("press", "r0", 5)
            line = await agent.reload(changed(agent.document, "press", interval="200ms"))
            assert line["event"] == "config.reloaded"
            assert line["devices_replaced"] == ["press"]
            await ear.goes_on("press", "r0", 5)
            await ear.goes_on("saw", "r0", 10)
            same = await agent.reload(copy.deepcopy(agent.document))
            assert same["event"] == "config.unchanged"
            await ear.goes_on("saw", "r0", 10)
            began, until = ear.readings("saw", "r0")[0].ts, ear.readings("saw", "r0")[-1].ts
        assert other.connections == 1
        assert server.connections == 2
    keeps_pace(ear.scans("saw", "r0", began, until), 100)
    unbroken(ear, "saw")
    unbroken(ear, "press")
    in_order = sorted(ear.readings("press", "r0"), key=lambda one: one.seq)  # the first may be backlog
    times = [one.ts for one in in_order]
    assert times == sorted(set(times))
    assert not ear.readings("press", quality="bad")
    assert not ear.readings("press", why="offline")


async def test_devices_come_and_go(running: Running) -> None:
    """A removed device is published as removed; added again in the same run it continues its stream."""
    async with ModbusServer({1: unit(), 2: unit(100)}) as server:
        devices = {"one": modbus(server.url, registers=4), "two": modbus(server.url, registers=4, unit_id=2)}
        async with running(devices) as (agent, ear):
            await ear.goes_on("one", "r0", 5)
            await ear.goes_on("two", "r0", 5)
            whole = agent.document
            without = copy.deepcopy(whole)
            del without["devices"]["two"]
            line = await agent.reload(without)
            assert line["devices_removed"] == ["two"]
            await ear.hears("two", "removed")
            topic = "edge/plant/hall/two/status"
            await eventually(lambda: ear.topics[topic][-1] == b"", what="its retained status is gone")
            last = ear.readings("two", "r0")[-1].ts
            assert "two" not in (await agent.status())["devices"]
            assert 'device="two"' not in await agent.metrics()
            await ear.goes_on("one", "r0", 5)
            await agent.reload(whole)
            await ear.hears("two", "online", "degraded")  # of a busy machine it is the latter
            await eventually(lambda: ear.readings("two", "r0", since=last + 1), what="it is read again")
    unbroken(ear, "one")
    unbroken(ear, "two")


async def test_a_mistake_changes_nothing(running: Running) -> None:
    """One wrong device among good changes: the old configuration runs on, and every status tells of it."""
    async with ModbusServer({1: unit()}) as server:
        async with running({"press": modbus(server.url, registers=4)}) as (agent, ear):
            await ear.goes_on("press", "r0", 5)
            before = ear.agents["gw-test"][-1]["config"]
            wrong = changed(agent.document, "press", interval="1s", unit_id=1000)
            line = await agent.reload(wrong)
            assert line["event"] == "config.rejected"
            assert "unit_id" in line["mistakes"][0]
            told = await eventually(
                lambda: (found := ear.agents["gw-test"][-1]["config"])["error"] and found, what="the status tells"
            )
            assert told["effective"] == before["effective"] != told["attempted"]
            moved = copy.deepcopy(agent.document)
            moved["devices"]["press"] = modbus(server.url, registers=4)
            moved["agent"]["id"] = "other"
            refused = await agent.reload(moved)
            assert "restart" in refused["mistakes"][0]
            moved["agent"]["id"] = "gw-test"
            assert (await agent.reload(moved))["event"] == "config.unchanged"
            await eventually(lambda: ear.agents["gw-test"][-1]["config"] == before, what="the error is over")
            await ear.goes_on("press", "r0", 5)
            began, until = ear.readings("press", "r0")[0].ts, ear.readings("press", "r0")[-1].ts
        assert server.connections == 1
    keeps_pace(ear.scans("press", "r0", began, until), 100)
    unbroken(ear, "press")


async def test_other_tags_over_the_same_connection(running: Running) -> None:
    """Tags come, go and change at once: the others miss no cycle and get no second `initial`; nothing is reopened."""
    async with ModbusServer({1: unit()}) as server:
        device = modbus(server.url, registers=6)
        device["tags"]["r1"] |= {"report": "on_change", "deadband": 5}
        async with running({"press": device}) as (agent, ear):
            await ear.goes_on("press", "r0", 10)
            document = copy.deepcopy(agent.document)
            tags = document["devices"]["press"]["tags"]
            del tags["r5"]
            tags["r4"]["scale"] = 10
            tags["new"] = {"address": "holding:30"}
            tags["once"] = {"address": "holding:31", "interval": "once"}
            tags["slow"] = {"address": "holding:32", "interval": "1h"}
            line = await agent.reload(document)
            assert line["devices_retagged"] == ["press"]
            await eventually(lambda: {"new", "once", "slow"} <= ear.qualities("press").keys(), what="they are read")
            await ear.goes_on("press", "r0", 10)
            catalogue = json.loads(ear.topics["edge/plant/hall/press/tags"][-1])
            until = ear.readings("press", "r0")[-1].ts
        assert server.connections == 1
    unbroken(ear, "press")
    keeps_pace(ear.scans("press", "r0", ear.readings("press", "r0")[0].ts, until), 100)
    assert [tag["tag"] for tag in catalogue["tags"]] == ["r0", "r1", "r2", "r3", "r4", "new", "once", "slow"]
    for tag in ("r0", "r1", "r2", "r3"):
        assert len(ear.readings("press", tag, why="initial")) == 1
    assert [one.value for one in ear.readings("press", "r4", why="initial")] == [4, 40]
    for tag in ("new", "once", "slow"):
        assert [one.why for one in ear.readings("press", tag)][:1] == ["initial"]
    assert len(ear.readings("press", "once")) == len(ear.readings("press", "slow")) == 1
    assert {one.value for one in ear.readings("press", "r4")} == {4, 40}
    assert not ear.readings("press", quality="bad")
    assert not ear.readings("press", why="recovered")


@pytest.mark.parametrize("mode", ["subscribe", "poll"])
async def test_other_tags_in_the_same_session_of_an_opcua_server(running: Running, hall: Hall, mode: str) -> None:
    """Tags go, come and change places: one session all the while, and the others are read on as if nothing happened."""
    plant = await hall.plant()
    for name in ("gone", "stays", "changes", "comes"):
        await plant.do(plant.add(name, 1))
    async with running({"cnc": opcua(plant.url, "gone", "stays", "changes", mode=mode)}) as (agent, ear):
        await ear.good("cnc", ["gone", "stays", "changes"])
        document = copy.deepcopy(agent.document)
        tags = document["devices"]["cnc"]["tags"]
        comes = {"node": "nsu=urn:test:plant;s=comes"}
        document["devices"]["cnc"]["tags"] = {
            "comes": comes,
            "once": comes | {"interval": "once"},
            "missing": {"node": "nsu=urn:test:plant;s=nowhere"},
            "changes": tags["changes"] | {"scale": 10},
            "stays": tags["stays"],
        }
        line = await agent.reload(document)
        assert line["devices_retagged"] == ["cnc"]
        await ear.good("cnc", ["comes", "once"])
        await eventually(lambda: ear.readings("cnc", "missing", quality="bad"), what="what is nowhere is bad")
        for name in ("stays", "changes", "comes"):
            await plant.do(plant.put(name, said(7)))
        await eventually(lambda: ear.readings("cnc", "stays", value=7), what="stays is read")
        await eventually(lambda: ear.readings("cnc", "comes", value=7), what="comes is read")
        await eventually(lambda: ear.readings("cnc", "changes", value=70), what="changes is read")
        del document["devices"]["cnc"]["tags"]["comes"]
        await agent.reload(document)
        await plant.do(plant.put("stays", said(8)))
        await eventually(lambda: ear.readings("cnc", "stays", value=8), what="stays is read on")
        assert len(agent.events("opcua.connected")) == 1
        assert not agent.events("opcua.disconnected")
    unbroken(ear, "cnc")
    assert len(ear.readings("cnc", "stays", why="initial")) == 1
    assert not ear.readings("cnc", why="recovered")
    assert {one.value for one in ear.readings("cnc", "changes")} <= {1, 10, 70}
    assert {one.value for one in ear.readings("cnc", "stays")} == {1, 7, 8}
    await hall.stop(plant)


async def test_what_a_replaced_subscription_may_have_missed_is_declared(running: Running, hall: Hall) -> None:
    """Between two sessions nobody was told what changed: a gap, and no tag goes offline."""
    plant = await hall.plant()
    await plant.do(plant.add("a", 1))
    async with running({"cnc": opcua(plant.url, "a", mode="subscribe")}) as (agent, ear):
        await ear.good("cnc", ["a"])
        line = await agent.reload(changed(agent.document, "cnc", timeout="3s"))
        assert line["devices_replaced"] == ["cnc"]
        gap = await eventually(lambda: [gap for gap in ear.gaps if gap["kind"] == "missed"], what="it is declared")
        await plant.do(plant.put("a", said(2)))
        await eventually(lambda: ear.readings("cnc", "a", value=2), what="it is read on")
    assert gap[0]["device"] == "cnc"
    assert not ear.readings("cnc", why="offline")
    unbroken(ear, "cnc")
    await hall.stop(plant)
