"""Bytes of a structure → JSON-able dict, by the server's own definition (OPC 10000-6, 5.2.6-5.2.8).

Nothing is registered with the library, whose classes are global: two servers may call two things by one name.
"""

from __future__ import annotations

import dataclasses
import enum
import operator
import struct
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua import uaprotocol_auto
from asyncua.ua.ua_binary import struct_from_binary, unpack_uatype

from agent.collectors.opcua.values import exact
from agent.collectors.opcua.values.values import DoubtfulError, UnsupportedError, convert

exact.install()

_DEEPEST = 64  #: structures inside structures
_MOST_DIMENSIONS = 32
#: Fields and elements looked at for the structures of one answer, absent ones too: a quarter of a second.
MOST_STEPS = 250_000
#: Arrays of these are decoded in one go.
_NUMBERS = {1: "?", 2: "b", 3: "B", 4: "h", 5: "H", 6: "i", 7: "I", 8: "q", 9: "Q", 10: "f", 11: "d"}
_OPTIONAL, _UNION, _SUBTYPED, _SUBTYPED_UNION = 1, 2, 3, 4  #: StructureType (OPC 10000-3, 8.49); 0 is plain
DESCRIBED = 5  #: by a dictionary of before 1.04: its fields say themselves when they are there, and how often
BIT, CHARACTER = -1, -2  #: types of fields that only a dictionary has
STANDARD = "http://opcfoundation.org/UA/"  #: the namespace of the standard's own types

Key = tuple[str, str]  #: a type's namespace URI and name in a dictionary
_COMPARE: Mapping[str, Callable[[int, int], bool]] = {
    "Equals": operator.eq,
    "NotEqual": operator.ne,
    "NotEquals": operator.ne,
    "GreaterThan": operator.gt,
    "GreaterThanOrEqual": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqual": operator.le,
}


class Presence(NamedTuple):
    """When a field is there (OPC 10000-5 of 1.04, E.2.6)."""

    switch: str  #: an earlier field …
    operand: str  #: … compared so …
    value: int | None  #: … with this; None: it is not 0


class Field(NamedTuple):
    """One field of a structure. `type`: a built-in type's number, or which structure. The last: of a dictionary."""

    name: str
    type: int | ua.NodeId | Key
    dimensions: int  #: 0: a scalar
    optional: bool
    presence: Presence | None = None
    times: int | None = None  #: so many; None: as the counter, or one
    counter: str | None = None  #: the earlier field that says how many
    hidden: bool = False  #: it is about other fields, and not said


class StructureShape(NamedTuple):
    """One structure. Without a name of its own the only field of a described one is what it is sent as."""

    name: str
    kind: int
    fields: tuple[Field, ...]


