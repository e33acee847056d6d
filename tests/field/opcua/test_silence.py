"""Items a server forgot while its keep-alives go on, and a status that stays after its cause is over."""

from __future__ import annotations

from typing import Any

import pytest
from asyncua import ua as library
from asyncua.server.internal_session import InternalSession
from asyncua.server.monitored_item_service import MonitoredItemService
from asyncua.ua.attribute_ids import AttributeIds
from structlog.testing import capture_logs

from agent.core.quality import name_of, number_of
from tests.faults.southbound.conftest import opcua, stage
from tests.integration.opcua.server import URN, Plant, said
from tests.integration.opcua.support import BRISK, collecting
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import eventually

ua: Any = library
QUICK = BRISK._replace(audit=0.4)


async def another(plant: Plant, name: str, value: float) -> str:
    """A node of its own."""
    if name not in plant.nodes:
        await plant.do(plant.add(name, value))
    await plant.do(plant.put(name, said(value)))
    return f"nsu={URN};s={name}"


def forgets(plant: Plant, name: str) -> None:
    """The server samples this node no more."""
    node = plant.server.iserver.aspace._nodes[plant.nodes[name].nodeid]
    node.attributes[AttributeIds.Value].datachange_callbacks.clear()


async def test_an_item_that_is_not_sampled_any_more(plant: Plant) -> None:
    """Its keep-alives say that all is well; a Read does not: declared as lost, and monitored anew. Others are left."""
    tags = {"dead": await another(plant, "dead", 1.0), "still": await another(plant, "still", 1.0)}
    with capture_logs() as logs:
        async with collecting(plant.url, tags, pace=QUICK) as notebook:
            await notebook.heard()
            forgets(plant, "dead")
            await plant.do(plant.put("dead", said(2.0)))
            await notebook.until(lambda: notebook.newest("dead") == 2.0)
            (loss,) = notebook.losses
            assert loss.tags == (0,)
            assert loss.from_ts <= loss.to_ts
            await plant.do(plant.put("dead", said(3.0)))
            await notebook.until(lambda: notebook.newest("dead") == 3.0)
    assert [line["tags"] for line in logs if line["event"] == "opcua.items_silent"] == [["dead"]]
    assert [row[0] for row in notebook.said["still"]] == [1.0]


