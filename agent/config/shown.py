"""The effective configuration as it may be shown to people: everything that is in force, and no secret. Pure.

What came out of the environment is shown as it is written (`${NAME}`), user and query of a URL as `…`. The files' own
text is never shown: it may hold anything.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping
from typing import Any

from pydantic import BaseModel

from agent.config.diff import Key
from agent.config.loader import Loaded
from agent.core.text import without_credentials
from agent.settings.devices import DeviceConfig

_PARTS = ("devices", "publishers")
_WHERE_FROM = {"include", "templates", "devices_file", "tags_file"}

_Path = tuple[Hashable, ...]


def effective(loaded: Loaded) -> dict[str, Any]:
    """The whole configuration as JSON-able data, defaults included, each device with the location it has."""
    shown = Shown(loaded)
    parts = {
        section: {name: shown.part(section, name) for name in getattr(loaded.config, section)} for section in _PARTS
    }
    return {**shown.head(), **parts}


class Shown:
    """The same, part by part; each as small as it comes, since whoever dumps it keeps all others from their turn."""

    def __init__(self, loaded: Loaded) -> None:
        self._config = loaded.config
        self._written: dict[_Path, list[tuple[_Path, str]]] = defaultdict(list)
        for path, text in loaded.written.items():
            depth = 2 if path[0] in _PARTS else 0
            self._written[path[:depth]].append((path[depth:], text))
        self._parts: dict[tuple[str, str], dict[str, Any]] = {}

    def head(self) -> dict[str, Any]:
        """All but devices and publishers."""
        return self._finished((), _dumped(self._config, but={*_PARTS, *_WHERE_FROM}))

    def part(self, section: str, name: str) -> dict[str, Any]:
        """One of `devices` or `publishers`; empty where there is none of that name."""
        if (section, name) not in self._parts:
            self._parts[section, name] = self._made(section, name)
        return self._parts[section, name]

    def at(self, key: Key) -> object:
        """The value at a path of names from the top; None where there is none."""
        value: Any = self.part(key[0], key[1]) if key[0] in _PARTS else self.head()
        for step in key[2:] if key[0] in _PARTS else key:
            value = value.get(step) if isinstance(value, Mapping) else None
        return value

    def _made(self, section: str, name: str) -> dict[str, Any]:
        part: BaseModel | None = getattr(self._config, section).get(name)
        if part is None:
            return {}
        tables = part.tables() if isinstance(part, DeviceConfig) else {}
        data = _dumped(part, but={*tables, *_WHERE_FROM})
        data |= {key: {tag: _dumped(one) for tag, one in table.items()} for key, table in tables.items()}
        if section == "devices":
            data["location"] = list(self._config.location_of(name))
        elif data["outbox"] is None:
            data["outbox"] = _dumped(self._config.outbox)
        return self._finished((section, name), data)

    def _finished(self, place: _Path, data: dict[str, Any]) -> dict[str, Any]:
        for path, text in self._written[place]:
            _put(data, [str(step) for step in path], text)
        return {key: _hide(value) for key, value in data.items()}


def _dumped(model: BaseModel, but: set[str] | None = None) -> dict[str, Any]:
    return model.model_dump(mode="json", exclude=but)


def _hide(value: object) -> object:
    if isinstance(value, dict):
        return {name: _hide(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_hide(one) for one in value]
    return without_credentials(value) if isinstance(value, str) else value


def _put(data: Any, path: list[str], text: str) -> None:
    """Put text where a value stands; what has no value there (a key of the user's own) is passed over."""
    for step in path[:-1]:
        data = _below(data, step)
    last = path[-1] if path else ""
    if isinstance(data, dict) and last in data:
        data[last] = text
    elif isinstance(data, list) and last.isdigit() and int(last) < len(data):
        data[int(last)] = text


def _below(data: Any, step: str) -> Any:
    if isinstance(data, list):
        return data[int(step)] if step.isdigit() and int(step) < len(data) else None
    return data.get(step) if isinstance(data, dict) else None
