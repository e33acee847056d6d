"""Servers that take long to be browsed: what is configured has values at once, what is found follows."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asyncua import ua as library
from asyncua.server.internal_session import InternalSession

from tests.integration.opcua.server import URN, Plant, said
from tests.integration.opcua.support import collecting

ua: Any = library


async def test_a_slow_browse_holds_up_no_tag(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """The configured tag follows its values while Browse is not answered; what is found becomes tags afterwards."""
    if "Yard" not in plant.nodes:

        async def build() -> None:
            index = plant.indexes[URN]
            plant.nodes["Yard"] = yard = await plant.server.nodes.objects.add_folder(
                ua.NodeId("yard", index), f"{index}:Yard"
            )
            for number in range(30):
                place = await yard.add_object(ua.NodeId(f"yard{number}", index), f"{index}:P{number}")
                await place.add_variable(ua.NodeId(f"yard{number}.v", index), f"{index}:v", number)

        await plant.do(build())
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
