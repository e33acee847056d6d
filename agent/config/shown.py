"""The effective configuration as it may be shown to people: everything that is in force, and no secret. Pure.

What came out of the environment is shown as it is written (`${NAME}`), user and query of a URL as `…`. The files' own
text is never shown: it may hold anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from agent.config.diff import Key
from agent.config.fingerprint import WHERE_FROM
from agent.config.loader import Loaded

#: A password may hold `/` and `?`: all up to the last `@` belongs to the user.
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)(?P<rest>\S*)")
_HIDDEN = "…"


def effective(loaded: Loaded) -> dict[str, Any]:
    """The whole configuration as JSON-able data, defaults included, each device with the location it has."""
    config = loaded.config
    data: dict[str, Any] = config.model_dump(mode="json", exclude=WHERE_FROM)
    for name, device in data["devices"].items():
        device["location"] = list(config.location_of(name))
    for publisher in data["publishers"].values():
        publisher["outbox"] = publisher["outbox"] or dict(data["outbox"])
    for path, text in loaded.written.items():
        _put(data, [str(step) for step in path], text)
    return {key: _hide(value, key) for key, value in data.items()}


def at(data: Mapping[str, Any], key: Key) -> object:
    """The value at a path of names; None where there is none."""
    value: Any = data
    for step in key:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def hide(text: str) -> str:
    """Text without user and query of the URLs in it."""
    return _URL.sub(_hidden_url, text)


def _hidden_url(match: re.Match[str]) -> str:
    _, user, rest = match["rest"].rpartition("@")
    place, query, _ = rest.partition("?")
    return match["scheme"] + (f"{_HIDDEN}@" if user else "") + place + (f"?{_HIDDEN}" if query else "")


def _hide(value: object, key: str) -> object:
    if isinstance(value, dict):
        return {name: _hide(one, name) for name, one in value.items()}
    if isinstance(value, list):
        return [_hide(one, key) for one in value]
    return hide(value) if isinstance(value, str) else value


def _put(data: Any, path: list[str], text: str) -> None:
    """Put text where a value stands; what has no value there (a key of the user's own) is passed over."""
    for step in path[:-1]:
        data = _below(data, step)
    last = path[-1]
    if isinstance(data, dict) and last in data:
        data[last] = text
    elif isinstance(data, list) and last.isdigit() and int(last) < len(data):
        data[int(last)] = text


def _below(data: Any, step: str) -> Any:
    if isinstance(data, list):
        return data[int(step)] if step.isdigit() and int(step) < len(data) else None
    return data.get(step) if isinstance(data, dict) else None
