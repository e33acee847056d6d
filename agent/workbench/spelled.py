"""What a device says of itself, as YAML or CSV of a configuration: quoted where it must be, and never expanded. Pure.

Names and texts come from a stranger: a `${NAME}` in them must not take a variable of whoever reads the file.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

#: Text that YAML 1.1 and 1.2, and people, take for text.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:[./-][A-Za-z0-9_]+)*", re.ASCII)
LONGEST_NAME = 256  #: characters of a tag's name
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf"}


def is_plain(text: str) -> bool:
    """Whether it needs no quotes as a key or value."""
    return bool(_PLAIN.fullmatch(text)) and text.lower() not in _WORDS


def quoted(text: str) -> str:
    """A YAML scalar that is this text."""
    return text if is_plain(text) else '"' + "".join(map(_char, text)) + '"'


def _char(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    if char.isprintable():
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def literal(text: str) -> str:
    """The same text in a configuration, where `${NAME}` would be a reference."""
    return text.replace("${", "$${")


def spelled(value: object) -> str:
    """A value as YAML in one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{spelled(key)}: {spelled(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, str):
        return quoted(value)
    return str(value).lower() if isinstance(value, bool) else f"{value!r}"


def yaml_lines(tags: Mapping[str, Mapping[str, object]], comments: Mapping[str, str], indent: str) -> Sequence[str]:
    """A line for each tag, with its comment."""
    lines = []
    for name, keys in tags.items():
        comment = comments.get(name)
        lines.append(f"{indent}{quoted(literal(name))}: {spelled(keys)}" + (f"  # {comment}" if comment else ""))
    return lines


def unique(name: str, taken: Collection[str]) -> str:
    """The name, or with a number behind it where it is taken."""
    number, fresh = 2, name
    while fresh in taken:
        fresh = f"{name[: LONGEST_NAME - 8]}_{number}"
        number += 1
    return fresh
