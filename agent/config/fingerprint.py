"""A short hash of what a configuration means: the same for the same meaning, without secrets."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator
from functools import cache
from operator import attrgetter

import msgspec
from pydantic import BaseModel

from agent.config.model import Config
from agent.config.words import hide_userinfo
from agent.settings.devices import DeviceConfig

#: Which file something stands in changes no meaning; the parts come one by one.
_PARTS = frozenset({"include", "templates", "devices_file", "devices", "publishers"})


def fingerprint(config: Config) -> str:
    """12 hexadecimal digits over the effective values, defaults included. Secrets are masked before hashing.

    Neither the order of keys nor of files counts, nor how a value is written (`1s`, `1000ms`). Made piece by piece: the
    agent reads at work, and nobody else gets a turn while one piece is dumped.
    """
    found = hashlib.sha256(_piece(_of_any_shard(config), _PARTS))
    for section in (config.publishers, config.devices):
        for name in sorted(section):
            found.update(name.encode())
            for piece in _pieces(section[name]):
                found.update(piece)
    return found.hexdigest()[:12]


def _of_any_shard(config: Config) -> Config:
    """All shards of one configuration have one hash, so one look shows whether they run the same."""
    shard = config.agent.shard.model_copy(update={"index": 0})
    return config.model_copy(update={"agent": config.agent.model_copy(update={"shard": shard})})


def _pieces(part: BaseModel) -> Iterator[bytes]:
    tables = part.tables() if isinstance(part, DeviceConfig) else {}
    yield _piece(part, {*tables, "tags_file"})
    for key, table in sorted(tables.items()):
        yield key.encode()
        for tag in sorted(table):
            yield tag.encode()
            yield _tag(table[tag])


def _tag(tag: BaseModel) -> bytes:
    """Its values in the order of its class: a fifth of the price of :func:`_piece`, which is for odd ones."""
    try:
        text = _encode(_values_of(type(tag))(tag))
    except (TypeError, ValueError):
        return _piece(tag)
    return text if b"://" not in text else hide_userinfo(text.decode()).encode()


@cache
def _values_of(model: type[BaseModel]) -> Callable[[BaseModel], object]:
    return attrgetter(*model.model_fields)


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return _values_of(type(value))(value)
    raise TypeError(type(value))


_encode = msgspec.json.Encoder(enc_hook=_plain, order="sorted").encode


def _piece(model: BaseModel, but: Collection[str] = ()) -> bytes:
    values = msgspec.json.decode(model.model_dump_json(exclude=set(but)))
    text = msgspec.json.encode(values, order="sorted").decode()
    return hide_userinfo(text).encode()
