"""YAML text → located data. PyYAML's C parser gives the events; what they mean is decided here, after YAML 1.2.

Iterative, in one pass, with bounds: no text can exhaust stack or memory by nesting or by aliases.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from yaml import events

from agent.config import scalars
from agent.config.environment import EnvironmentMistake, expand
from agent.config.located import Broken, List, Map, Reference, came_as
from agent.config.syntax import syntax_mistake
from agent.core.errors import Mistake

try:
    from yaml._yaml import CParser as _Parser
except ImportError:  # PyYAML built without libyaml: the same events, more slowly
    from yaml import SafeLoader as _Parser  # type: ignore[assignment]

_MAX_DEPTH = 50
_MAX_VALUES = 1_000_000  #: that aliases may unfold to
_KEY_HINT = (
    "a key is a plain word, then a colon; text that begins with { or [ needs quotes, "
    "and {{ … }} of a template is filled in before"
)
_STANDARD = "tag:yaml.org,2002:"
TEMPLATES = "templates"  #: the section whose references are left for whoever uses it


def parse(text: str, file: str, environ: Mapping[str, str], mistakes: list[Mistake], *, line: int = 0) -> object:
    """The value of one YAML document, or None after noting in `mistakes` why it has none.

    Mistakes that do not end the document (duplicate keys, unset variables) are noted and parsing goes on. `line` is
    added to every line (for YAML inside of another file).
    """
    builder = _Builder(file, environ, mistakes, line)
    try:
        parser = _Parser(text)
        try:
            while (event := parser.get_event()) is not None:
                builder.take(event)
                if builder.refused:
                    return None
        finally:
            parser.dispose()
    except yaml.YAMLError as error:
        mistakes.append(syntax_mistake(error, text, file, line))
        return None
    return builder.root


class _Level:
    """A mapping or sequence under construction."""

    __slots__ = ("anchor", "into", "key", "merges", "waiting")

    def __init__(self, into: Map | List, anchor: str | None) -> None:
        self.into = into
        self.anchor = anchor
        self.waiting = False  #: a key was read, its value comes next
        self.key: Any = None
        self.merges: list[object] = []


class _Builder:
    """Takes the events of one text."""

    def __init__(self, file: str, environ: Mapping[str, str], mistakes: list[Mistake], shift: int) -> None:
        self.root: object = None
        self.refused = False
        self._file = file
        self._environ = environ
        self._mistakes = mistakes
        self._shift = shift + 1
        self._stack: list[_Level] = []
        self._anchors: dict[str, object] = {}
        self._documents = 0
        self._raw: str | None = None
        self._plain: dict[str, object] = {}  #: what plain scalars mean; most are met a thousand times, and kept once
        self._quoted: dict[str, str] = {}  #: likewise

    def take(self, event: Any) -> None:
        kind = event.__class__
        if kind is events.ScalarEvent:
            line = event.start_mark.line + self._shift
            value = (self._plain if event.implicit[0] else self._quoted).get(event.value, _NEW)
            if value is _NEW or event.tag is not None:
                value = self._scalar(event, line)
            if event.anchor:
                self._anchors[event.anchor] = value
            self._add(value, line)
        elif kind is events.MappingStartEvent or kind is events.SequenceStartEvent:
            self._open(event)
        elif kind is events.MappingEndEvent or kind is events.SequenceEndEvent:
            self._close()
        elif kind is events.AliasEvent:
            line = event.start_mark.line + self._shift
            if event.anchor not in self._anchors:
                self._refuse(line, "the anchor of this alias (`*NAME`) is not defined above it", "define it first")
            else:
                self._add(self._anchors[event.anchor], line)
        elif kind is events.DocumentStartEvent:
            self._documents += 1
            if self._documents > 1:
                line = event.start_mark.line + self._shift
                self._refuse(line, "a second document (`---`) begins here", "one document per file; use `include:`")

    # --- containers ---------------------------------------------------------------------------------------------------

    def _open(self, event: Any) -> None:
        line = event.start_mark.line + self._shift
        mapping = event.__class__ is events.MappingStartEvent
        if event.tag not in (None, "!", _STANDARD + ("map" if mapping else "seq")):
            self._refuse(line, "tags (`!NAME`) other than YAML's own are not known here", "leave it out")
        if len(self._stack) >= _MAX_DEPTH:
            self._refuse(line, f"nested deeper than {_MAX_DEPTH} levels", "nothing in a configuration is that deep")
        if self._stack and isinstance(self._stack[-1].into, Map) and not self._stack[-1].waiting:
            self._refuse(line, "a key that is itself a mapping or a list", _KEY_HINT)
        into: Map | List = Map(self._file, line) if mapping else List(self._file, line)
        self._stack.append(_Level(into, event.anchor))
        if event.anchor:
            self._anchors.pop(event.anchor, None)  # usable once it is complete: nothing can contain itself

    def _close(self) -> None:
        level = self._stack.pop()
        into = level.into
        for merged in level.merges:
            self._merge(into, merged)
        if level.anchor:
            self._anchors[level.anchor] = into
        self._add(into, into.line)
        if into.size > _MAX_VALUES and self._anchors:
            self._refuse(into.line, f"aliases unfold to more than {_MAX_VALUES:,} values", "write out what is meant")

    def _merge(self, into: Any, merged: object) -> None:
        for source in merged if isinstance(merged, List) else [merged]:
            if not isinstance(source, Map):
                self._note(into.line, "`<<` merges mappings, this is none", "write `<<: *anchor` of a mapping")
                continue
            into.size += source.size
            for key, value in source.items():
                if key not in into:
                    into.put(key, value, source.place(key), source.raw.get(key))

    def _add(self, value: object, line: int) -> None:
        raw, self._raw = self._raw, None
        if not self._stack:
            self.root = value
            return
        level = self._stack[-1]
        into = level.into
        if isinstance(into, Map):
            if not level.waiting:
                self._key(level, into, value, line)
                return
            level.waiting = False
            value = "<<" if value is _MERGE else value
            key: Any = level.key
            if key is _MERGE:
                level.merges.append(value)
                return
            into[key] = value
        else:
            key = len(into)
            into.append("<<" if value is _MERGE else value)
            into.lines.append(line)
        if raw is not None:
            came_as(into, key, raw)
        into.size += value.size if isinstance(value, _HOLDERS) else 1

    def _key(self, level: _Level, into: Map, key: Any, line: int) -> None:
        level.waiting = True
        if isinstance(key, _HOLDERS):  # through an alias
            self._refuse(line, "a key that is itself a mapping or a list", _KEY_HINT)
            return
        if key is _MERGE:
            level.key = _MERGE
            return
        if key in into.lines:
            first = into.place(key).line
            self._note(line, f"`{key}` stands here a second time; the first is in line {first}", "keep one of them")
        else:
            into.lines[key] = line
        level.key = key

    # --- scalars ------------------------------------------------------------------------------------------------------

    def _scalar(self, event: Any, line: int) -> object:
        text: str = event.value
        try:
            if "${" in text:
                if self._in_templates():
                    return Reference(text)
                self._raw = text
                return expand(text, self._environ)
            if event.implicit[0]:
                self._plain[text] = value = _MERGE if text == "<<" else scalars.resolve(text)
                return value
            if event.tag is None or event.tag == "!":
                return self._quoted.setdefault(text, text)
            return scalars.tagged(_short(event.tag).lstrip("!"), text)
        except EnvironmentMistake as error:
            self._note(line, str(error), error.hint)
        except ValueError as error:
            self._note(line, str(error), "put text into quotes")
        return Broken()

    def _in_templates(self) -> bool:
        """Below the top-level `templates:`, where `${…}` may be a parameter: whose value only a device has."""
        return len(self._stack) > 1 and self._stack[0].key == TEMPLATES

    def _note(self, line: int, reason: str, hint: str) -> None:
        self._mistakes.append(Mistake(self._file, line, reason, hint))

    def _refuse(self, line: int, reason: str, hint: str) -> None:
        if not self.refused:
            self._note(line, reason, hint)
        self.refused = True


_NEW: Any = object()  #: a scalar that was not met before
_HOLDERS = (Map, List)
_MERGE: Any = object()  #: a plain `<<`; in quotes it is a key like any other


def _short(tag: str) -> str:
    return "!!" + tag.removeprefix(_STANDARD) if tag.startswith(_STANDARD) else tag
