"""Structures that name their data type instead of its encoding, and names whose bytes are broken."""

from __future__ import annotations

import struct
from typing import Any

from asyncua import ua as library
from asyncua.common.structures104 import new_struct, new_struct_field

from tests.integration.opcua.server import URN, Plant, said
from tests.integration.opcua.support import collecting

ua: Any = library
BROKEN = "Fl\udcfche"  #: how the library keeps `Flüche` in Latin-1


async def test_an_extension_object_typed_by_its_data_type(plant: Plant) -> None:
    """Its TypeId is the id of the DataType node: the definition is the same."""

    async def build() -> None:
        fields = [new_struct_field(name, ua.VariantType.Int32) for name in ("x", "y")]
        node, _ = await new_struct(plant.server, plant.indexes[URN], "Spot", fields)
        body = ua.ExtensionObject(node.nodeid, struct.pack("<ii", 3, 4))
        for name, kind in (("spot", node.nodeid), ("any", ua.NodeId(24))):
            plant.nodes[name] = await plant.server.nodes.objects.add_variable(
                ua.NodeId(name, plant.indexes[URN]), f"{plant.indexes[URN]}:{name}", None, datatype=kind
            )
            await plant.put(name, said(body, kind=ua.VariantType.ExtensionObject))

    await plant.do(build())
    tags = {name: f"nsu={URN};s={name}" for name in ("spot", "any")}
    async with collecting(plant.url, tags) as notebook:
        await notebook.until(lambda: all(rows and rows[-1][1] == 0 for rows in notebook.said.values()))
        assert notebook.newest("spot") == notebook.newest("any") == {"x": 3, "y": 4}


async def test_a_name_that_is_no_text_costs_its_node_only(plant: Plant) -> None:
    """Found by browsing, a node whose name or id has broken bytes is left out; its neighbours become tags."""

    async def build() -> Any:
        index = plant.indexes[URN]
        hall = await plant.server.nodes.objects.add_folder(ua.NodeId("shop", index), f"{index}:Shop")
        for number, name in ((1, "Sound"), (2, BROKEN), (3, "Other")):
            await hall.add_variable(ua.NodeId(9000 + number, index), ua.QualifiedName(name, index), number)
        await hall.add_variable(ua.NodeId(BROKEN, index), ua.QualifiedName("Four", index), 4)

    await plant.do(build())
    browse = {"root": f"nsu={URN};s=shop"}
    async with collecting(plant.url, {"a": f"nsu={URN};s=a"}, browse=browse) as notebook:
        await notebook.until(lambda: notebook.said.keys() >= {"a", "Sound", "Other"})
        await notebook.heard()
        assert {name: notebook.newest(name) for name in notebook.said} == {"a": 1.5, "Sound": 1, "Other": 3}
