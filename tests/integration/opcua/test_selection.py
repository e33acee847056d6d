from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import pytest
import structlog
from asyncua import ua as library
from asyncua.server.internal_session import InternalSession

from agent.collectors.opcua.config import OpcUaConfig
from agent.core.quality import name_of
from agent.testing.context import SimpleContext
from tests.integration.opcua.server import URN, Hall, Plant, node_id
from tests.integration.opcua.support import BRISK, Notebook, collecting

ua: Any = library
PRESS = "urn:press"


def has(said: Mapping[str, Any], things: Iterable[str]) -> bool:
    return said.keys() >= {*things} - {"skip"}


async def test_a_selection_is_walked_on_every_connection(hall: Hall) -> None:
    """New nodes become tags behind those known, gone ones are bad under their own name, whatever the indexes are."""
    made: Any = None
    context = SimpleContext()
    names: list[str] = []
    collector: Any = None
    for namespaces, things in (([PRESS], ("a", "b", "skip")), (["urn:oven", PRESS], ("b", "c", "skip"))):
        plant = await hall.plant(namespaces, 0 if made is None else int(made.url.rsplit(":", 1)[1]))
        index = plant.indexes[PRESS]

        async def build(index: int = index, plant: Any = plant, things: Any = things) -> None:
            machine = await plant.server.nodes.objects.add_object(node_id(f"ns={index};s=m"), f"{index}:Machine")
            for thing in things:
                await machine.add_variable(node_id(f"ns={index};s={thing}"), f"{index}:{thing}", f"{thing} {index}")

        await plant.do(build())
        if made is None:
            browse = {"root": f"nsu={PRESS};s=m", "exclude": ["skip"], "max_nodes": 10}
            made = OpcUaConfig.model_validate(
                {
                    "type": "opcua",
                    "url": plant.url,
                    "interval": "50ms",
                    "browse": browse,
                    "tags": {"z": {"node": "i=2259"}},
                }
            )
            assert made.finds_tags
            names = list(made.tags)
            collector = made.build("dev", context, BRISK)
        async with collector.open() as samples:
            notebook = Notebook(names, samples, context)
            await notebook.until(partial(has, notebook.said, things))
            await notebook.heard()
            newest = {name: notebook.newest(name) for name in names}
            if namespaces == [PRESS]:
                assert newest == {"z": 0, "a": f"a {index}", "b": f"b {index}"}
            else:
                assert newest == {"z": 0, "a": None, "b": f"b {index}", "c": f"c {index}"}
                assert name_of(notebook.status("a")) == "BadNodeIdUnknown"
        await hall.stop(plant)
    assert names == ["z", "a", "b", "c"]


async def test_a_selection_is_bounded(hall: Hall) -> None:
    """Not more than max_nodes; a tag that is configured keeps its name."""
    plant = await hall.plant()
    for name in ("a", "b", "c", "d"):
        await plant.do(plant.add(name, name))
    browse = {"max_nodes": 2}
    made = OpcUaConfig.model_validate({"type": "opcua", "url": plant.url, "interval": "50ms", "browse": browse})
    with structlog.testing.capture_logs() as logs:
        async with made.build("dev", SimpleContext(), BRISK).open() as samples:
            notebook = Notebook([], samples, SimpleContext())
            await notebook.until(lambda: notebook.said)
            await notebook.heard()
    assert sorted(notebook.said) == ["a", "b"]
    (left_out,) = [log["reason"] for log in logs if log["event"] == "opcua.nodes_left_out"]
    assert "max_nodes (2)" in left_out
    await hall.stop(plant)


async def test_each_node_has_a_name_of_its_own_and_what_is_left_out_is_said(hall: Hall) -> None:
    """Two nodes of one name are told apart by their node ids, whichever the server tells first; what is too deep, or
    has a name that no tag can have, is no tag. A control character in a name becomes `_`.
    """
    plant = await hall.plant([URN, PRESS])
    here, there = plant.indexes[URN], plant.indexes[PRESS]

    async def build() -> None:
        objects = plant.server.nodes.objects
        root = await objects.add_object(node_id(f"ns={here};s=m"), f"{here}:Machine")
        await root.add_variable(ua.NodeId("1", here), ua.QualifiedName("Speed", here), 1)
        await root.add_variable(ua.NodeId(2, there), ua.QualifiedName("Speed", there), 2)
        axis = await root.add_object(ua.NodeId("A", here), ua.QualifiedName("A", here))
        await axis.add_variable(ua.NodeId("A.B", here), ua.QualifiedName("B", here), 3)
        await root.add_variable(ua.NodeId("A/B", here), ua.QualifiedName("A/B", here), 4)
        for number, name in enumerate(("", "a\nb", "x" * 257)):
            await root.add_variable(ua.NodeId(f"bad{number}", here), ua.QualifiedName(name, here), 5)
        for depth in range(33):
            root = await root.add_object(ua.NodeId(f"deep{depth}", here), ua.QualifiedName("d", here))
        await root.add_variable(ua.NodeId("deepest", here), ua.QualifiedName("v", here), 6)

    await plant.do(build())
    with structlog.testing.capture_logs() as logs:
        async with collecting(plant.url, {}, browse={"root": f"nsu={URN};s=m"}) as notebook:
            await notebook.until(lambda: notebook.said)
            await notebook.heard()
    assert {name: rows[-1][0] for name, rows in notebook.said.items()} == {
        f"Speed (nsu={URN};s=1)": 1,
        f"Speed (nsu={PRESS};i=2)": 2,
        f"A/B (nsu={URN};s=A.B)": 3,
        f"A/B (nsu={URN};s=A/B)": 4,
        "a_b": 5,
    }
    (left_out,) = [log["reason"] for log in logs if log["event"] == "opcua.nodes_left_out"]
    assert "deeper than 32 levels" in left_out
    assert "2 have names that no tag can have" in left_out
    await hall.stop(plant)


async def test_nodes_that_appear_after_the_server_are_found(shared: Plant) -> None:
    """A controller still loads its program, and nothing is found: the agent looks again, on the same connection."""

    async def load() -> None:
        index = shared.indexes[URN]
        root = await shared.server.nodes.objects.add_object(node_id(f"ns={index};s=loading"), f"{index}:Loading")
        await root.add_variable(node_id(f"ns={index};s=loading.v"), f"{index}:v", 7)

    async with collecting(shared.url, {}, browse={"root": f"nsu={URN};s=loading"}) as notebook:
        await notebook.turn()
        await shared.do(load())
        await notebook.until(lambda: notebook.said.get("v"))
        assert notebook.newest("v") == 7


async def test_a_server_that_refuses_to_be_browsed_costs_no_tag(shared: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are configured are read; that there might be more is said."""

    async def refusing(_session: Any, _params: Any) -> Any:
        raise ua.uaerrors.BadUserAccessDenied

    monkeypatch.setattr(InternalSession, "browse", refusing)
    with structlog.testing.capture_logs() as logs:
        async with collecting(shared.url, {"state": "i=2259"}, browse={}) as notebook:
            await notebook.until(lambda: any(log["event"] == "opcua.nodes_left_out" for log in logs))
            await notebook.heard()
    assert notebook.newest("state") == 0
    assert "BadUserAccessDenied" in next(log["reason"] for log in logs if log["event"] == "opcua.nodes_left_out")