class Codec:
    """Decodes what `shapes` describe. `nested` decodes an extension object inside a structure."""

    def __init__(self, shapes: Mapping[ua.NodeId | Key, StructureShape], nested: Callable[[Any], object]) -> None:
        self._shapes = shapes
        self._nested = nested
        self._doubt: str | None = None
        self._nesting = 0  # extension objects within each other
        self._answer = MOST_STEPS
        self._left = 0  # steps that may still come: fields and elements of nothing must not keep us for ever

    def begin(self) -> None:
        """Another answer of the server's is decoded."""
        self._answer = MOST_STEPS

    def decode(self, data_type: ua.NodeId | Key, body: bytes) -> dict[str, object]:
        """Raises UnsupportedError where a definition is missing or does not fit the bytes."""
        around, self._doubt = self._doubt, None  # an extension object inside a structure brings us here again
        allowed = 0
        if not self._nesting:  # what is inside counts as a part of what is around it
            self._left = allowed = min(1000 + 64 * len(body), self._answer)
        self._nesting += 1
        buffer = Buffer(body)
        try:
            value = self._structure(data_type, buffer, 0)
            if len(buffer):
                raise UnsupportedError(f"{len(buffer)} bytes more than the definition of {_name(data_type)}")
            if not isinstance(value, dict):
                raise UnsupportedError(f"{_name(data_type)} is no structure")
            if self._doubt is not None:
                raise DoubtfulError(value, self._doubt)
            return value
        finally:
            self._doubt = around
            self._nesting -= 1
            if not self._nesting:
                self._answer -= allowed - max(self._left, 0)

    def _step(self, count: int = 1) -> None:
        self._left -= count
        if self._left < 0:
            raise UnsupportedError("more fields and elements than its bytes can hold, or than one answer may have")

    def _structure(self, data_type: ua.NodeId | Key, buffer: Buffer, depth: int) -> object:
        shape = self._shapes.get(data_type)
        if depth > _DEEPEST:
            raise UnsupportedError("structures nested too deeply")
        if shape is None:
            return self._standard(data_type, buffer)
        if shape.kind == DESCRIBED:
            return self._described(shape, buffer, depth)
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
            self._step()
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
        dimensions = self._length(buffer) or 0
        if dimensions > _MOST_DIMENSIONS:
            raise UnsupportedError(f"{field.name} has {dimensions} dimensions")
        sizes = [self._length(buffer) or 0 for _ in range(dimensions)]
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

    def _array(
        self, data_type: int | ua.NodeId | Key, length: int | None, buffer: Buffer, depth: int
    ) -> list[object] | None:
        if length is None:
            return None
        if isinstance(data_type, int) and (code := _NUMBERS.get(data_type)) is not None:
            self._step(1 + length // 8)
            whole = struct.Struct(f"<{length}{code}")
            if whole.size > len(buffer):
                raise UnsupportedError("an array longer than its bytes")
            return list(whole.unpack(buffer.read(whole.size)))
        return [self._element(data_type, buffer, depth) for _ in range(length)]

    def _element(self, data_type: int | ua.NodeId | Key, buffer: Buffer, depth: int) -> object:
        self._step()
        if not isinstance(data_type, int):
            return self._structure(data_type, buffer, depth + 1)
        if data_type == CHARACTER:
            return self._characters(1, buffer)
        value = unpack_uatype(ua.VariantType(data_type), buffer)
        try:
            return self._nested(value) if data_type == 22 else convert(data_type, False, value, self._nested)
        except DoubtfulError as doubtful:
            self._doubt = str(doubtful)
            return doubtful.value

    # --- by a dictionary ----------------------------------------------------------------------------------------------

    def _described(self, shape: StructureShape, buffer: Buffer, depth: int) -> object:
        if len(shape.fields) == 1 and not shape.fields[0].name:
            return self._element(shape.fields[0].type, buffer, depth)
        seen: dict[str, object] = {}
        octet = bits = 0
        for field in shape.fields:
            self._step()
            if field.presence is not None and not _is_there(field.presence, seen):
                continue
            if field.type == BIT:
                number = 0
                for at in range(min(field.times or 1, 64)):
                    if not bits:
                        octet, bits = unpack_uatype(ua.VariantType.Byte, buffer), 8
                    number |= (octet & 1) << at
                    octet, bits = octet >> 1, bits - 1
                seen[field.name] = number if (field.times or 1) > 1 else bool(number)
                continue
            if bits:
                raise UnsupportedError(f"{shape.name}.{field.name} begins inside a byte")
            seen[field.name] = self._part(field, seen, buffer, depth)
        if bits:
            raise UnsupportedError(f"{shape.name} ends inside a byte")
        hidden = {field.name for field in shape.fields if field.hidden}
        return {name: value for name, value in seen.items() if name not in hidden}

    def _part(self, field: Field, seen: Mapping[str, object], buffer: Buffer, depth: int) -> object:
        if not field.dimensions:
            return self._element(field.type, buffer, depth)
        length = field.times if field.counter is None else _number(field.counter, seen)
        if length is None or length < 0:
            return None
        if length > len(buffer):
            raise UnsupportedError("an array longer than its bytes")
        if field.type == CHARACTER:
            return self._characters(length, buffer)
        return self._array(field.type, length, buffer, depth)

    def _characters(self, count: int, buffer: Buffer) -> str:
        raw = buffer.read(count).rstrip(b"\0")
        try:
            return raw.decode()
        except UnicodeDecodeError:
            self._doubt = str(DoubtfulError(raw))
            return raw.decode(errors="replace")

    def _standard(self, data_type: ua.NodeId | Key, buffer: Buffer) -> object:
        """Types of the standard are not described by each server: the library knows them."""
        if isinstance(data_type, tuple) and data_type[0] == STANDARD:
            known = getattr(uaprotocol_auto, data_type[1], None)
            if isinstance(known, enum.EnumMeta):
                return int(unpack_uatype(ua.VariantType.Int32, buffer))
            if isinstance(known, type) and dataclasses.is_dataclass(known):
                try:
                    return self._nested(struct_from_binary(known, buffer))
                except DoubtfulError as doubtful:
                    self._doubt = str(doubtful)
                    return doubtful.value
        raise UnsupportedError(f"the server does not describe the structure {_name(data_type)}")


def _name(data_type: ua.NodeId | Key) -> str:
    return data_type[1] if isinstance(data_type, tuple) else data_type.to_string()


def _is_there(presence: Presence, seen: Mapping[str, object]) -> bool:
    if presence.switch not in seen:  # it is not there itself
        return False
    number = _number(presence.switch, seen)
    if presence.value is None:
        return bool(number)
    compare = _COMPARE.get(presence.operand)
    if compare is None:
        raise UnsupportedError(f"a field compared by {presence.operand}")
    return compare(number or 0, presence.value)


def _number(name: str, seen: Mapping[str, object]) -> int:
    value = seen.get(name)
    if not isinstance(value, int):
        raise UnsupportedError(f"{name} is no number, and others depend on it")
    return value
