"""A device out of nothing but an address: `read --url tcp://… holding:100 --type float32`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel

from agent.collectors.modbus.bus.url import parse_url
from agent.config import registry
from agent.config.located import Map, Place, Text
from agent.config.validate import validate
from agent.core.errors import ConfigError, Mistake
from agent.settings.devices import DeviceConfig

_SCHEMES = {
    "opcua": ("opc.tcp",),
    "modbus": ("tcp", "udp", "tls", "rtu+tcp", "ascii+tcp", "serial", "ascii+serial", "tcp-listen"),
}
#: How the kinds of devices name where a tag lies.
_WHERE = {"opcua": "node", "modbus": "address"}
_HERE = Place("command line", 0)


def kind_of(url: str) -> str:
    """The `type:` of a device at this address. Raises ConfigError where no scheme of it is known."""
    scheme = url.partition("://")[0]
    for kind, schemes in _SCHEMES.items():
        if scheme in schemes and "://" in url:
            return kind
    hint = "write tcp://HOST for Modbus, opc.tcp://HOST:4840 for OPC UA"
    try:
        parse_url(url)
    except ValueError as error:
        meant = str(error).partition("; ")[2]
        hint = meant if "serial://" in meant.partition("(")[0] else hint
    raise ConfigError(_HERE.file, None, f"{url!r} is no address of a device", hint)


def device_at(
    url: str, addresses: Sequence[str], keys: Mapping[str, object], tag: Mapping[str, object]
) -> DeviceConfig:
    """The device at `url` with a tag for each address, named by it. Raises ConfigError."""
    kind = kind_of(url)
    model = registry.resolve(registry.COLLECTORS, kind)
    tags: dict[str, Map] = {}
    for address in addresses:
        one = {**tag, _WHERE[kind]: address}
        for single in _spread(model, one):
            tags[str(single[_WHERE[kind]])] = _map(single)
    data = _map({"type": kind, "url": url, **keys, "tags": _map(tags)})
    mistakes: list[Mistake] = []
    device = validate(model, data, base=Path(), mistakes=mistakes)
    if not isinstance(device, DeviceConfig):
        raise ConfigError.of([Mistake(_HERE.file, None, one.reason, one.hint) for one in mistakes])
    return device


def _spread(model: type[BaseModel], tag: Mapping[str, object]) -> Sequence[Mapping[str, object]]:
    """One tag, or those of a range of addresses (`holding:100..103`)."""
    try:
        many = model.spread("{n}", tag) if issubclass(model, DeviceConfig) else None
    except ValueError as error:
        reason, _, hint = str(error).partition("; ")
        raise ConfigError(_HERE.file, None, reason, hint) from None
    return [tag] if many is None else [one for one in many.values() if isinstance(one, Mapping)]


def _map(values: Mapping[str, object]) -> Map:
    made = Map(*_HERE)
    for key, value in values.items():
        made.put(key, Text(value) if isinstance(value, str) else value, _HERE)
    return made
