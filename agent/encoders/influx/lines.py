"""InfluxDB's line protocol: escapes and field values. Pure.

    measurement,tag=value,tag=value field=value,field=value timestamp

Source: InfluxDB v2, "Line protocol" (elements, data types, special characters, naming restrictions).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from agent.encoders.common.messages import encode

#: InfluxDB drops a field or tag of this name without a word, or refuses the point.
RESERVED = "time"
#: Fields beside a value begin with its name.
QUALITY, CODE = ".quality", ".code"

_IN_KEY = re.compile(r"([,= ])")
_IN_MEASUREMENT = re.compile(r"([, ])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_UNWRITABLE = {"\n": "\\n", "\r": "\\r", "\0": "\\0"}

_INT64 = 2**63
_UINT64 = 2**64


def _one_line(text: str) -> str:
    # parsers do not agree on a backslash in front of a separator: there must be none
    return _CONTROL.sub(" ", text).replace("\\", "/")


def measurement_text(text: str) -> str:
    """A measurement, escaped."""
    return _IN_MEASUREMENT.sub(r"\\\1", _one_line(text))


def key_text(text: str) -> str:
    """A key of a tag or field, or the value of a tag, escaped."""
    return _IN_KEY.sub(r"\\\1", _one_line(text))


def tag_set(tags: Mapping[str, str]) -> str:
    """`,key=value` …, sorted by key; a tag without a value is left out (InfluxDB takes no empty one)."""
    return "".join(f",{key_text(key)}={key_text(value)}" for key, value in sorted(tags.items()) if value)


def text_field(text: str) -> str:
    """A text in quotes. A line ends at a line break, so it is written as backslash and letter."""
    for char, written in _UNWRITABLE.items():
        text = text.replace(char, written)
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def field_value(value: object, kind: str) -> str | None:
    """The value of a field; `kind` is `i`, `u`, `float` or empty (by value). None where it does not fit its kind."""
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, int):
        return _integer(value, kind)
    if isinstance(value, str):
        return text_field(value)
    return text_field(encode(value).decode())  # arrays and structures: as JSON


def _integer(value: int, kind: str) -> str | None:
    if kind == "float":
        return repr(float(value))
    if kind == "u":
        return f"{value}u" if 0 <= value < _UINT64 else None
    return f"{value}i" if -_INT64 <= value < _INT64 else None
