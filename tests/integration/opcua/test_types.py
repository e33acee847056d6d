from __future__ import annotations

import asyncio
import struct
from typing import Any

import pytest
import structlog
from asyncua import ua as library
from asyncua.common.structures104 import new_enum, new_struct, new_struct_field

from agent.collectors.opcua.explore import HAS_ENCODING, Explorer
from agent.core.quality import name_of
from agent.testing.context import SimpleContext
from tests.integration.opcua.server import URN, Hall, Plant, node_id, said
from tests.integration.opcua.support import BRISK, Notebook, collecting, config

ua: Any = library
V = ua.VariantType


def text(value: str) -> bytes:
    return struct.pack("<i", len(value)) + value.encode()


class Shop:
    """A server with types of its own: a structure in a structure, an optional field, a union, an enumeration."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self.encodings: dict[str, Any] = {}

    async def build(self) -> None:
        index = self.plant.indexes[URN]
        server = self.plant.server
        tool = await self._struct("Tool", [new_struct_field("Name", V.String), new_struct_field("Wear", V.Float)])
        await self._struct(
            "Order",
            [
                new_struct_field("Number", V.UInt32),
                new_struct_field("Tools", tool, array=True),
                new_struct_field("Note", V.String, optional=True),
                new_struct_field("Due", V.DateTime),
            ],
        )
        await self._struct("Either", [new_struct_field("A", V.Int32), new_struct_field("B", V.String)], is_union=True)
        mode = await new_enum(server, index, "Mode", ["Idle", "Run", "Fault"])
        node = await self.plant.add("mode", 1, V.Int32)
        await node.write_attribute(ua.AttributeIds.DataType, ua.DataValue(ua.Variant(mode.nodeid, V.NodeId)))

    async def _struct(self, name: str, fields: list[Any], **more: Any) -> Any:
        made, encodings = await new_struct(self.plant.server, self.plant.indexes[URN], name, fields, **more)
        self.encodings[name] = encodings[0].nodeid
        return made

    def thing(self, name: str, body: bytes) -> Any:
        return ua.ExtensionObject(TypeId=self.encodings[name], Body=body)


@pytest.fixture(scope="module")
def built(hall: Hall) -> Shop:
    plant = hall.plant_sync()
    shop = Shop(plant)
    asyncio.run_coroutine_threadsafe(shop.build(), plant._loop).result(30)
    return shop


TOOL = text("drill") + struct.pack("<f", 0.5)
ORDER = struct.pack("<II", 0, 7) + struct.pack("<i", 2) + TOOL + TOOL + struct.pack("<q", 132_223_104_000_000_001)
NOTED = struct.pack("<II", 1, 8) + struct.pack("<i", -1) + text("soon") + struct.pack("<q", 132_223_104_000_000_000)


@pytest.mark.parametrize("mode", ["subscribe", "poll"])
async def test_structures_are_dicts_by_the_servers_own_definitions(built: Shop, mode: str) -> None:
    """Nested, optional, union, arrays of structures: fields by name, learned when the first value comes."""
    plant = built.plant
    things = {
        "order": built.thing("Order", ORDER),
        "noted": built.thing("Order", NOTED),
        "either": built.thing("Either", struct.pack("<I", 2) + text("b")),
        "tools": [built.thing("Tool", TOOL)],
    }
    for name, thing in things.items():
        if name not in plant.nodes:
            await plant.do(plant.add(name, thing, V.ExtensionObject))
    async with collecting(plant.url, {name: f"nsu={URN};s={name}" for name in things}, mode=mode) as notebook:
        await notebook.until(lambda: all(notebook.said[name] and notebook.newest(name) for name in things))
        tool = {"Name": "drill", "Wear": 0.5}
        assert notebook.newest("order") == {"Number": 7, "Tools": [tool, tool], "Due": "2020-01-01T00:00:00.0000001Z"}
        assert notebook.newest("noted") == {
            "Number": 8,
            "Tools": None,
            "Note": "soon",
            "Due": "2020-01-01T00:00:00.000Z",
        }
        assert notebook.newest("either") == {"B": "b"}
        assert notebook.newest("tools") == [tool]


async def test_bytes_that_do_not_fit_their_definition_are_bad(built: Shop) -> None:
    """Too few, too many, an unknown type: each costs its own tag, with a reason."""
    plant = built.plant
    things = {
        "short": built.thing("Tool", TOOL[:-2]),
        "long": built.thing("Tool", TOOL + b"\0"),
        "endless": built.thing("Order", struct.pack("<IIi", 0, 7, 2_000_000_000)),
        "strange": ua.ExtensionObject(TypeId=node_id("ns=2;i=9999"), Body=b"1"),
    }
    for name, thing in things.items():
        await plant.do(plant.add(name, thing, V.ExtensionObject))
    await plant.do(plant.add("sound", 1))
    tags = {name: f"nsu={URN};s={name}" for name in [*things, "sound"]}
    async with collecting(plant.url, tags) as notebook:
        await notebook.until(
            lambda: (
                "described" in (notebook.reasons.get("strange") or "")
                or len(notebook.said["strange"]) > 1
                or len(notebook.said["short"]) > 1
            )
        )
        assert notebook.newest("sound") == 1
        for name in things:
            assert notebook.newest(name) is None
            assert name_of(notebook.status(name)) in {"BadDataEncodingUnsupported", "BadDecodingError"}


async def test_a_type_that_could_not_be_learned_in_time_is_asked_for_again(
    built: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is slow at first: a value that never changes does not stay bad for that."""
    plant, slow = built.plant, [True, True]
    await plant.do(plant.add("patient", built.thing("Tool", TOOL), V.ExtensionObject))
    references = Explorer.references

    async def hesitating(explorer: Explorer, looks: Any) -> Any:
        if looks and looks[0].reference == HAS_ENCODING and slow:
            slow.pop()
            await asyncio.Event().wait()
        return await references(explorer, looks)

    monkeypatch.setattr(Explorer, "references", hesitating)
    with structlog.testing.capture_logs() as logs:
        pace = BRISK._replace(types=0.05)
        async with collecting(plant.url, {"patient": f"nsu={URN};s=patient"}, pace=pace) as notebook:
            await notebook.heard()
            assert name_of(notebook.status("patient")) == "BadDataEncodingUnsupported"
            await notebook.until(lambda: notebook.newest("patient") is not None)
    assert notebook.newest("patient") == {"Name": "drill", "Wear": 0.5}
    assert [log["reason"] for log in logs if log["event"] == "opcua.types_unknown"] == ["no answer in time"]


