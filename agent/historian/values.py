"""A value as a database keeps it: `value` (a double), `text`, `kind`. Pure.

| kind | value | text |
|---|---|---|
| number | the number | `-0.0`, which SQLite keeps as 0 |
| int | the number; null where a double would not be exact | digits beyond 2^53 |
| bool | 0 or 1 | |
| text | | the text |
| text_json | | a text with U+0000, as JSON |
| json | | arrays and structures as JSON |
| null | | |
"""

from __future__ import annotations

import math
from typing import Any, Literal

import msgspec

Kind = Literal["number", "int", "bool", "text", "text_json", "json", "null"]
Stored = tuple[float | None, str | None, Kind]

#: Integers up to here are exact in a double.
EXACT = 1 << 53
#: No double holds more.
_WIDE = 1 << 1000

_NULL: Stored = (None, None, "null")
_encode = msgspec.json.Encoder().encode


def stored(value: Any) -> Stored:
    """What is kept of a value out of JSON."""
    kind = type(value)
    if kind is float:
        return value, None if value or math.copysign(1.0, value) > 0 else "-0.0", "number"
    if kind is bool:
        return (1.0 if value else 0.0), None, "bool"
    if kind is int:
        return _integer(value)
    if value is None:
        return _NULL
    if kind is str:
        if "\0" in value:
            return None, _json(value), "text_json"
        return None, value, "text"
    return None, _json(value), "json"


def clean(text: str | None) -> str | None:
    """Text that every database takes: PostgreSQL has no U+0000."""
    return text.replace("\0", "\ufffd") if text is not None and "\0" in text else text


def _integer(value: int) -> Stored:
    if -EXACT <= value <= EXACT:
        return float(value), None, "int"
    exact = float(value) if -_WIDE < value < _WIDE and int(float(value)) == value else None
    return exact, str(value), "int"


def _json(value: Any) -> str:
    return _encode(value).decode()
