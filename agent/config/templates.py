"""`templates:`: a device described once, with parameters, for many devices. Pure.

`${name}` in a template is the parameter where one is declared, else an environment variable. What was put in is never
expanded again.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from agent.config.environment import EnvironmentMistake, expand
from agent.config.files import SourceFile
from agent.config.located import Broken, List, Map, Place, Reference, came_as
from agent.config.sections import WrittenPart, collect
from agent.config.shape import close
from agent.config.words import list_keys, show
from agent.core.errors import Mistake

_REFERENCE = re.compile(r"\$\$\{|\$\{([^}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEYS = ("parameters", "device")


class DeviceTemplate(NamedTuple):
    """One entry under `templates:`."""

    name: str
    parameters: Map  #: default by name; None: required
    device: Map
    base: Path  #: relative paths in it start here


class Used(NamedTuple):
    """What a device that uses a template comes to."""

    data: Map
    places: frozenset[tuple[str, int]]  #: lines of the template that are in it
    template: DeviceTemplate


class _Given(NamedTuple):
    """A parameter's value for one device."""

    value: object
    place: Place
    raw: str | None  #: as written, where it came out of the environment


def templates_of(
    sources: Sequence[SourceFile], environ: Mapping[str, str], mistakes: list[Mistake]
) -> dict[str, DeviceTemplate]:
    """The templates of all files by name; those that are wrong are noted and left out."""
    found: dict[str, DeviceTemplate] = {}
    for name, entry in collect(sources, "templates", mistakes).items():
        before = len(mistakes)
        parameters, device = _parameters(name, entry, environ, mistakes), entry.data.get("device")
        for key in [key for key in entry.data if key not in _KEYS]:
            _note(mistakes, entry.data.place(key), f"`templates.{name}.{key}` is not a key", list_keys(_KEYS))
        if not isinstance(device, Map):
            hint = "write the keys of a device below it, `type:` first"
            _note(mistakes, entry.data.place("device"), f"`templates.{name}` has no mapping `device`", hint)
        elif "template" in device:
            hint = "write its keys here"
            _note(mistakes, device.place("template"), f"`templates.{name}`: a template cannot use a template", hint)
        elif len(mistakes) == before:
            found[name] = DeviceTemplate(name, parameters, device, entry.source.base)
    return found


def _parameters(name: str, entry: WrittenPart, environ: Mapping[str, str], mistakes: list[Mistake]) -> Map:
    given = entry.data.get("parameters")
    place = entry.data.place("parameters")
    parameters = Map(*place)
    if given is None:
        return parameters
    if not isinstance(given, Map):
        hint = "write `NAME: DEFAULT` for each, `NAME: null` where it must be given"
        _note(mistakes, place, f"`templates.{name}.parameters` is not a mapping", hint)
        return parameters
    for key, default in given.items():
        if not isinstance(key, str) or not _NAME.fullmatch(key):
            hint = "letters, digits and _, a letter first"
            _note(mistakes, given.place(key), f"`templates.{name}.parameters`: {show(key)} is no name", hint)
        else:
            filled = _Filling({}, environ, mistakes).value(default, given.place(key))
            parameters.put(key, filled.value, given.place(key), filled.raw)
    return parameters


def use(
    template: DeviceTemplate, name: str, entry: WrittenPart, environ: Mapping[str, str], mistakes: list[Mistake]
) -> Used | None:
    """The data of the device `name`: the template with its parameters, and what stands beside `with:`."""
    given = _given(template, name, entry, mistakes)
    if given is None:
        return None
    filling = _Filling(given, environ, mistakes)
    data = filling.mapping(template.device, Place(template.device.file, template.device.line))
    for key, value in entry.data.items():
        if key in ("template", "with"):
            continue
        inherited = data.get(key)
        if key == "tags" and isinstance(value, Map) and isinstance(inherited, Map):
            for tag in value:
                inherited.put(tag, value[tag], value.place(tag), value.raw.get(tag))
        else:
            data.raw.pop(key, None)
            data.put(key, value, entry.data.place(key), entry.data.raw.get(key))
    return Used(data, frozenset(filling.places), template)


