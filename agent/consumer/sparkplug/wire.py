"""Sparkplug payloads read from their bytes, strictly: a walk over the protobuf wire format, no library.

A library takes the last of repeated fields, skips unknown ones and fills in defaults; here all of that shows.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

#: field number → name, wire type; `=`: one of the values
_PAYLOAD = {1: ("timestamp", VARINT), 2: ("metrics", BYTES), 3: ("seq", VARINT), 4: ("uuid", BYTES), 5: ("body", BYTES)}
_METRIC = {
    1: ("name", BYTES), 2: ("alias", VARINT), 3: ("timestamp", VARINT), 4: ("datatype", VARINT),
    5: ("is_historical", VARINT), 6: ("is_transient", VARINT), 7: ("is_null", VARINT), 8: ("metadata", BYTES),
    9: ("properties", BYTES), 10: ("=int_value", VARINT), 11: ("=long_value", VARINT), 12: ("=float_value", FIXED32),
    13: ("=double_value", FIXED64), 14: ("=boolean_value", VARINT), 15: ("=string_value", BYTES),
    16: ("=bytes_value", BYTES), 17: ("=dataset_value", BYTES), 18: ("=template_value", BYTES),
    19: ("=extension_value", BYTES),
}  # fmt: skip
_PROPERTY = {
    1: ("type", VARINT), 2: ("is_null", VARINT), 3: ("=int_value", VARINT), 4: ("=long_value", VARINT),
    5: ("=float_value", FIXED32), 6: ("=double_value", FIXED64), 7: ("=boolean_value", VARINT),
    8: ("=string_value", BYTES), 9: ("=propertyset_value", BYTES), 10: ("=propertysets_value", BYTES),
}  # fmt: skip

Raw = int | bytes


class MalformedError(ValueError):
    """These bytes are no payload."""


@dataclass
class Property:
    """One value of a property set."""

    type: int | None = None
    is_null: bool = False
    value_field: str | None = None
    value: object = None


@dataclass
class Metric:
    """One metric; None where a field is absent."""

    name: str | None = None
    alias: int | None = None
    timestamp: int | None = None
    datatype: int | None = None
    is_historical: bool = False
    is_transient: bool = False
    is_null: bool = False
    keys: list[str] = field(default_factory=list)
    properties: list[Property] = field(default_factory=list)
    value_field: str | None = None
    value: object = None  #: as it stands in its field: integers unsigned

    def property(self, key: str) -> Property | None:
        """The property of this key."""
        return dict(zip(self.keys, self.properties, strict=False)).get(key)

    def signed(self, datatype: int | None = None) -> object:
        """The value as its type means it: integers with their sign."""
        bits = {1: 32, 2: 32, 3: 32, 4: 64, 13: 64}.get(datatype or self.datatype or 0)
        if bits is not None and isinstance(self.value, int) and self.value >= 1 << (bits - 1):
            return self.value - (1 << bits)
        return self.value


@dataclass
class Payload:
    """One payload. `oddities` says what is legal protobuf and yet wrong here."""

    timestamp: int | None = None
    seq: int | None = None
    uuid: str | None = None
    body: bytes | None = None
    metrics: list[Metric] = field(default_factory=list)
    oddities: list[str] = field(default_factory=list)

    def metric(self, name: str) -> Metric:
        """The metric of this name. KeyError where there is none."""
        for metric in self.metrics:
            if metric.name == name:
                return metric
        raise KeyError(name)


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Value, and where the next thing begins."""
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise MalformedError("a number without an end")
        value |= (data[at] & 0x7F) << shift
        at += 1
        if not data[at - 1] & 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7


def walk(data: bytes) -> Iterator[tuple[int, int, Raw]]:
    """Field number, wire type, raw value, in order."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            value, at = varint(data, at)
            yield number, wire, value
            continue
        if wire == BYTES:
            size, at = varint(data, at)
        elif wire in (FIXED32, FIXED64):
            size = 4 if wire == FIXED32 else 8
        else:
            raise MalformedError(f"wire type {wire}")
        if at + size > len(data):
            raise MalformedError("cut off")
        yield number, wire, data[at : at + size]
        at += size


def _text(raw: Raw) -> str:
    try:
        return bytes(raw).decode() if isinstance(raw, bytes) else str(raw)
    except UnicodeDecodeError as error:
        raise MalformedError(f"a text is no UTF-8: {error}") from error


def _value(name: str, raw: Raw) -> object:
    if name == "float_value" and isinstance(raw, bytes):
        return struct.unpack("<f", raw)[0]
    if name == "double_value" and isinstance(raw, bytes):
        return struct.unpack("<d", raw)[0]
    if name == "boolean_value":
        return bool(raw)
    return _text(raw) if name == "string_value" else raw


def _known(
    what: Literal["payload", "metric", "property"], table: dict[int, tuple[str, int]], data: bytes, odd: list[str]
) -> Iterator[tuple[str, Raw]]:
    seen: set[str] = set()
    for number, wire, raw in walk(data):
        if number not in table:
            odd.append(f"{what}: unknown field {number}")
            continue
        name, expected = table[number]
        if wire != expected:
            raise MalformedError(f"{what}: field {name} has wire type {wire}")
        once = "=value" if name[0] == "=" else name
        if once in seen and name != "metrics":
            odd.append(f"{what}: {name.lstrip('=')} twice")
        seen.add(once)
        yield name, raw


def _property(data: bytes, odd: list[str]) -> Property:
    result = Property()
    for name, raw in _known("property", _PROPERTY, data, odd):
        if name[0] == "=":
            result.value_field, result.value = name[1:], _value(name[1:], raw)
        elif name == "type" and isinstance(raw, int):
            result.type = raw
        else:
            result.is_null = bool(raw)
    return result


def _metric(data: bytes, odd: list[str]) -> Metric:
    result = Metric()
    for name, raw in _known("metric", _METRIC, data, odd):
        if name[0] == "=":
            result.value_field, result.value = name[1:], _value(name[1:], raw)
        elif name == "name":
            result.name = _text(raw)
        elif name == "properties" and isinstance(raw, bytes):
            for number, _, one in walk(raw):
                if number == 1:
                    result.keys.append(_text(one))
                elif number == 2 and isinstance(one, bytes):
                    result.properties.append(_property(one, odd))
                else:
                    odd.append(f"property set: unknown field {number}")
        elif name.startswith("is_"):
            setattr(result, name, bool(raw))
        elif name != "metadata":
            setattr(result, name, raw)
    return result


def decode(data: bytes) -> Payload:
    """The payload. Raises MalformedError."""
    result = Payload()
    for name, raw in _known("payload", _PAYLOAD, data, result.oddities):
        if name == "metrics" and isinstance(raw, bytes):
            result.metrics.append(_metric(raw, result.oddities))
        elif name == "uuid":
            result.uuid = _text(raw)
        else:
            setattr(result, name, raw)
    return result
