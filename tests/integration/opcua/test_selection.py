from __future__ import annotations

from typing import Any

from agent.collectors.opcua.collector import OpcUaCollector
from agent.collectors.opcua.config import OpcUaConfig
from agent.core.quality import name_of
from agent.testing.site import SimpleSite
from tests.integration.opcua.server import Hall, node_id
from tests.integration.opcua.support import BRISK, Notebook

PRESS = "urn:press"


async def test_a_selection_is_walked_on_every_connection(hall: Hall) -> None:
    """New nodes become tags behind those known, gone ones are bad under their own name, whatever the indexes are."""
    made: Any = None
    site = SimpleSite()
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
            collector = OpcUaCollector("dev", made, site, BRISK)
        async with collector.open() as samples:
            notebook = Notebook(names, samples, site)
            await notebook.turn()
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
    async with OpcUaCollector("dev", made, SimpleSite(), BRISK).open() as samples:
        notebook = Notebook([], samples, SimpleSite())
        await notebook.turn()
        await notebook.heard()
        assert sorted(notebook.said) == ["a", "b"]
    await hall.stop(plant)
