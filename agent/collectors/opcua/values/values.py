"""Values of the OPC UA built-in types as what the rest of the agent knows: bool, int, float, str, None, lists, dicts.

Pure: the library's objects are only looked at (`.Text`, `.Name`, `.to_string()`), never imported. Numbers of the types:
OPC 10000-6, table 1. Enumerations travel as Int32 and stay numbers; structures become dicts.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

from agent.core.quality import number_of

UNCERTAIN = number_of("Uncertain")
_BAD = 0x80000000


class UnsupportedError(Exception):
    """This value has no representation yet; the words say why."""


class BadPartError(Exception):
    """A value inside it is bad, by the word of the server: so is the whole. `status`: of the one inside."""

    def __init__(self, status: int, words: str = "the server says a value inside it is bad") -> None:
        super().__init__(words)
        self.status = status


class DoubtfulError(Exception):
    """`value`, the whole of it, is uncertain. Text that is not valid UTF-8 has U+FFFD where it was broken."""

    def __init__(self, value: object, words: str = "text is not valid UTF-8") -> None:
        super().__init__(words)
        self.value = value


def clean(text: str) -> str:
    """A name or text that a message can carry: the library keeps broken bytes as surrogates, U+FFFD stands for them."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


TYPE_NAMES: Mapping[int, str] = {
    1: "bool", 2: "int8", 3: "uint8", 4: "int16", 5: "uint16", 6: "int32", 7: "uint32", 8: "int64", 9: "uint64",
    10: "float32", 11: "float64", 12: "string", 13: "datetime", 14: "guid", 15: "bytes", 16: "xml", 17: "nodeid",
    18: "nodeid", 19: "statuscode", 20: "qualifiedname", 21: "localizedtext", 22: "structure", 23: "datavalue",
    24: "variant", 25: "diagnosticinfo",
}  # fmt: skip

Convert = Callable[[Any], object]


def _text(value: str | bytes | None) -> str:
    if value is None:  # many servers make no difference, and OPC UA hardly any (OPC 10000-6, 5.2.2.14)
        return ""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "surrogateescape")
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:  # the library keeps broken bytes as surrogates, which no JSON can carry
        raise DoubtfulError(value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")) from None
    return value


def iso_utc(instant: dt.datetime | None) -> str | None:
    """`2026-11-22T07:00:00.123Z`; micro- and hundreds of nanoseconds where there are any."""
    if instant is None:
        return None
    hundreds = getattr(instant, "hundreds", 0)  # see exact.py
    if instant.tzinfo is not None:
        instant = instant.astimezone(dt.UTC).replace(tzinfo=None)
    fine = bool(hundreds or instant.microsecond % 1000)
    text = instant.isoformat(timespec="microseconds" if fine else "milliseconds")
    return f"{text}{hundreds or ''}Z"


def object_of(value: Any) -> object:
    """A structure of the standard, which the library has decoded into an object of its own."""
    if value is None:
        return None
    what = getattr(value, "TypeId", None)
    if what is not None:  # an extension object nobody has decoded
        if value.Body is None and what.Identifier == 0:
            return None
        raise UnsupportedError(f"structures of type {what.to_string()} are not described by the server")
    if not dataclasses.is_dataclass(value):
        raise UnsupportedError(f"structures of type {type(value).__name__} have no representation")
    made: dict[str, object] = {}
    doubt: str | None = None
    for field in dataclasses.fields(value):
        if field.name not in {"Encoding", "TypeId"}:
            try:
                made[field.name] = _member(getattr(value, field.name))
            except DoubtfulError as doubtful:
                made[field.name], doubt = doubtful.value, str(doubtful)
    if doubt is not None:
        raise DoubtfulError(made, doubt)
    return made


_MEMBERS: Mapping[str, int] = {
    "LocalizedText": 21, "QualifiedName": 20, "NodeId": 17, "ExpandedNodeId": 18, "StatusCode": 19, "DataValue": 23,
    "Variant": 24, "datetime": 13, "UUID": 14, "bytes": 15, "str": 12, "XmlElement": 16,
}  # fmt: skip


def _member(value: Any) -> object:
    """A field's value, by the type it has."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return int(value)  # an enumeration of the library's too
    if isinstance(value, list | tuple):
        return _each(_member)(value)
    for kind in type(value).__mro__:
        if (number := _MEMBERS.get(kind.__name__)) is not None:
            return convert(number, False, value)
    return object_of(value)


def _diagnostics(_value: Any) -> object:
    raise UnsupportedError("diagnostic information is not a value")


def _nested(structure: Convert) -> Convert:
    def apply(variant: Any) -> object:
        if variant is None:
            return None
        return convert(variant.VariantType.value, bool(variant.is_array), variant.Value, structure)

    return apply


_CONVERT: Mapping[int, Convert] = {
    12: _text,
    13: iso_utc,
    14: lambda value: None if value is None else str(value),
    15: lambda value: base64.b64encode(value or b"").decode("ascii"),
    16: lambda value: _text(getattr(value, "Value", value)),
    17: lambda value: None if value is None else _text(value.to_string()),
    18: lambda value: None if value is None else _text(value.to_string()),
    19: lambda value: getattr(value, "value", value),
    20: lambda value: _text(None if value is None else value.Name),
    21: lambda value: _text(None if value is None else value.Text),
    25: _diagnostics,
}


def _unknown(_value: Any) -> object:
    raise UnsupportedError("a type the standard does not have")


def _each(inner: Convert | None) -> Convert:
    def apply(value: Any) -> object:
        if not isinstance(value, list | tuple):
            return value if inner is None else inner(value)
        made: list[object] = []
        doubt: str | None = None
        for element in value:
            try:
                made.append(apply(element))
            except DoubtfulError as doubtful:  # the others count too
                made.append(doubtful.value)
                doubt = str(doubtful)
        if doubt is not None:
            raise DoubtfulError(made, doubt)
        return made

    return lambda value: [] if value is None else apply(value)  # a null array is an empty one


def _inner(structure: Convert) -> Convert:
    """A DataValue as a value: what it says of the one inside counts."""
    variant = _nested(structure)

    def apply(value: Any) -> object:
        if value is None:
            return None
        status = 0 if value.StatusCode is None else int(value.StatusCode.value)
        if status >= _BAD:
            raise BadPartError(status)
        made = variant(value.Value)
        if status >= UNCERTAIN:
            raise DoubtfulError(made, "the server says a value inside it is uncertain")
        return made

    return apply


def converter(kind: int, is_array: bool, structure: Convert = object_of) -> Convert | None:
    """How values of this type (number in the standard's table) are converted; None: they are fit as they are.

    `structure` converts extension objects.
    """
    inner: Convert | None
    if kind == 22:
        inner = structure
    elif kind == 23:
        inner = _inner(structure)
    elif kind == 24:
        inner = _nested(structure)
    else:
        inner = _CONVERT.get(kind) if kind in TYPE_NAMES or kind == 0 else _unknown
    return _each(inner) if is_array else inner


def convert(kind: int, is_array: bool, value: Any, structure: Convert = object_of) -> object:
    """One value. Raises UnsupportedError, BadPartError or DoubtfulError."""
    how = converter(kind, is_array, structure)
    return value if how is None else how(value)


def type_name(kind: int, is_array: bool) -> str | None:
    """The name for the catalogue; None where the type is not known (Null)."""
    name = TYPE_NAMES.get(kind)
    return name if name is None or not is_array else f"{name}[]"