def _given(
    template: DeviceTemplate, device: str, entry: WrittenPart, mistakes: list[Mistake]
) -> dict[str, _Given] | None:
    """The value of every parameter; None after noting which is missing or unknown."""
    own = entry.data.get("with")
    where = f"`devices.{device}`"
    if own is not None and not isinstance(own, Map):
        if not isinstance(own, Broken):
            hint = f"write {{{', '.join(f'{key}: …' for key in template.parameters)}}}"
            _note(mistakes, entry.data.place("with"), f"{where}: `with` is not a mapping", hint)
        return None
    before = len(mistakes)
    for key in () if own is None else own:
        if own is not None and key not in template.parameters:
            guess = close(key, list(template.parameters))
            hint = f"did you mean `{guess}`?" if guess else _declared(template)
            _note(mistakes, own.place(key), f"{where}: the template {template.name} has no parameter {show(key)}", hint)
    values: dict[str, _Given] = {}
    for key, default in template.parameters.items():
        holder = own if own is not None and own.get(key) is not None else template.parameters
        values[key] = _Given(holder.get(key), holder.place(key), holder.raw.get(key))
        if default is None and holder is template.parameters:
            beside = entry.data.get(key)
            given = beside if isinstance(beside, str | int | float) else "…"
            hint = f"write `with: {{{key}: {given}}}`, or fill the column `{key}`"
            if key in entry.data:
                hint = f"write `with: {{{key}: {given}}}` instead of `{key}: {given}`"
            _note(mistakes, entry.place, f"{where}: the template {template.name} needs the parameter `{key}`", hint)
    return values if len(mistakes) == before else None


def _declared(template: DeviceTemplate) -> str:
    return (
        list_keys(list(template.parameters))
        if template.parameters
        else "declare it: `parameters: {NAME: null}` in the template"
    )


class _Filling:
    """Copies a template with its references put in. Mistakes of the environment are noted where they stand."""

    def __init__(self, given: Mapping[str, _Given], environ: Mapping[str, str], mistakes: list[Mistake]) -> None:
        self.places: set[tuple[str, int]] = set()
        self._given = given
        self._environ = environ
        self._mistakes = mistakes

    def value(self, value: object, place: Place) -> _Given:
        """A value of the template as it is for this device."""
        if isinstance(value, Map):
            return _Given(self.mapping(value, place), place, None)
        if isinstance(value, List):
            return _Given(self._sequence(value), place, None)
        return self._text(value, place) if isinstance(value, Reference) else _Given(value, place, None)

    def mapping(self, source: Map, place: Place) -> Map:
        copy = Map(*place)
        for key, value in source.items():
            at = source.place(key)
            self.places.add((at.file, at.line))
            name: Any = self._text(key, at).value if isinstance(key, Reference) else key
            if name in copy:
                reason = f"two keys of the template become {show(name)}; the other stands in {copy.place(name)}"
                _note(self._mistakes, at, reason, "keep one of them")
            else:
                self._put(copy, name, self.value(value, at), at)
        return copy

    def _put(self, copy: Map, name: Hashable, filled: _Given, at: Place) -> None:
        copy.put(name, filled.value, filled.place, filled.raw)
        if isinstance(filled.value, Map | List):
            copy.lines[name] = at

    def _sequence(self, source: List) -> List:
        copy = List(source.file, source.line)
        for index, value in enumerate(source):
            at = source.place(index)
            self.places.add((at.file, at.line))
            filled = self.value(value, at)
            copy.append(filled.value)
            copy.lines.append(at.line)
            if filled.raw is not None:
                came_as(copy, index, filled.raw)
        return copy

    def _text(self, text: str, place: Place) -> _Given:
        whole = _REFERENCE.fullmatch(text)
        if whole is not None and whole[1] in self._given:
            return self._given[whole[1]]
        try:
            if whole is not None:
                return _Given(expand(text, self._environ), place, text)
            return self._mixed(text, place)
        except EnvironmentMistake as error:
            _note(self._mistakes, place, str(error), f"{error.hint}; or declare it under `parameters:`")
            return _Given(Broken(), place, None)

    def _mixed(self, text: str, place: Place) -> _Given:
        """Text around references. Where a parameter is in it, a mistake is about what the device says."""
        at, environment = place, False

        def put_in(match: re.Match[str]) -> str:
            nonlocal at, environment
            given = self._given.get(match[1] or "")
            if given is None:
                environment = True
                return str(expand(match[0], self._environ))
            at = given.place
            return _written(given.value)

        filled = _REFERENCE.sub(put_in, text)
        raw = _REFERENCE.sub(self._shown, text) if environment or self._hides(text) else None
        return _Given(filled, at, raw if raw != filled else None)

    def _hides(self, text: str) -> bool:
        """Whether a parameter in `text` came out of the environment."""
        return any(self._given[name].raw for name in _REFERENCE.findall(text) if name in self._given)

    def _shown(self, match: re.Match[str]) -> str:
        given = self._given.get(match[1] or "")
        return match[0] if given is None else given.raw or _written(given.value)


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _note(mistakes: list[Mistake], place: Place, reason: str, hint: str) -> None:
    mistakes.append(Mistake(*place, reason, hint))


def told_once(mistake: Mistake, used: Used, device: str) -> Mistake:
    """A mistake of a template is one, however many devices use it: it is told of the template."""
    if (mistake.path, mistake.line or 0) not in used.places:
        return mistake
    reason = mistake.reason.replace(f"devices.{device}", f"templates.{used.template.name}.device")
    return Mistake(mistake.path, mistake.line, reason, mistake.hint)
