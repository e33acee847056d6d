from __future__ import annotations

from pathlib import Path
from typing import Any

import structlog
from asyncua import ua as library
from asyncua.common.node import Node

from agent.collectors.opcua.collector import OpcUaCollector
from agent.core.quality import BAD_NODE_ID_UNKNOWN, name_of
from agent.testing.context import SimpleContext
from tests.integration.opcua.server import URN, Hall, Plant, node_id, said
from tests.integration.opcua.support import BRISK, Notebook, collecting, config
from tests.support.waiting import eventually

ua: Any = library


async def test_a_wrong_node_costs_one_tag_until_it_appears(shared: Plant) -> None:
    """A node the server does not have makes its tag bad, once; the others flow, and it comes as soon as it is there."""
    await shared.do(shared.add("early", 1))
    tags = {"early": f"nsu={URN};s=early", "late": f"nsu={URN};s=late", "later": "nsu=urn:later;s=later"}
    async with collecting(shared.url, tags) as notebook:
        await notebook.heard()
        assert (notebook.newest("early"), notebook.status("early")) == (1, 0)
        for name in ("late", "later"):
            assert (notebook.newest(name), name_of(notebook.status(name))) == (None, "BadNodeIdUnknown")
        assert "urn:later" in (notebook.reasons["later"] or "")
        assert notebook.note["rejected"] == ["late", "later"]
        await shared.do(shared.add("late", 2))
        shared.indexes["urn:later"] = await shared.do(shared.server.register_namespace("urn:later"))
        await shared.do(shared.add("later", 3, uri="urn:later"))
        await notebook.until(lambda: notebook.newest("late") == 2 and notebook.newest("later") == 3)
        assert len(notebook.said["late"]) == 2, "bad is said once"
        assert (notebook.note["active"], notebook.note["rejected"]) == (3, [])


async def test_a_node_that_is_deleted_and_comes_back_is_monitored_again(shared: Plant) -> None:
    """A changed program takes its nodes away while they are monitored: bad meanwhile, back without a new connection."""
    await shared.do(shared.add("passing", 1))
    async with collecting(shared.url, {"passing": f"nsu={URN};s=passing"}) as notebook:
        await notebook.heard()
        await shared.do(shared.put("passing", said(None, status=BAD_NODE_ID_UNKNOWN)))
        shared.vanish("passing")
        await notebook.until(lambda: name_of(notebook.status("passing")) == "BadNodeIdUnknown")
        await shared.do(shared.add("passing", 2))
        await notebook.until(lambda: notebook.newest("passing") == 2)
        assert notebook.note["subscriptions"][0]["items"] == 1


async def test_poll_mode_waits_for_an_unknown_namespace_too(shared: Plant) -> None:
    """A namespace that the server learns while it is polled is noticed without a new connection."""
    tags = {"other": "nsu=urn:other;s=other", "once": {"node": "nsu=urn:other;s=once", "interval": "once"}}
    async with collecting(shared.url, tags, mode="poll") as notebook:
        await notebook.heard()
        shared.indexes["urn:other"] = await shared.do(shared.server.register_namespace("urn:other"))
        await shared.do(shared.add("other", "x", uri="urn:other"))
        await notebook.until(lambda: notebook.newest("other") == "x")
        assert name_of(notebook.status("once")) == "BadNodeIdUnknown"
        await shared.do(shared.add("once", "y", uri="urn:other"))
        await notebook.until(lambda: notebook.newest("once") == "y")
        assert len(notebook.said["once"]) == 2


