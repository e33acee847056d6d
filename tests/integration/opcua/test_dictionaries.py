"""Servers that describe their structures by dictionaries only, as all did before OPC UA 1.04."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from asyncua import ua as library
from asyncua.common.type_dictionary_builder import DataTypeDictionaryBuilder

from agent.collectors.opcua.types.dictionary import read_dictionary
from agent.core.quality import name_of
from tests.integration.opcua.server import URN, Hall, Plant
from tests.integration.opcua.support import BRISK, collecting

ua: Any = library
V = ua.VariantType
Types = dict[str, list[tuple[str, Any, bool]]]  #: structure → fields: name, type, an array of it


def text(value: str) -> bytes:
    return struct.pack("<i", len(value)) + value.encode()


class Book:
    """One dictionary in a server, made by the library's own builder."""

    def __init__(self, plant: Plant, urn: str, name: str) -> None:
        self.plant, self.urn, self.name = plant, urn, name
        self.encodings: dict[str, Any] = {}
        self.node: Any = None
        self.descriptions: dict[str, Any] = {}

    async def write(self, types: Types) -> None:
        builder = DataTypeDictionaryBuilder(self.plant.server, self.plant.indexes[URN], self.urn, self.name)
        await builder.init()
        for name, fields in types.items():
            made = await builder.create_data_type(name)
            _, self.descriptions[name], self.encodings[name] = made.node_ids
            for field, kind, many in fields:
                builder.add_field(kind, field, name, many)
        await builder.set_dict_byte_string()
        self.node = self.plant.server.get_node(builder.dict_id)

    async def rewrite(self, before: bytes, after: bytes) -> None:
        document = await self.node.read_value()
        assert before in document
        await self.node.write_value(document.replace(before, after), V.ByteString)

    def thing(self, name: str, body: bytes) -> Any:
        return ua.ExtensionObject(TypeId=self.encodings[name], Body=body)


TOOL: Types = {"Tool": [("Name", V.String, False), ("Wear", V.Float, False)]}
ORDER: Types = {**TOOL, "Order": [("Number", V.UInt32, False), ("Tools", "Tool", True), ("Due", V.DateTime, False)]}
DRILL = text("drill") + struct.pack("<f", 0.5)
DUE = struct.pack("<Ii", 7, 2) + DRILL + DRILL + struct.pack("<q", 132_223_104_000_000_001)


@pytest.fixture(scope="module")
def plant(hall: Hall) -> Plant:
    """One server for all that is about its dictionaries; each test writes its own."""
    return hall.plant_sync()


async def write(plant: Plant, name: str, types: Types) -> Book:
    book = Book(plant, f"urn:acme:{name}", name)
    await plant.do(book.write(types))
    return book


async def _add(book: Book, **things: Any) -> dict[str, str]:
    for name, thing in things.items():
        await book.plant.do(book.plant.add(name, thing, V.ExtensionObject))
    return {name: f"nsu={URN};s={name}" for name in things}


async def test_structures_are_dicts_by_the_dictionary(hall: Hall, plant: Plant) -> None:
    """Nested, in arrays; what two servers call the same is each one's own; what does not fit costs its tag alone."""
    another = await hall.plant()
    book = await write(plant, "types", ORDER)
    theirs = await write(another, "types", {"Tool": [("Teeth", V.Int16, False)]})
    tags = await _add(
        book,
        order=book.thing("Order", DUE),
        tools=[book.thing("Tool", DRILL)],
        short=book.thing("Tool", DRILL[:-2]),
        long=book.thing("Tool", DRILL + b"\0"),
        endless=book.thing("Order", struct.pack("<Ii", 7, 2_000_000_000)),
    )
    tag = await _add(theirs, tool=theirs.thing("Tool", struct.pack("<h", 12)))
    async with collecting(plant.url, tags) as here, collecting(another.url, tag) as there:
        await here.until(lambda: all(here.said[name] and here.newest(name) for name in ("order", "tools")))
        await there.until(lambda: there.said["tool"] and there.newest("tool"))
        await here.until(lambda: all("not known yet" not in (here.reasons.get(name) or "") for name in tags))
    tool = {"Name": "drill", "Wear": 0.5}
    assert here.newest("order") == {"Number": 7, "Tools": [tool, tool], "Due": "2020-01-01T00:00:00.0000001Z"}
    assert here.newest("tools") == [tool]
    assert there.newest("tool") == {"Teeth": 12}
    for name in ("short", "long", "endless"):
        assert here.newest(name) is None
        assert name_of(here.status(name)) in {"BadDataEncodingUnsupported", "BadDecodingError"}
    await hall.stop(another)


