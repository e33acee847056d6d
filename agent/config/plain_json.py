"""JSON text → the data that yaml.py makes of it, in a sixth of the time, but without lines. Pure.

JSON is YAML with a grammar of its own, and what writes tens of thousands of tags is a program. What yaml.py understands
otherwise, or refuses, is left to it; and wherever there is a mistake it reads again, for the lines.
"""

from __future__ import annotations

import json
import re
from typing import Any

from agent.config.located import List, Map

#: Not what it says: `${NAME}`, also where one of its characters is escaped, halves of a character, which YAML does not
#: know, and what it does not print. Tabs, other line breaks and wide blanks are read by yaml.py, which has its own word
#: on some of them.
_NOT_PLAIN = ("${", "\\u0024", "\\u007b", "\\u007B", "\\ud", "\\uD", "\x7f", "\t", "\r", " " * 100)
_COLON_BELOW = re.compile(r"\n *:")  #: YAML has a key and its colon in one line
_LARGEST, _LEAST = 10**400, -(10**399)  #: as in scalars.py, which counts the sign
_LONGEST = 150  #: characters of a key: to YAML one ends within 1,024, and JSON may write six for each
#: Of these anything may stand below, also what is nested deeper than yaml.py allows.
_ANYTHING = ("templates", "x-")


def plain_json(text: str, file: str) -> Map | None:
    """The mapping; None where yaml.py has to look at it."""
    if not text.startswith("{") or not text.isascii() or any(odd in text for odd in _NOT_PLAIN):
        return None
    if _COLON_BELOW.search(text):
        return None
    try:
        data = json.loads(text, object_pairs_hook=_Mappings(file).mapping, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return None if any(key.startswith(_ANYTHING) for key in data) else data


def _refuse(what: str) -> None:
    """What this library reads all the same: `NaN`, a key that stands twice, numbers of a thousand digits."""
    raise ValueError(what)


class _Mappings:
    """Makes the mappings of one text. Texts that come again are kept once."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._texts: dict[str, str] = {}

    def mapping(self, pairs: list[tuple[str, Any]]) -> Map:
        data = Map(self._file, 0)
        for key, value in pairs:
            if len(key) > _LONGEST:
                _refuse("a long key")
            data[key] = value if value.__class__ is Map else self._value(value)
        if len(data) != len(pairs):
            _refuse("a key stands twice")
        return data

    def _value(self, value: Any) -> Any:
        if value.__class__ is str:
            return self._texts.setdefault(value, value)
        if value.__class__ is list:
            items = List(self._file, 0)
            items += map(self._value, value)
            return items
        if value.__class__ is int and not _LEAST < value < _LARGEST:
            _refuse("too many digits")
        return value