async def test_namespaces_in_another_order_never_give_a_wrong_value(hall: Hall, tmp_path: Path) -> None:
    """After a restart with swapped namespaces every tag has its own node's value, found by URI.

    One by index follows the namespace it meant, also after a restart of the agent, and it is said that this is another.
    """
    tags = {"press": "nsu=urn:press;s=state", "oven": "nsu=urn:oven;s=state"}
    before = await hall.plant(["urn:press", "urn:oven"])
    by_index = config(before.url, {"press": f"ns={before.indexes['urn:press']};s=state"})
    context = SimpleContext(data_dir=tmp_path, recording=True)
    collector = by_index.build("dev", context, BRISK)
    await before.do(before.add("state", "press", uri="urn:press"))
    await before.do(before.add("state", "oven", uri="urn:oven"))
    async with collecting(before.url, tags) as notebook:
        await notebook.heard()
        assert (notebook.newest("press"), notebook.newest("oven")) == ("press", "oven")
    async with collector.open() as samples:
        await Notebook(["press"], samples, context).heard()
        await eventually((tmp_path / "opcua" / "dev.namespaces.json").exists)
    port = int(before.url.rsplit(":", 1)[1])
    await hall.stop(before)
    after = await hall.plant(["urn:oven", "urn:press"], port)
    await after.do(after.add("state", "oven", uri="urn:oven"))
    async with collecting(after.url, tags) as notebook:
        await notebook.heard()
        assert notebook.newest("oven") == "oven"
        assert name_of(notebook.status("press")) == "BadNodeIdUnknown", "the program is still loading"
        await after.do(after.add("state", "press", uri="urn:press"))
        await notebook.until(lambda: notebook.newest("press") == "press")
        assert {row[0] for row in notebook.said["oven"]} == {"oven"}
    with structlog.testing.capture_logs() as logs:
        async with collector.open() as samples:
            notebook = Notebook(["press"], samples, context)
            await notebook.heard()
            assert notebook.newest("press") == "press"
    told = [log["meant"] for log in logs if log["event"] == "opcua.namespaces_moved"]
    assert told == [{f"ns={before.indexes['urn:press']}": "urn:press"}]
    reloaded = by_index.build("dev", context, BRISK)
    assert isinstance(reloaded, OpcUaCollector)
    assert isinstance(collector, OpcUaCollector)
    reloaded.inherit(collector)
    async with reloaded.open() as samples:
        notebook = Notebook(["press"], samples, context)
        await notebook.heard()
        assert notebook.newest("press") == "press", "a reload does not change what it means"
    async with by_index.build("dev", context, BRISK).open() as samples:
        notebook = Notebook(["press"], samples, context)
        await notebook.heard()
        assert notebook.newest("press") == "press", "nor does a restart"
    corrected = config(after.url, {"press": f"ns={after.indexes['urn:press']};s=state"}).build("dev", context, BRISK)
    assert isinstance(corrected, OpcUaCollector)
    corrected.inherit(collector)
    async with collector.open() as samples:
        await Notebook(["press"], samples, context).heard()
        assert not await collector.prepare(corrected)
    restarted = config(after.url, {"press": f"ns={after.indexes['urn:press']};s=state"}).build("dev", context, BRISK)
    for one in (restarted, corrected):
        async with one.open() as samples:
            notebook = Notebook(["press"], samples, context)
            await notebook.heard()
            assert notebook.newest("press") == "press", "what is written anew means what it is today"
    await hall.stop(after)


async def test_a_namespace_the_server_has_twice_is_nobodys(hall: Hall) -> None:
    """Which of the two is meant cannot be told, and tomorrow it may be the other: bad, and not browsed."""
    plant = await hall.plant([URN, "urn:second"])
    for uri in (URN, "urn:second"):
        await plant.do(plant.add("a", uri, uri=uri))
        await plant.do(plant.add("b", uri, uri=uri))
    twice = said([*await plant.do(plant.server.get_namespace_array()), URN])
    await plant.do(plant.server.write_attribute_value(node_id("i=2255"), twice))
    tags = {
        "node": f"nsu={URN};s=a",
        "way": {"path": f"Objects/nsu={URN};a"},
        "sure": f"ns={plant.indexes[URN]};s=a",
        "second": "nsu=urn:second;s=a",
    }
    with structlog.testing.capture_logs() as logs:
        async with collecting(plant.url, tags, browse={"include": ["b"]}) as notebook:
            await notebook.until(lambda: len(notebook.said) > len(tags) and all(notebook.said.values()))
    newest = {name: (notebook.newest(name), name_of(notebook.status(name))) for name in notebook.said}
    assert newest == {
        "node": (None, "BadNodeIdUnknown"),
        "way": (None, "BadNodeIdUnknown"),
        "sure": (URN, "Good"),
        "second": ("urn:second", "Good"),
        "b": ("urn:second", "Good"),
    }
    assert "more than once" in (notebook.reasons["node"] or "")
    (left_out,) = [log["reason"] for log in logs if log["event"] == "opcua.nodes_left_out"]
    assert "1 lie in namespaces without a URI of their own" in left_out
    await hall.stop(plant)


