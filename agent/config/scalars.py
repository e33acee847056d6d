"""Plain scalars as the YAML 1.2 core schema resolves them (YAML 1.2.2, 10.3.2). Pure.

Only `true`/`false` are booleans, `010` is ten, `0o10` is eight, `12:30` and `2026-11-22` are text: none of the traps of
YAML 1.1.
"""

from __future__ import annotations

import re

_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_FIXED: dict[str, object] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
    ".nan": float("nan"), ".NaN": float("nan"), ".NAN": float("nan"),
}  # fmt: skip
for _sign, _factor in (("", 1.0), ("+", 1.0), ("-", -1.0)):
    for _word in (".inf", ".Inf", ".INF"):
        _FIXED[_sign + _word] = _factor * float("inf")
#: Characters a scalar must begin with to be anything but text, besides the fixed words.
_NUMERIC_START = frozenset("+-.0123456789")
#: Longer runs of digits are no number anybody means, and Python refuses to convert them.
_MAX_DIGITS = 400


def resolve(text: str) -> object:
    """Value of a plain (unquoted) scalar: None, bool, int, float, or the text itself.

    Raises ValueError, fit for a user, for a number too long to be one.
    """
    if text in _FIXED:
        return _FIXED[text]
    if text[0] not in _NUMERIC_START:
        return text
    if len(text) > _MAX_DIGITS and text[1:].isdigit():
        msg = f"a number of {len(text)} digits"
        raise ValueError(msg)
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _OCTAL.fullmatch(text):
        return int(text, 8)
    if _HEX.fullmatch(text):
        return int(text, 16)
    return text


def tagged(tag: str, text: str) -> object:
    """Value of a scalar with an explicit tag (`!!str 010`). Raises ValueError, fit for a user."""
    value = text if tag == "str" else resolve(text)
    wanted: dict[str, type | tuple[type, ...]] = {
        "str": str, "int": int, "float": (float, int), "bool": bool, "null": type(None)
    }  # fmt: skip
    if tag not in wanted:
        msg = "tags (`!NAME`) other than YAML's own are not known here"
        raise ValueError(msg)
    if not isinstance(value, wanted[tag]) or (tag in ("int", "float") and isinstance(value, bool)):
        msg = f"`{text}` is not a !!{tag}"
        raise ValueError(msg)
    return float(value) if tag == "float" and isinstance(value, int) else value
