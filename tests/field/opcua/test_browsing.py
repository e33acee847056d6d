"""Servers that take long to be browsed: what is configured has values at once, what is found follows."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest
from asyncua import ua as library
from asyncua.server.internal_session import InternalSession
from structlog.testing import capture_logs

from agent.cli.live import line_of
from agent.testing.context import SimpleContext
from agent.workbench.live import visits_of
from tests.integration.opcua.server import URN, Plant, said
from tests.integration.opcua.support import collecting, config

ua: Any = library


async def yard(plant: Plant) -> None:
    """Thirty places with a variable each."""

    async def build() -> None:
        index = plant.indexes[URN]
        plant.nodes["Yard"] = root = await plant.server.nodes.objects.add_folder(
            ua.NodeId("yard", index), f"{index}:Yard"
        )
        for number in range(30):
            place = await root.add_object(ua.NodeId(f"yard{number}", index), f"{index}:P{number}")
            await place.add_variable(ua.NodeId(f"yard{number}.v", index), f"{index}:v", number)

    if "Yard" not in plant.nodes:
        await plant.do(build())


async def test_a_slow_browse_holds_up_no_tag(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """The configured tag follows its values while Browse is not answered; what is found becomes tags afterwards."""
    await yard(plant)
    browse = InternalSession.browse
    gate = asyncio.Event()
    waiting: list[int] = []

    async def slow(session: Any, parameters: Any) -> Any:
        if session.external:
            waiting.append(len(parameters.NodesToBrowse))
            await gate.wait()
        return await browse(session, parameters)

    monkeypatch.setattr(InternalSession, "browse", slow)
    tags = {"a": f"nsu={URN};s=a"}
    async with collecting(plant.url, tags, browse={"root": f"nsu={URN};s=yard"}) as notebook:
        await notebook.heard()
        await notebook.until(lambda: waiting)
        await plant.do(plant.put("a", said(2.5)))
        await notebook.until(lambda: notebook.newest("a") == 2.5)
        plant._loop.call_soon_threadsafe(gate.set)
        await notebook.until(lambda: len(notebook.said) == 31 and all(notebook.said.values()))
        assert notebook.newest("P7/v") == 7
        assert waiting[0] == 1, "carefully at first: it may take long for each node"


async def test_a_look_at_the_devices_reads_what_is_found_too(plant: Plant) -> None:
    """`check --live` of a device with nothing but `browse:` waits for what that finds, and reads it."""
    await yard(plant)
    context = SimpleContext()
    for tags in ({}, {"a": f"nsu={URN};s=a"}):
        made = config(plant.url, tags, browse={"root": f"nsu={URN};s=yard"})
        async with aclosing(visits_of("dev", made, made.build("dev", context), context)) as visits:
            visit = await anext(visits)
        assert visit.good
        assert len(visit.readings) == 30 + len(tags)
        assert visit.readings["P7/v"].value == 7
        assert visit.most_found is None
    made = config(plant.url, {}, browse={"root": f"nsu={URN};s=yard", "max_nodes": 5})
    async with aclosing(visits_of("dev", made, made.build("dev", context), context)) as visits:
        visit = await anext(visits)
    assert len(visit.readings) == 5
    assert "as many tags as `browse: {max_nodes: 5}` allows" in line_of(visit)


async def test_a_place_below_which_nobody_may_look_costs_no_other(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole Browse is refused for it, whatever else was asked for: all others become tags, and that is logged."""
    await yard(plant)
    browse = InternalSession.browse
    broken = ua.NodeId("yard7", plant.indexes[URN])

    async def refusing(session: Any, parameters: Any) -> Any:
        if session.external and any(one.NodeId == broken for one in parameters.NodesToBrowse):
            raise ua.uaerrors.BadInternalError
        return await browse(session, parameters)

    monkeypatch.setattr(InternalSession, "browse", refusing)
    with capture_logs() as logs:
        async with collecting(plant.url, {}, browse={"root": f"nsu={URN};s=yard"}) as notebook:
            await notebook.until(lambda: len(notebook.said) >= 29)
            await notebook.heard()
            assert notebook.said.keys() == {f"P{number}/v" for number in range(30)} - {"P7/v"}
    assert ["1 of them" in line["reason"] for line in logs if line["event"] == "opcua.nodes_left_out"] == [True]
