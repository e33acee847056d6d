"""A program that is changed online: other fields, other texts, under the same ids; no value is said by the old ones."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from asyncua import ua as library
from asyncua.common.structures104 import new_enum, new_struct, new_struct_field
from asyncua.server.internal_session import InternalSession
from asyncua.ua.attribute_ids import AttributeIds

from tests.integration.opcua.server import URN, Plant, said
from tests.integration.opcua.support import BRISK, collecting

ua: Any = library
STRUCTURE, SEMANTICS = 0x8000, 0x4000
TEMPERATURE, PRESSURE = 20, 100


class Program:
    """A recipe (temperature 20, pressure 100 for ever) and a mode, as one program has them and as the next does."""

    def __init__(self, plant: Plant, number: int) -> None:
        self.plant = plant
        self.names = f"recipe{number}", f"mode{number}"
        self.tags = {"recipe": f"nsu={URN};s={self.names[0]}", "mode": f"nsu={URN};s={self.names[1]}"}
        self._number = number
        self.changed = False

    async def build(self) -> None:
        server, index = self.plant.server, self.plant.indexes[URN]
        fields = [new_struct_field(name, ua.VariantType.Int32) for name in ("temp", "press")]
        self.recipe, _ = await new_struct(server, index, f"Recipe{self._number}", fields)
        self.mode = await new_enum(server, index, f"Mode{self._number}", ["stopped", "running"])
        self.encoding = (await self.recipe.get_referenced_nodes(ua.ObjectIds.HasEncoding))[0].nodeid
        for name, kind in zip(self.names, (self.recipe, self.mode), strict=True):
            node = await server.nodes.objects.add_variable(
                ua.NodeId(name, index), f"{index}:{name}", None, datatype=kind.nodeid
            )
            self.plant.nodes[name] = node

    async def change(self) -> None:
        """Pressure stands first now; 0 is running."""
        server, self.changed = self.plant.server, True
        definition = ua.StructureDefinition()
        definition.DefaultEncodingId, definition.BaseDataType = self.encoding, ua.NodeId(22)
        definition.Fields = [new_struct_field(name, ua.VariantType.Int32) for name in ("press", "temp")]
        texts = ua.EnumDefinition()
        texts.Fields = [
            ua.EnumField(Value=number, Name=name, DisplayName=ua.LocalizedText(name))
            for number, name in enumerate(("running", "stopped"))
        ]
        for node, value in ((self.recipe, definition), (self.mode, texts)):
            data = said(value, kind=ua.VariantType.ExtensionObject)
            await server.write_attribute_value(node.nodeid, data, AttributeIds.DataTypeDefinition)

    async def tell(self, *, marked: bool = False, bad: bool = False) -> None:
        """The machine is running, at 20 degrees and 100 bar, whatever the program."""
        if bad:
            for name, mark in zip(self.names, (STRUCTURE, SEMANTICS), strict=True):
                await self.plant.put(name, said(None, status=0x80310000 | mark))
            return
        order = (PRESSURE, TEMPERATURE) if self.changed else (TEMPERATURE, PRESSURE)
        body = ua.ExtensionObject(self.encoding, struct.pack("<ii", *order))
        recipe = said(body, kind=ua.VariantType.ExtensionObject, status=STRUCTURE if marked else 0)
        mode = said(0 if self.changed else 1, kind=ua.VariantType.Int32, status=SEMANTICS if marked else 0)
        await self.plant.put(self.names[0], recipe)
        await self.plant.put(self.names[1], mode)


@pytest.mark.parametrize(("mode", "bad"), [("subscribe", False), ("poll", False), ("subscribe", True)])
async def test_a_changed_program_is_read_again_before_its_values_are_said(plant: Plant, mode: str, bad: bool) -> None:
    """Every recipe that is said is the true one, and so is every text beside a mode; `bad`: bad values are marked."""
    program = Program(plant, 1 if mode == "poll" else 4 if bad else 2)
    await plant.do(program.build())
    await plant.do(program.tell())
    async with collecting(plant.url, program.tags, mode=mode) as notebook:
        truth = {"temp": TEMPERATURE, "press": PRESSURE}
        await notebook.until(lambda: notebook.said["recipe"] and notebook.newest("recipe") == truth)
        assert notebook.labels["mode"][notebook.newest("mode")] == "running"
        await plant.do(program.change())
        for _ in range(3):
            await plant.do(program.tell(marked=True, bad=bad))
        await notebook.until(lambda: notebook.newest("mode") == (None if bad else 0))
        await plant.do(program.tell())
        await notebook.until(lambda: notebook.newest("mode") == 0)
        known = len(notebook.said["recipe"])
        await notebook.until(lambda: len(notebook.said["recipe"]) > known or notebook.status("recipe") == 0)
        assert notebook.newest("recipe") == truth
        assert [row for row in notebook.said["recipe"] if row[1] < 0x40000000 and row[0] != truth] == []
        for sample in notebook.samples:  # the texts as of each sample are those of its values
            assert sample.labels is None or set(sample.labels[1].values()) == {"stopped", "running"}
        assert notebook.labels["mode"][0] == "running"


async def test_until_the_new_meaning_is_told_values_are_uncertain(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server does not answer for a while: no text, no fields; then both, without a new connection."""
    program = Program(plant, 3)
    await plant.do(program.build())
    await plant.do(program.tell())
    read = InternalSession.read
    shut = False

    async def reading(session: Any, parameters: Any) -> Any:
        if session.external and shut and parameters.NodesToRead[0].AttributeId == AttributeIds.DataType:
            raise ua.uaerrors.BadResourceUnavailable
        return await read(session, parameters)

    monkeypatch.setattr(InternalSession, "read", reading)
    async with collecting(plant.url, program.tags, pace=BRISK) as notebook:
        truth = {"temp": TEMPERATURE, "press": PRESSURE}
        await notebook.until(lambda: notebook.said["recipe"] and notebook.newest("recipe") == truth)
        shut = True
        await plant.do(program.change())
        await plant.do(program.tell(marked=True))
        await notebook.until(lambda: notebook.newest("mode") == 0 and notebook.newest("recipe") is None)
        for name in program.tags:
            assert 0x40000000 <= notebook.status(name) < 0x80000000
        assert notebook.labels["mode"] == {}
        shut = False
        await notebook.until(
            lambda: not notebook.status("recipe") & 0x40000000 and notebook.status("mode") < 0x40000000
        )
        assert notebook.newest("recipe") == truth
        assert notebook.labels["mode"][notebook.newest("mode")] == "running"