async def test_every_kind_of_node_id_is_found(shared: Plant) -> None:
    """Numeric, string, GUID and opaque identifiers, by namespace index and by URI, and the standard's own nodes."""
    index = shared.indexes[URN]
    ids = {
        "number": f"ns={index};i=70001",
        "text": f"ns={index};s=a;b=c",
        "guid": f"nsu={URN};g=09087e75-8e5e-499b-954f-f2a9603db28a",
        "opaque": f"ns={index};b=AP8=",
    }
    for name, text in ids.items():
        found = node_id(f"ns={index};" + text.split(";", 1)[1])
        await shared.do(shared.server.nodes.objects.add_variable(found, f"{index}:{name}", name))
    tags = {**ids, "state": "i=2259"}
    async with collecting(shared.url, tags, mode="poll") as notebook:
        await notebook.heard()
    assert {name: notebook.newest(name) for name in tags} == {**{name: name for name in ids}, "state": 0}


async def test_disabled_tags_are_not_read(shared: Plant) -> None:
    """Nothing is said about a tag that is switched off."""
    if "on" not in shared.nodes:
        await shared.do(shared.add("on", 1))
    tags = {"off": {"node": f"nsu={URN};s=on", "enabled": False}, "on": f"nsu={URN};s=on"}
    async with collecting(shared.url, tags) as notebook:
        await notebook.heard("on")
    assert not notebook.said["off"]
    assert notebook.newest("on") == 1


async def test_browse_paths_are_followed_on_every_connection(hall: Hall) -> None:
    """A program that gives its nodes other ids after a restart is still found by names; a late one is waited for."""
    tags = {
        "speed": {"path": "Objects/nsu=urn:press;Machine/nsu=urn:press;Speed"},
        "state": {"path": "Objects/0:Server/0:ServerStatus/0:State"},
        "late": {"path": "Objects/nsu=urn:press;Machine/nsu=urn:press;Late"},
    }
    for namespaces, number in ((["urn:press"], 1), (["urn:oven", "urn:press"], 2)):
        plant = await hall.plant(namespaces)
        index = plant.indexes["urn:press"]

        async def build(plant: Plant = plant, index: int = index, number: int = number) -> Any:
            machine = await plant.server.nodes.objects.add_object(
                node_id(f"ns={index};i={number}0"), f"{index}:Machine"
            )
            await machine.add_variable(node_id(f"ns={index};i={number}1"), f"{index}:Speed", number)
            return machine

        machine = await plant.do(build())
        async with collecting(plant.url, tags) as notebook:
            await notebook.heard()
            assert (notebook.newest("speed"), notebook.newest("state")) == (number, 0)
            assert name_of(notebook.status("late")) == "BadNoMatch"
            await plant.do(machine.add_variable(node_id(f"ns={index};s=late"), f"{index}:Late", "here"))
            await notebook.until(lambda notebook=notebook: notebook.newest("late") == "here")
        await hall.stop(plant)


async def test_a_polled_path_leads_to_the_node_a_new_program_made(shared: Plant) -> None:
    """Its node id is another one now: the tag follows without a new connection."""
    index, name = shared.indexes[URN], "Remade"

    async def program(number: int) -> Node:
        at = ua.NodeId(f"{name} {number}", index)
        return await shared.server.nodes.objects.add_variable(at, ua.QualifiedName(name, index), number)

    node = await shared.do(program(1))
    async with collecting(shared.url, {"a": {"path": f"Objects/nsu={URN};{name}"}}, mode="poll") as notebook:
        await notebook.heard()
        assert notebook.newest("a") == 1
        await shared.do(shared.server.delete_nodes([node]))
        await notebook.until(lambda: name_of(notebook.status("a")) == "BadNodeIdUnknown")
        await shared.do(program(2))
        await notebook.until(lambda: notebook.newest("a") == 2)