async def test_an_item_that_is_no_use_however_often_it_is_made(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that never samples this node: after some tries it is polled."""
    tags = {"deaf": await another(plant, "deaf", 1.0)}
    trigger = MonitoredItemService.trigger_datachange

    async def once(service: Any, *args: Any) -> None:
        await trigger(service, *args)
        forgets(plant, "deaf")

    monkeypatch.setattr(MonitoredItemService, "trigger_datachange", once)
    async with collecting(plant.url, tags, pace=QUICK) as notebook:
        await notebook.heard()
        value = 1.0
        while notebook.note.get("polled") != 1:
            value += 1
            forgets(plant, "deaf")
            await plant.do(plant.put("deaf", said(value)))
            await notebook.until(lambda value=value: notebook.newest("deaf") == value)
            await notebook.turn()
        await plant.do(plant.put("deaf", said(99.0)))
        await notebook.until(lambda: notebook.newest("deaf") == 99.0)
    assert len(notebook.losses) <= 3


@pytest.mark.parametrize("status", ["BadNodeIdInvalid", "BadObjectDeleted", "BadMonitoredItemIdInvalid"])
async def test_a_bad_status_that_stays_is_looked_into(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    """The item of a node that was deleted and made again says so for ever; a Read is good: it is made anew."""
    node = await another(plant, "again", 1.0)
    async with collecting(plant.url, {"again": node}, pace=QUICK) as notebook:
        await notebook.heard()
        await plant.do(plant.put("again", said(None, status=number_of(status))))
        await notebook.until(lambda: name_of(notebook.status("again")) == status)
        forgets(plant, "again")
        await plant.do(plant.put("again", said(5.0)))
        await notebook.until(lambda: notebook.status("again") == 0)
        assert notebook.newest("again") == 5.0
        assert not notebook.losses, "it was bad all the time: nothing was taken for known"


async def test_a_value_that_cannot_be_read_is_left_alone(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Monitored, but not readable: that says nothing about the item. It is read again after ten audits only."""
    slower = BRISK._replace(audit=1.0)
    node = await another(plant, "shut", 1.0)
    read = InternalSession.read
    asked = 0

    async def denying(session: Any, parameters: Any) -> Any:
        nonlocal asked
        results = await read(session, parameters)
        for at, wanted in enumerate(parameters.NodesToRead if session.external else ()):
            if wanted.NodeId == plant.nodes["shut"].nodeid and wanted.AttributeId == AttributeIds.Value:
                asked += 1
                results[at] = ua.DataValue(StatusCode=ua.StatusCode(number_of("BadNotReadable")))
        return results

    monkeypatch.setattr(InternalSession, "read", denying)
    async with collecting(plant.url, {"shut": node, "a": f"nsu={URN};s=a"}, pace=slower) as notebook:
        await notebook.heard()
        await notebook.until(lambda: asked)
        rounds = len(notebook.samples)
        await notebook.until(lambda: len(notebook.samples) > rounds + 3)
        assert [row[0] for row in notebook.said["shut"]] == [1.0]
    assert asked == 1


async def test_a_value_that_cannot_be_read_is_not_repeated(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep-alives do not confirm it: `max_silence` waits until a Read says something again."""
    node = await another(plant, "shut", 1.0)
    read = InternalSession.read
    shut, asked = True, 0

    async def denying(session: Any, parameters: Any) -> Any:
        nonlocal asked
        results = await read(session, parameters)
        for at, wanted in enumerate(parameters.NodesToRead if session.external else ()):
            if wanted.NodeId == plant.nodes["shut"].nodeid and wanted.AttributeId == AttributeIds.Value:
                asked += 1
                if shut:
                    results[at] = ua.DataValue(StatusCode=ua.StatusCode(number_of("BadUserAccessDenied")))
        return results

    monkeypatch.setattr(InternalSession, "read", denying)
    tags = {"shut": {"node": node, "report": "on_change", "max_silence": "1s"}}
    async with collecting(plant.url, tags, pace=BRISK._replace(audit=0.2)) as notebook:
        await notebook.heard()
        await notebook.until(lambda: asked and 0 in notebook.samples[-1].unconfirmed)
        rounds = len(notebook.samples)
        await notebook.until(lambda: len(notebook.samples) > rounds + 3)
        assert all(0 in sample.unconfirmed for sample in notebook.samples[rounds:])
        shut = False
        await notebook.until(lambda: 0 not in notebook.samples[-1].unconfirmed)
        assert [row[:2] for row in notebook.said["shut"]] == [(1.0, 0)]
        assert not notebook.losses
        shut, before = True, asked
        await plant.do(plant.put("shut", said(None, status=number_of("BadUserAccessDenied"))))
        await notebook.until(lambda: notebook.status("shut") and asked > before)
        rounds = len(notebook.samples)
        await notebook.until(lambda: len(notebook.samples) > rounds + 5)
        assert 0 not in notebook.samples[-1].unconfirmed, "that it is bad is repeated: no value is asserted"


async def test_a_heartbeat_asserts_only_what_was_confirmed(plant: Plant, tmp_path: Any, mosquitto: Mosquitto) -> None:
    """`max_silence` repeats what a Read has confirmed; what changed unnoticed is not said again as if it stood."""
    for name in ("beat", "gone"):
        await another(plant, name, 1.0)
    tags = {
        name: {"node": f"nsu={URN};s={name}", "report": "on_change", "max_silence": "2s"} for name in ("beat", "gone")
    }
    running = stage(tmp_path, mosquitto, module="tests.faults.opcua.brisk")
    async with running({"plc": opcua(plant.url, tags=tags)}) as (_, ear):
        await ear.good("plc", ["beat", "gone"])
        await eventually(lambda: ear.readings("plc", "gone", why="heartbeat"), what="a heartbeat")
        changed = max(reading.ts for reading in ear.readings("plc", "gone"))
        plant.vanish("gone")
        await eventually(lambda: ear.qualities("plc")["gone"] == "bad", what="gone is bad")
        bad = next(one for one in ear.readings("plc", "gone") if one.quality == "bad")
        beats = [one for one in ear.readings("plc", "gone", why="heartbeat") if changed < one.ts < bad.ts]
        assert len(beats) <= 1, "at most until it was found out"
        more = len(ear.readings("plc", "beat", why="heartbeat"))
        await eventually(lambda: len(ear.readings("plc", "beat", why="heartbeat")) >= more + 2, what="more beats")