async def test_enumerations_bring_their_texts(built: Shop) -> None:
    """The number is the value; the server's texts come before it, once a connection."""
    async with collecting(built.plant.url, {"mode": f"nsu={URN};s=mode", "plain": "i=2259"}) as notebook:
        await notebook.heard()
    assert notebook.newest("mode") == 1
    assert notebook.labels["mode"] == {0: "Idle", 1: "Run", 2: "Fault"}
    assert notebook.labels["plain"][0] == "Running"


async def test_texts_that_are_told_no_longer_are_void(built: Shop) -> None:
    """Another program has loaded meanwhile: its numbers do not get the texts of the one before."""
    plant, made, context = built.plant, config(built.plant.url, {"mode": f"nsu={URN};s=mode"}), SimpleContext()
    collector = made.build("dev", context, BRISK)
    node = plant.nodes["mode"].nodeid
    enumeration = await plant.do(plant.nodes["mode"].read_data_type())
    for kind, texts in ((enumeration, {0: "Idle", 1: "Run", 2: "Fault"}), (node_id("i=6"), {})):
        data = ua.DataValue(ua.Variant(kind, V.NodeId))
        await plant.do(plant.server.write_attribute_value(node, data, ua.AttributeIds.DataType))
        async with collector.open() as samples:
            notebook = Notebook(["mode"], samples, context)
            await notebook.heard()
            assert notebook.labels == {"mode": texts}
    data = ua.DataValue(ua.Variant(enumeration, V.NodeId))
    await plant.do(plant.server.write_attribute_value(node, data, ua.AttributeIds.DataType))


async def test_a_part_of_an_array_is_asked_for(built: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The index range goes to the server; this one ignores it, and is not believed where it gives too much."""
    plant = built.plant
    await plant.do(plant.add("many", [1, 2, 3], V.Int32))
    tags = {
        "third": {"node": f"nsu={URN};s=many", "index_range": "2"},
        "all": {"node": f"nsu={URN};s=many", "index_range": "0:9"},
    }
    async with collecting(plant.url, tags, mode="poll") as notebook:
        await notebook.heard()
        assert notebook.newest("all") == [1, 2, 3]
        assert name_of(notebook.status("third")) == "BadIndexRangeInvalid"
        await plant.do(plant.put("many", said([9], kind=V.Int32)))
        await notebook.until(lambda: notebook.newest("third") == 9)
        assert notebook.types["third"] == "int32"


async def test_two_servers_with_one_name_for_two_things(hall: Hall, built: Shop) -> None:
    """Definitions belong to a connection: what another server calls the same is decoded by its own."""
    other = await hall.plant()
    shop = Shop(other)

    async def build() -> None:
        await shop._struct("Tool", [new_struct_field("Teeth", V.Int16)])
        await other.add("tool", shop.thing("Tool", struct.pack("<h", 12)), V.ExtensionObject)

    await other.do(build())
    if "tool" not in built.plant.nodes:
        await built.plant.do(built.plant.add("tool", built.thing("Tool", TOOL), V.ExtensionObject))
    tags = {"tool": f"nsu={URN};s=tool"}
    async with collecting(other.url, tags) as there, collecting(built.plant.url, tags) as here:
        await there.until(lambda: there.said["tool"] and there.newest("tool"))
        await here.until(lambda: here.said["tool"] and here.newest("tool"))
    assert there.newest("tool") == {"Teeth": 12}
    assert here.newest("tool") == {"Name": "drill", "Wear": 0.5}
    await hall.stop(other)
