"""Which format is it, and who converts it?"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from typing import Any

from agent.workbench.convert import kepware, neuron, telegraf, thingsboard
from agent.workbench.convert.result import Converted

#: Larger files are no configuration that anybody wrote, bytes.
LARGEST = 64 << 20

FORMATS: Mapping[str, Callable[[Any, Converted], None]] = {
    "kepware": kepware.convert,
    "telegraf": telegraf.convert,
    "thingsboard": thingsboard.convert,
    "neuron": neuron.convert,
}


#: A dotted key, but for its last part.
_DOTTED = re.compile(r"""(?<![\w"'-])(?:[\w"'-]++[ \t]*+\.[ \t]*+)++""")
#: So many tables within each other nobody writes, and the standard library needs time and memory by their square.
_DEEPEST = 100


def recognised(text: str) -> tuple[str, Any] | None:
    """The name of the format and what the text holds; None where it is none of them."""
    head = text.lstrip("\ufeff \t\r\n")
    if head.startswith(("{", "[{")):
        try:
            data = json.loads(head)
        except (ValueError, RecursionError):
            data = None
        if data is not None:
            return next(((name, data) for name in ("kepware", "thingsboard", "neuron") if _IS[name](data)), None)
    if kepware.is_csv(head):
        return "kepware", head
    if any(key[0].count(".") > _DEEPEST for key in _DOTTED.finditer(head)):
        return None
    try:
        document = tomllib.loads(head)
    except (tomllib.TOMLDecodeError, RecursionError):
        return None
    return ("telegraf", document) if telegraf.is_telegraf(document) else None


def unreadable(text: str) -> str | None:
    """Why a file that looks like JSON or like Telegraf's TOML is none of them: its first mistake."""
    head = text.lstrip("\ufeff \t\r\n")
    try:
        if head.startswith(("{", "[{")):
            json.loads(head)
        elif "[[inputs." in head:
            tomllib.loads(head)
    except (ValueError, RecursionError) as error:
        return f"{'TOML' if isinstance(error, tomllib.TOMLDecodeError) else 'JSON'} with a mistake: {error}"
    return None


def convert(kind: str, data: Any) -> Converted:
    """Devices and notes. Never raises for what a file holds: what is of another form is noted."""
    result = Converted()
    with result.spared(kind, "the rest of the file is not of the expected form"):
        FORMATS[kind](data, result)
    return result


_IS: Mapping[str, Callable[[Any], bool]] = {
    "kepware": kepware.is_project,
    "thingsboard": thingsboard.is_thingsboard,
    "neuron": neuron.is_neuron,
}
