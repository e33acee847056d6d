"""Bytes of a structure → JSON-able dict, by the server's own definition (OPC 10000-6, 5.2.6-5.2.8).

Nothing is registered with the library, whose classes are global: two servers may call two things by one name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import unpack_uatype

from agent.collectors.opcua.values import MendedTextError, UnsupportedError, convert

_DEEPEST = 64  #: structures inside structures
_OPTIONAL, _UNION, _SUBTYPED, _SUBTYPED_UNION = 1, 2, 3, 4  #: StructureType (OPC 10000-3, 8.49); 0 is plain


class Field(NamedTuple):
    """One field of a structure. `type`: a built-in type's number, or the node id of a structure."""

    name: str
    type: int | ua.NodeId
    dimensions: int  #: 0: a scalar
    optional: bool


class Shape(NamedTuple):
    """One structure."""

    name: str
    kind: int
    fields: tuple[Field, ...]


class Codec:
    """Decodes what `shapes` describe. `nested` decodes an extension object inside a structure."""

    def __init__(self, shapes: Mapping[ua.NodeId, Shape], nested: Callable[[Any], object]) -> None:
        self._shapes = shapes
        self._nested = nested
        self._mended = False

    def decode(self, data_type: ua.NodeId, body: bytes) -> dict[str, object]:
        """Raises UnsupportedError where a definition is missing or does not fit the bytes."""
        buffer = Buffer(body)
        self._mended = False
        value = self._structure(data_type, buffer, 0)
        if len(buffer):
            raise UnsupportedError(f"{len(buffer)} bytes more than the definition of {self._shapes[data_type].name}")
        if self._mended:
            raise MendedTextError(value)
        return value

    def _structure(self, data_type: ua.NodeId, buffer: Buffer, depth: int) -> dict[str, object]:
        shape = self._shapes.get(data_type)
        if shape is None:
            raise UnsupportedError(f"the server does not describe the structure {data_type.to_string()}")
        if depth > _DEEPEST:
            raise UnsupportedError("structures nested too deeply")
        if shape.kind in {_UNION, _SUBTYPED_UNION}:
            selected = unpack_uatype(ua.VariantType.UInt32, buffer)
            if not selected:
                return {}
            if selected > len(shape.fields):
                raise UnsupportedError(f"{shape.name} has no field {selected}")
            field = shape.fields[selected - 1]
            return {field.name: self._field(field, buffer, depth)}
        there = unpack_uatype(ua.VariantType.UInt32, buffer) if shape.kind == _OPTIONAL else 0
        value: dict[str, object] = {}
        bit = 1
        for field in shape.fields:
            if shape.kind == _OPTIONAL and field.optional:
                here, bit = there & bit, bit << 1
                if not here:
                    continue
            value[field.name] = self._field(field, buffer, depth)
        return value

    def _field(self, field: Field, buffer: Buffer, depth: int) -> object:
        if field.dimensions == 0:
            return self._element(field.type, buffer, depth)
        if field.dimensions == 1:
            return self._array(field.type, self._length(buffer), buffer, depth)
        sizes = [self._length(buffer) or 0 for _ in range(self._length(buffer) or 0)]
        total = 1
        for size in sizes:
            total *= size
        flat = self._array(field.type, min(total, len(buffer) + 1), buffer, depth) or []
        for size in reversed(sizes[1:]):
            flat = [flat[at : at + size] for at in range(0, len(flat), size)] if size else []
        return flat

    def _length(self, buffer: Buffer) -> int | None:
        length = unpack_uatype(ua.VariantType.Int32, buffer)
        if length > len(buffer):
            raise UnsupportedError("an array longer than its bytes")
        return None if length < 0 else int(length)

    def _array(self, data_type: int | ua.NodeId, length: int | None, buffer: Buffer, depth: int) -> list[object] | None:
        return None if length is None else [self._element(data_type, buffer, depth) for _ in range(length)]

    def _element(self, data_type: int | ua.NodeId, buffer: Buffer, depth: int) -> object:
        if isinstance(data_type, ua.NodeId):
            return self._structure(data_type, buffer, depth + 1)
        value = unpack_uatype(ua.VariantType(data_type), buffer)
        try:
            return self._nested(value) if data_type == 22 else convert(data_type, False, value, self._nested)
        except MendedTextError as text:
            self._mended = True
            return text.value
