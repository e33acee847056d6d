"""Values of the OPC UA built-in types as what the rest of the agent knows: bool, int, float, str, None, lists.

Pure: the library's objects are only looked at (`.Text`, `.Name`, `.to_string()`), never imported. Numbers of the types:
OPC 10000-6, table 1. Enumerations travel as Int32 and stay numbers.
"""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

from agent.core.quality import number_of

UNCERTAIN = number_of("Uncertain")


class UnsupportedError(Exception):
    """This value has no representation yet; the words say why."""


class MendedTextError(Exception):
    """Text that is not valid UTF-8: `text` has U+FFFD where it was broken."""

    def __init__(self, text: str) -> None:
        super().__init__("text is not valid UTF-8")
        self.text = text


TYPE_NAMES: Mapping[int, str] = {
    1: "bool", 2: "int8", 3: "uint8", 4: "int16", 5: "uint16", 6: "int32", 7: "uint32", 8: "int64", 9: "uint64",
    10: "float32", 11: "float64", 12: "string", 13: "datetime", 14: "guid", 15: "bytes", 16: "xml", 17: "nodeid",
    18: "nodeid", 19: "statuscode", 20: "qualifiedname", 21: "localizedtext", 22: "structure", 23: "datavalue",
    24: "variant", 25: "diagnosticinfo",
}  # fmt: skip

Convert = Callable[[Any], object]


def _text(value: str | bytes | None) -> str | None:
    if value is None:
        return None
    if isinstance(value, bytes):
        value = value.decode("utf-8", "surrogateescape")
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:  # the library keeps broken bytes as surrogates, which no JSON can carry
        raise MendedTextError(value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")) from None
    return value


def iso_utc(instant: dt.datetime | None) -> str | None:
    """`2026-11-22T07:00:00.123Z`; microseconds where there are any."""
    if instant is None:
        return None
    if instant.tzinfo is not None:
        instant = instant.astimezone(dt.UTC).replace(tzinfo=None)
    return instant.isoformat(timespec="microseconds" if instant.microsecond % 1000 else "milliseconds") + "Z"


def _structure(value: Any) -> object:
    if value is None:
        return None
    type_id = getattr(value, "TypeId", None)
    what = type_id.to_string() if type_id is not None else type(value).__name__
    raise UnsupportedError(f"structures are not decoded yet ({what})")


def _diagnostics(_value: Any) -> object:
    raise UnsupportedError("diagnostic information is not a value")


def _nested(variant: Any) -> object:
    return None if variant is None else convert(variant.VariantType.value, bool(variant.is_array), variant.Value)


_CONVERT: Mapping[int, Convert] = {
    12: _text,
    13: iso_utc,
    14: lambda value: None if value is None else str(value),
    15: lambda value: None if value is None else base64.b64encode(value).decode("ascii"),
    16: lambda value: _text(getattr(value, "Value", value)),
    17: lambda value: None if value is None else _text(value.to_string()),
    18: lambda value: None if value is None else _text(value.to_string()),
    19: lambda value: getattr(value, "value", value),
    20: lambda value: None if value is None else _text(value.Name),
    21: lambda value: None if value is None else _text(value.Text),
    22: _structure,
    23: lambda value: None if value is None else _nested(value.Value),
    24: _nested,
    25: _diagnostics,
}


def _unknown(_value: Any) -> object:
    raise UnsupportedError("a type the standard does not have")


def _each(inner: Convert | None) -> Convert:
    def apply(value: Any) -> object:
        if not isinstance(value, list | tuple):
            return value if inner is None or value is None else inner(value)
        return [apply(element) if isinstance(element, list | tuple) else _one(element) for element in value]

    def _one(element: Any) -> object:
        return element if inner is None else inner(element)

    return apply


def converter(kind: int, is_array: bool) -> Convert | None:
    """How values of this type (number in the standard's table) are converted; None: they are fit as they are."""
    inner = _CONVERT.get(kind) if kind in TYPE_NAMES or kind == 0 else _unknown
    return _each(inner) if is_array else inner


def convert(kind: int, is_array: bool, value: Any) -> object:
    """One value. Raises UnsupportedError or MendedTextError."""
    how = converter(kind, is_array)
    return value if how is None else how(value)


def type_name(kind: int, is_array: bool) -> str | None:
    """The name for the catalogue; None where the type is not known (Null)."""
    name = TYPE_NAMES.get(kind)
    return name if name is None or not is_array else f"{name}[]"
