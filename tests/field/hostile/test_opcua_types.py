"""Servers that lie about their types: definitions and dictionaries that make little bytes much work, and many names."""

from __future__ import annotations

import struct
import time
from typing import Any

import pytest
from asyncua import ua as library
from asyncua.ua.ua_binary import extensionobject_to_binary

from agent.collectors.common.limits import ChunkLimit
from agent.collectors.opcua.browse.walk import Walk
from agent.collectors.opcua.explore import Explorer
from agent.collectors.opcua.types.dictionary import read_dictionary
from agent.collectors.opcua.types.structures import MOST_STEPS, Codec, Field, StructureShape
from agent.collectors.opcua.values.decode import Decoder
from agent.collectors.opcua.values.times import SourceClock
from agent.collectors.opcua.values.values import UnsupportedError, object_of
from agent.core.clock import SystemClock

ua: Any = library
BYTE, INT32, OBJECT = 3, 6, 22
PLAIN, OPTIONAL = 0, 1
OUTER, INNER = ua.NodeId(4000, 1), ua.NodeId(4001, 1)
BUSY = 2.0  #: seconds of processor time; without bounds each of these takes minutes, so a slow machine is no excuse


def _count(number: int) -> bytes:
    return struct.pack("<i", number)


def _absent(fields: int) -> StructureShape:
    """Optional fields, more than there are bits to say that they are there."""
    return StructureShape("Inner", OPTIONAL, tuple(Field(f"f{at}", BYTE, 0, optional=True) for at in range(fields)))


def _outer(kind: object, dimensions: int = 1) -> StructureShape:
    return StructureShape("Outer", PLAIN, (Field("a", kind, dimensions, optional=False),))  # type: ignore[arg-type]


def test_absent_fields_count_as_well() -> None:
    """An array of structures all of whose 20,000 fields are absent: four bytes each, and 20,000 looks."""
    codec = Codec({OUTER: _outer(INNER), INNER: _absent(20_000)}, object_of)
    began = time.process_time()
    with pytest.raises(UnsupportedError, match="more fields and elements"):
        codec.decode(OUTER, _count(100_000) + bytes(400_000))
    assert time.process_time() - began < BUSY


def test_fields_that_a_dictionary_has_absent_count_as_well() -> None:
    """The same by a dictionary, whose fields are there when another says so: one byte each, and 9,000 looks."""
    fields = "".join(f'<opc:Field Name="f{at}" TypeName="opc:Int32" SwitchField="no"/>' for at in range(9_000))
    document = (
        '<opc:TypeDictionary xmlns:opc="http://opcfoundation.org/BinarySchema/" xmlns:tns="urn:x" '
        'TargetNamespace="urn:x"><opc:StructuredType Name="Inner"><opc:Field Name="k" TypeName="opc:Byte"/>'
        f'{fields}</opc:StructuredType><opc:StructuredType Name="Outer"><opc:Field Name="n" TypeName="opc:Int32"/>'
        '<opc:Field Name="a" TypeName="tns:Inner" LengthField="n"/></opc:StructuredType></opc:TypeDictionary>'
    )
    codec = Codec(read_dictionary(document.encode()).shapes, object_of)  # type: ignore[arg-type]
    began = time.process_time()
    with pytest.raises(UnsupportedError, match="more fields and elements"):
        codec.decode(("urn:x", "Outer"), _count(60_000) + bytes(60_000))
    assert time.process_time() - began < BUSY


def test_a_matrix_has_no_thousand_dimensions() -> None:
    """Their product alone would be a number of millions of digits."""
    codec = Codec({OUTER: _outer(BYTE, 3)}, object_of)
    with pytest.raises(UnsupportedError, match="200000 dimensions"):
        codec.decode(OUTER, _count(200_000) + _count(100) * 200_000)


def test_structures_within_structures_share_what_one_may_cost() -> None:
    """60,000 extension objects in an array, each of a type with 900 absent fields."""
    one = ua.ExtensionObject(INNER, bytes(4))
    codec = Codec({OUTER: _outer(OBJECT), INNER: _absent(900)}, lambda _: codec.decode(INNER, bytes(4)))
    body = extensionobject_to_binary(one)
    began = time.process_time()
    with pytest.raises(UnsupportedError, match="more fields and elements"):
        codec.decode(OUTER, _count(60_000) + body * 60_000)
    assert time.process_time() - began < BUSY


def test_all_structures_of_one_answer_share_as_well_and_the_next_answer_has_its_own() -> None:
    """An array of 3,000 small structures, each of 900 absent fields; and one of them alone."""
    codec = Codec({INNER: _absent(900)}, object_of)
    decoder = Decoder(1, SourceClock(), lambda value: codec.decode(INNER, value.Body), begin=codec.begin)

    def value(count: int) -> Any:
        made = [ua.ExtensionObject(INNER, bytes(4)) for _ in range(count)]
        return ua.DataValue(ua.Variant(made, ua.VariantType.ExtensionObject))

    assert MOST_STEPS < 3_000 * 900
    for count, good in ((3_000, False), (1, True), (3_000, False), (100, True)):
        answer = decoder.answer((0,), [value(count)], 1_800_000_000_000)
        assert (answer.status == 0) is good, answer.reason
        assert answer.values == [[{}] * count if good else None]


def test_arrays_of_numbers_are_decoded_in_one_go() -> None:
    """A megabyte of bytes is no million steps, and what is decoded is what stands there."""
    codec = Codec({OUTER: _outer(BYTE), INNER: _outer(INT32)}, object_of)
    assert codec.decode(OUTER, _count(1_000_000) + b"\7" * 1_000_000) == {"a": [7] * 1_000_000}
    assert codec.decode(INNER, _count(2) + struct.pack("<ii", -1, 2**31 - 1)) == {"a": [-1, 2**31 - 1]}
    with pytest.raises(UnsupportedError, match="an array longer than its bytes"):
        codec.decode(INNER, _count(5) + bytes(8))


class _Named:
    """A session whose every Browse brings one object with a name of a megabyte, one below the other."""

    def __init__(self) -> None:
        self.asked = 0

    async def browse(self, request: library.BrowseParameters) -> list[library.BrowseResult]:
        self.asked += 1
        found = library.ReferenceDescription()
        found.NodeId = library.ExpandedNodeId(10 + self.asked, 1)  # type: ignore[arg-type]
        found.NodeClass, found.BrowseName = library.NodeClass.Object, library.QualifiedName("n" * 1_000_000, 1)
        return [library.BrowseResult(References=[found]) for _ in request.NodesToBrowse]


async def test_names_have_a_length_and_weigh_what_they_hold() -> None:
    """A name has 512 characters at most (OPC 10000-3, 8.3); one with a megabyte counts as two thousand references."""
    chunks = (ChunkLimit(100), ChunkLimit(100))
    explorer = Explorer(_Named(), *chunks, "cnc", SystemClock())  # type: ignore[arg-type]
    walk = Walk(explorer, OUTER, deepest=3)
    names = [met.name async for page in walk.nodes() for met in page]
    assert [len(name) for name in names] == [512, 2 * 512 + 1, 3 * 512 + 2]
    assert walk.looked == 3 * (1 + 1_000_000 // 512)
