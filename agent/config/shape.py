"""Questions about the models: which keys may stand at a path. Pure; only asked when something is wrong."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from agent.settings.model import described

#: What people bring along from other tools → our key; used only where that key exists.
_SYNONYMS = {
    "endpoint": "url", "broker": "url", "server": "url", "host": "url", "hostname": "url", "ip": "url", "uri": "url",
    "slave": "unit_id", "slave_id": "unit_id", "device_id": "unit_id", "unit": "unit_id", "unitid": "unit_id",
    "register": "address", "reg": "address", "datatype": "type", "data_type": "type", "kind": "type",
    "nodeid": "node", "node_id": "node", "protocol": "type", "name": "id",
    "poll_interval": "interval", "polling_interval": "interval", "scan_rate": "interval", "period": "interval",
    "poll_rate": "interval", "polling_rate": "interval", "update_rate": "interval", "topic_prefix": "topic",
    "factor": "scale", "multiplier": "scale", "gain": "scale", "decimals": "round", "units": "unit",
    "points": "tags", "registers": "tags", "nodes": "tags", "user": "username", "passwd": "password_file",
    "path": "data_dir", "loglevel": "level", "heartbeat": "max_silence", "comment": "description",
    "desc": "description", "label": "description", "remark": "description", "uom": "unit", "eng_units": "unit",
    "precision": "round",
    "ca": "ca_file", "cafile": "ca_file", "ca_cert": "ca_file", "cert": "cert_file", "key": "key_file",
    "address": "node", "mqtt": "publishers", "outputs": "publishers", "plcs": "devices", "inputs": "devices",
}  # fmt: skip

_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")  #: of camelCase


def close(word: object, known: Sequence[str]) -> str | None:
    """The known word that was probably meant."""
    text = str(word)
    lower = {name.lower(): name for name in known}
    if text.lower() in lower:
        return lower[text.lower()]
    if (synonym := _SYNONYMS.get(_HUMP.sub("_", text).lower().replace("-", "_"))) in known:
        return synonym
    from difflib import get_close_matches  # seldom needed

    match = get_close_matches(text.lower(), list(lower), n=1, cutoff=0.6)
    return lower[match[0]] if match else None


def means(word: str, key: object) -> bool:
    """Whether other tools use `word` for what this key means."""
    return _SYNONYMS.get(word.lower().replace("-", "_")) == key


def keys_at(model: type[BaseModel], path: Sequence[Any]) -> dict[str, FieldInfo]:
    """The keys a mapping at `path` (data keys, no union branches) may have."""
    return {
        field.alias or name: field
        for found in _at(model, path)
        if isinstance(found, type) and issubclass(found, BaseModel)
        for name, field in _told(found).items()
    }


def _told(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields, with what they mean."""
    for name, about in described(model).items():
        field = model.model_fields[name]
        field.description = field.description or about
    return model.model_fields


def _at(model: Any, path: Sequence[Any]) -> list[Any]:
    current: list[Any] = [model]
    for step in path:
        current = [deeper for found in current for deeper in _step(found, step)]
    return current


def _step(found: Any, step: Any) -> Iterator[Any]:
    if isinstance(found, type) and issubclass(found, BaseModel):
        for name, field in found.model_fields.items():
            if step in (name, field.alias):
                yield from alternatives(field.annotation)
        return
    origin, arguments = get_origin(found), get_args(found)
    if isinstance(origin, type) and issubclass(origin, Mapping) and len(arguments) == 2:
        yield from alternatives(arguments[1])
    elif isinstance(origin, type) and issubclass(origin, Sequence | set | frozenset) and arguments:
        yield from alternatives(arguments[0])


def alternatives(annotation: Any) -> Iterator[Any]:
    """The types an annotation allows, unions and Annotated taken apart."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from alternatives(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for argument in get_args(annotation):
            yield from alternatives(argument)
    else:
        yield annotation