async def test_a_type_of_another_dictionary_is_found_there(plant: Plant) -> None:
    """Only then are the others of the server read."""
    book = await write(plant, "orders", {"Order": [("Number", V.UInt32, False), ("First", "Tool", False)]})
    await write(plant, "parts", TOOL)
    await plant.do(book.rewrite(b'xmlns:tns="', b'xmlns:more="urn:acme:parts" xmlns:tns="'))
    await plant.do(book.rewrite(b'"tns:Tool"', b'"more:Tool"'))
    tags = await _add(book, first=book.thing("Order", struct.pack("<I", 7) + DRILL))
    async with collecting(plant.url, tags) as notebook:
        await notebook.until(lambda: notebook.said["first"] and notebook.newest("first"))
    assert notebook.newest("first") == {"Number": 7, "First": {"Name": "drill", "Wear": 0.5}}


async def test_a_dictionary_that_is_not_linked_is_found_by_the_name_of_the_type(plant: Plant) -> None:
    """Some servers forget the way back from a description to its dictionary."""
    book = await write(plant, "lonely", {"Lonely": [("Wear", V.Float, False)]})
    description = plant.server.iserver.aspace._nodes[book.descriptions["Lonely"]]
    description.references = [one for one in description.references if one.IsForward]
    tags = await _add(book, lonely=book.thing("Lonely", struct.pack("<f", 0.5)))
    async with collecting(plant.url, tags) as notebook:
        await notebook.until(lambda: notebook.said["lonely"] and notebook.newest("lonely"))


async def test_dictionaries_that_cannot_be_used_cost_their_structures(plant: Plant) -> None:
    """They are bad, the reason says why; other tags are read, and nobody asks again and again."""
    edits = {
        "broken": (b"<opc:TypeDictionary", b"<opc:TypeDictionary <", "no XML"),
        "entities": (b"<opc:TypeDictionary", b'<!DOCTYPE a [<!ENTITY b "c">]><opc:TypeDictionary', "DTD"),
        "renamed": (b'Name="Tool"', b'Name="Other"', "are not described"),
    }
    tags = {"state": "i=2259"}
    for name, (before, after, _) in edits.items():
        book = await write(plant, name, TOOL)
        await plant.do(book.rewrite(before, after))
        tags |= await _add(book, **{name: book.thing("Tool", DRILL)})
    async with collecting(plant.url, tags, mode="poll") as notebook:
        for name, (_, _, words) in edits.items():
            await notebook.until(lambda name=name, words=words: words in (notebook.reasons.get(name) or ""))
            assert name_of(notebook.status(name)) == "BadDataEncodingUnsupported"
        assert notebook.newest("state") == 0


async def test_a_dictionary_is_read_once(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many structures of it there are, and however often they come."""
    documents: list[bytes] = []

    def counting(document: bytes) -> Any:
        documents.append(document)
        return read_dictionary(document)

    monkeypatch.setattr("agent.collectors.opcua.types.dictionaries.read_dictionary", counting)
    book = await write(plant, "once", ORDER)
    tags = await _add(book, once=book.thing("Order", DUE), often=book.thing("Tool", DRILL))
    async with collecting(plant.url, tags, mode="poll") as notebook:
        await notebook.until(lambda: sum(bool(value) for name in tags for value, *_ in notebook.said[name]) >= 10)
    assert len(documents) == 1


async def test_a_dictionary_with_another_version_is_read_again(plant: Plant) -> None:
    """A program was changed online, and no value says so: the version does, and fields have their new names."""
    book = await write(plant, "versions", TOOL)

    async def version(value: str) -> None:
        if "version" not in book.plant.nodes:
            book.plant.nodes["version"] = await book.node.add_property(0, "DataTypeVersion", value)
        await book.plant.nodes["version"].write_value(value)

    await plant.do(version("1"))
    tags = await _add(book, versioned=book.thing("Tool", DRILL))
    async with collecting(plant.url, tags, pace=BRISK._replace(audit=0.1)) as notebook:
        await notebook.until(lambda: notebook.said["versioned"] and notebook.newest("versioned"))
        await plant.do(book.rewrite(b'"Wear"', b'"Left"'))
        await plant.do(version("2"))
        await notebook.until(lambda: notebook.newest("versioned") == {"Name": "drill", "Left": 0.5})
        assert notebook.status("versioned") == 0
