"""Dictionaries of types as servers of before OPC UA 1.04 have them: XML → shapes (OPC 10000-5 of 1.04, annex E). Pure.

    <opc:StructuredType Name="Order">
      <opc:Field Name="NoOfTools" TypeName="opc:Int32"/>
      <opc:Field Name="Tools" TypeName="tns:Tool" LengthField="NoOfTools"/>

What a server sends is data: a document with a DTD is refused (entities could grow without end), size and number are
bounded, nothing is executed and nothing registered with the library.
"""

from __future__ import annotations

from typing import NamedTuple
from xml.parsers import expat

from agent.collectors.opcua.types.structures import (
    BIT,
    CHARACTER,
    DESCRIBED,
    STANDARD,
    Field,
    Key,
    Presence,
    StructureShape,
)
from agent.collectors.opcua.values.values import UnsupportedError

LARGEST = 4 << 20  #: bytes of one dictionary
_MOST_FIELDS = 100_000
_BINARY = "http://opcfoundation.org/BinarySchema/"
_ENUMERATED = {8: 3, 16: 5, 32: 6, 64: 8}  #: bits of an enumeration → the number it is sent as

#: What both namespaces call the types that are built in (OPC 10000-6, 5.1.2).
_BUILT_IN = {
    "Bit": BIT, "Boolean": 1, "SByte": 2, "Byte": 3, "Int16": 4, "UInt16": 5, "Int32": 6, "UInt32": 7, "Int64": 8,
    "UInt64": 9, "Float": 10, "Double": 11, "String": 12, "CharArray": 12, "DateTime": 13, "Guid": 14, "ByteString": 15,
    "XmlElement": 16, "NodeId": 17, "ExpandedNodeId": 18, "StatusCode": 19, "QualifiedName": 20, "LocalizedText": 21,
    "ExtensionObject": 22, "DataValue": 23, "Variant": 24, "Char": CHARACTER,
}  # fmt: skip


class Dictionary(NamedTuple):
    """One of a server's dictionaries."""

    namespace: str
    shapes: dict[Key, StructureShape]
    others: frozenset[str]  #: namespaces its fields name


def read_dictionary(document: bytes) -> Dictionary:
    """Raises UnsupportedError with words where it is none, or none we can read."""
    if len(document) > LARGEST:
        raise UnsupportedError(f"the server's dictionary has {len(document)} bytes, {LARGEST} are the most")
    reader = _Reader()
    try:
        reader.parser.Parse(document.rstrip(b"\0"), True)
    except (expat.ExpatError, ValueError) as error:
        raise UnsupportedError(f"the server's dictionary is no XML: {error}") from None
    if reader.namespace is None:
        raise UnsupportedError("the server's dictionary is no TypeDictionary")
    types = [field.type for shape in reader.shapes.values() for field in shape.fields]
    others = {kind[0] for kind in types if isinstance(kind, tuple)} - {reader.namespace, STANDARD, _BINARY, ""}
    return Dictionary(reader.namespace, reader.shapes, frozenset(others))


class _Reader:
    """What expat tells, gathered."""

    def __init__(self) -> None:
        self.namespace: str | None = None
        self.shapes: dict[Key, StructureShape] = {}
        self._prefixes: dict[str | None, str] = {}
        self._type: str | None = None
        self._fields: list[Field] = []
        self._count = 0
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.StartNamespaceDeclHandler = self._declare
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end

    def _refuse(self, *_: object) -> None:
        raise UnsupportedError("the server's dictionary has a DTD, which is not read")

    def _declare(self, prefix: str | None, uri: str | None) -> None:
        self._prefixes[prefix] = uri or ""

    def _start(self, tag: str, given: dict[str, str]) -> None:
        kind = tag.rpartition(" ")[2]
        if kind == "TypeDictionary":
            self.namespace = given.get("TargetNamespace", "")
            if given.get("DefaultByteOrder", "LittleEndian") != "LittleEndian":
                raise UnsupportedError("the server's dictionary is for another byte order than OPC UA's")
        elif kind == "StructuredType":
            self._type, self._fields = given.get("Name", ""), []
        elif kind == "EnumeratedType" and (number := _ENUMERATED.get(_whole(given, "LengthInBits") or 32)) is not None:
            name = given.get("Name", "")
            self.shapes[self.namespace or "", name] = StructureShape(name, DESCRIBED, (Field("", number, 0, False),))
        elif kind == "Field" and self._type is not None:
            self._count += 1
            if self._count > _MOST_FIELDS:
                raise UnsupportedError(f"the server's dictionary has more than {_MOST_FIELDS} fields")
            self._fields.append(self._field(given))

    def _end(self, tag: str) -> None:
        if tag.rpartition(" ")[2] == "StructuredType" and self._type is not None:
            told = {
                name for field in self._fields for name in (field.counter, field.presence and field.presence.switch)
            }
            fields = tuple(field._replace(hidden=field.hidden or field.name in told) for field in self._fields)
            self.shapes[self.namespace or "", self._type] = StructureShape(self._type, DESCRIBED, fields)
            self._type = None

    def _field(self, given: dict[str, str]) -> Field:
        prefix, _, name = given.get("TypeName", "").rpartition(":")
        space = self._prefixes.get(prefix) if prefix else self.namespace
        built_in = _BUILT_IN.get(name) if space in {_BINARY, STANDARD} else None
        odd = "Terminator" in given or given.get("IsLengthInBytes", "false") not in {"false", "0"}
        presence = None
        if switch := given.get("SwitchField"):
            presence = Presence(switch, given.get("SwitchOperand", "Equals"), _whole(given, "SwitchValue"))
        count, counter = _whole(given, "Length"), given.get("LengthField")
        kind: int | Key = (space or "", name) if built_in is None else built_in
        return Field(
            name=given.get("Name", ""),
            type=("", "a field with a terminator or a length in bytes") if odd else kind,
            dimensions=0 if kind == BIT or (count is None and counter is None) else 1,
            optional=presence is not None,
            presence=presence,
            times=count,
            counter=counter,
            hidden=kind == BIT and given.get("Name", "").startswith("Reserved"),
        )


def _whole(given: dict[str, str], key: str) -> int | None:
    text = given.get(key)
    if text is None:
        return None
    if not text.isdecimal() or len(text) > 9:
        raise UnsupportedError(f"the server's dictionary has {key}={text[:20]!r}")
    return int(text)
