"""The quick twin of `yaml`: what nearly all of a large configuration is made of, in a fourth of the time.

It knows mappings and lists, in lines or in braces, and scalars that stand on one line without escapes; of JSON all but
escapes. Wherever it meets anything else, or anything that may be a mistake, it gives up without a word, and the slow
twin reads the whole text. So it must never read what that one would read otherwise, or refuse
(tests/unit/config/test_yaml_quick.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from agent.config import scalars
from agent.config.environment import expand
from agent.config.located import List, Map

_DEEPEST = 30
_LONGEST_KEY = 200  #: characters: libyaml ends its search for the colon at 1,024

#: What is neither a line break nor a blank to every parser.
_STRANGE = re.compile(
    "[^\n\x20-\x7e\xa1-\u167f\u1681-\u1fff\u2010-\u2027\u2030-\u205e\u2060-\u2fff\u3001-\ud7ff]|\u061c"
)

_BEGIN = r"(?:\w|\.{0,2}/(?=[\w.])|[.+(](?=\w)|-(?=\.?\w))"
_ON = r"[^ \n:#]"  #: what a plain scalar goes on with in lines; a colon, where none of blank, colon or # follows it
_ON_IN_BRACES = r"[^ \n:#,\[\]{}?\"'&!|>%@`]"
_QUOTED = r"\"[^\"\\\n]*\"|'[^'\n]*'"
_SCALAR = rf"(?:{_BEGIN}|\$(?={{)){_ON}*(?::{_ON}+)*(?: {_ON}+(?::{_ON}+)*)*|{_QUOTED}"
_SCALAR_IN_BRACES = (
    rf"{_BEGIN}{_ON_IN_BRACES}*(?::[\w/.]{_ON_IN_BRACES}*)*(?: (?![-*]){_ON_IN_BRACES}+(?::[\w/.]{_ON_IN_BRACES}*)*)*"
    rf"|{_QUOTED}"
)
_KEY = rf"(?:\w|-(?=\w)){_ON_IN_BRACES}*(?:\{{\w+\}}{_ON_IN_BRACES}*)*(?: (?![-*]){_ON_IN_BRACES}+)*|{_QUOTED}"
_KEY_IN_BRACES = rf"(?:\w|-(?=\w)){_ON_IN_BRACES}*(?: (?![-*]){_ON_IN_BRACES}+)*|{_QUOTED}"

_END = r" *(?: #[^\n]*)?(?:\n|\Z)"
_LINE_END = re.compile(_END)
_EMPTY = re.compile(r"(?: *(?:#[^\n]*)?\n)*(?: *(?:#[^\n]*)?\Z)?")
_MARKER = re.compile(rf"---{_END}")
#: Indent, then a dash or a key, then a scalar or nothing, or where braces begin.
_LINE = re.compile(rf"( *)(?:(-) +|({_KEY}):(?= |\n|\Z) *)(?:(?=[{{\[])|({_SCALAR})?{_END})")
#: In braces: key, scalar (none: braces begin), and what ends it.
_ENTRY = re.compile(rf"[ \n]*({_KEY_IN_BRACES}):[ \n]+(?:(?=[{{\[])|({_SCALAR_IN_BRACES})[ \n]*([,}}]))")
_ITEM = re.compile(rf"[ \n]*(?:(?=[{{\[])|({_SCALAR_IN_BRACES})[ \n]*([,\]]))")
_STOP = re.compile(r"[ \n]*([,}\]])")
_CLOSED = re.compile(r"[ \n]*[}\]]")


class _GiveUpError(Exception):
    """Something for the slow twin."""


def parse(text: str, file: str, environ: Mapping[str, str]) -> Map | None:
    """The mapping of one YAML document, as the slow twin gives it; None where that one is to be asked."""
    if _STRANGE.search(text):
        return None
    try:
        return _Reader(text, file, environ).read()
    except (_GiveUpError, ValueError):
        return None


class _Scalars(dict[str, Any]):
    """Value of each scalar as it is written. Most are met a thousand times."""

    def __init__(self, environ: Mapping[str, str] | None) -> None:
        super().__init__()
        self._environ = environ

    def __missing__(self, written: str) -> object:
        text = unquoted(written)
        if "${" in text:
            if self._environ is None:
                raise _GiveUpError
            value: object = expand(text, self._environ)
        else:
            value = text if text is not written else scalars.resolve(text)
        self[written] = value
        return value


def unquoted(written: str) -> str:
    """A scalar without its quotes."""
    return written[1:-1] if written[0] in "\"'" else written


class _Reader:
    """Reads one text."""

    def __init__(self, text: str, file: str, environ: Mapping[str, str]) -> None:
        self._text = text
        self._file = file
        # In templates `${…}` may be a parameter.
        self._values = _Scalars(None if "templates" in text else environ)
        self._from_environment = "${" in text
        self._line = 1
        self._counted = 0  #: up to here line breaks are counted

    def read(self) -> Map:
        text = self._text
        at = self._skipped(0)
        if text.startswith("{", at):
            root, end = self._mapping(at, 0)
            if text[end:].strip(" \n"):
                raise _GiveUpError
            return root
        if marker := _MARKER.match(text, at):
            at = self._skipped(marker.end())
        root = self._block(at)
        if not root:
            raise _GiveUpError
        return root

    def _skipped(self, at: int) -> int:
        """Behind blank lines and comments."""
        found = _EMPTY.match(self._text, at)
        return at if found is None else found.end()

    def _line_at(self, at: int) -> int:
        """The number of the line; asked in the order of the text."""
        self._line += self._text.count("\n", self._counted, at)
        self._counted = at
        return self._line

    def _name(self, into: Map, key: str) -> Any:
        """The key that is written so, where it is one and the first of its name."""
        name = self._values[key]
        if name in into or len(key) > _LONGEST_KEY or (self._from_environment and "${" in key):
            raise _GiveUpError
        return name

    # --- lines --------------------------------------------------------------------------------------------------------

    def _block(self, at: int) -> Map:
        text, size, match, values = self._text, len(self._text), _LINE.match, self._values
        levels = _Levels(Map(self._file, self._line_at(at)))
        while at < size:
            found = match(text, at)
            if found is None:
                at, before = self._skipped(at), at
                if at == before:
                    raise _GiveUpError
                continue
            line = self._line_at(at)
            space, dash, key, written = found.groups()
            into = levels.that_holds(len(space), line, dash=dash is not None)
            name = len(into) if dash else self._name(into, key)
            at = found.end()
            value = None
            if written is not None:
                value = values[written]
                if self._from_environment and "${" in written:
                    into.raw[name] = unquoted(written)
            elif text[at - 1] != "\n" and at < size:
                value, at = self._nested(at, len(levels.open))
                end = _LINE_END.match(text, at)
                if end is None:
                    raise _GiveUpError
                at = end.end()
            elif dash:
                raise _GiveUpError
            else:
                levels.waiting = name
            if dash:
                into.append(value)
                into.lines.append(line)
            else:
                into[name] = value
                into.lines[name] = line
        return levels.root

    # --- braces -------------------------------------------------------------------------------------------------------

    def _nested(self, at: int, depth: int) -> tuple[Map | List, int]:
        """What begins with the brace or bracket at this place, and where it ends."""
        if depth > _DEEPEST:
            raise _GiveUpError
        return self._mapping(at, depth) if self._text[at] == "{" else self._list(at, depth)

    def _mapping(self, at: int, depth: int) -> tuple[Map, int]:
        text, values, match = self._text, self._values, _ENTRY.match
        into = Map(self._file, self._line_at(at))
        at += 1
        stop = ","
        if closed := _CLOSED.match(text, at):
            at, stop = closed.end(), text[closed.end() - 1]
        while stop == ",":
            found = match(text, at)
            if found is None:
                raise _GiveUpError
            key, written, stop = found.groups()
            name = self._name(into, key)
            into.lines[name] = self._line_at(found.start(1))
            at = found.end()
            if written is None:
                into[name], at = self._nested(at, depth + 1)
                stop, at = self._stop(at)
                continue
            into[name] = values[written]
            if self._from_environment and "${" in written:
                into.raw[name] = unquoted(written)
        if stop != "}":
            raise _GiveUpError
        return into, at

    def _list(self, at: int, depth: int) -> tuple[List, int]:
        text, values, match = self._text, self._values, _ITEM.match
        into = List(self._file, self._line_at(at))
        at += 1
        stop = ","
        if closed := _CLOSED.match(text, at):
            at, stop = closed.end(), text[closed.end() - 1]
        while stop == ",":
            found = match(text, at)
            if found is None:
                raise _GiveUpError
            written, stop = found.groups()
            at = found.end()
            into.lines.append(self._line_at(at if written is None else found.start(1)))
            if written is None:
                value, at = self._nested(at, depth + 1)
                into.append(value)
                stop, at = self._stop(at)
                continue
            if self._from_environment and "${" in written:
                into.raw[len(into)] = unquoted(written)
            into.append(values[written])
        if stop != "]":
            raise _GiveUpError
        return into, at

    def _stop(self, at: int) -> tuple[str, int]:
        """What comes behind something in braces, and where that ends."""
        found = _STOP.match(self._text, at)
        if found is None:
            raise _GiveUpError
        return found[1], found.end()


class _Levels:
    """Mappings and lists that may go on, by how far they are indented."""

    def __init__(self, root: Map) -> None:
        self.root = root
        self.waiting: Any = _NOTHING  #: the key of the innermost mapping that has no value yet
        self.open: list[tuple[int, Any]] = [(0, root)]

    def that_holds(self, indent: int, line: int, *, dash: bool) -> Any:
        """The mapping, or the list, that a line stands in."""
        levels = self.open
        top, into = levels[-1]
        if self.waiting is not _NOTHING:
            key, self.waiting = self.waiting, _NOTHING
            if indent > top or (dash and indent == top):
                if len(levels) > _DEEPEST:
                    raise _GiveUpError
                into[key] = below = (List if dash else Map)(into.file, line)
                levels.append((indent, below))
                return below
        while indent < top or (indent == top and not dash and into.__class__ is List):
            if len(levels) == 1:
                raise _GiveUpError
            levels.pop()
            top, into = levels[-1]
        if indent != top or (into.__class__ is List) is not dash:
            raise _GiveUpError
        return into


_NOTHING: Any = object()
