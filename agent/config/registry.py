"""Which types there are for devices, encoders and publishers: entry points, resolved one by one.

Only the folder of a type that is configured gets imported. Third parties add types by entry points of the same groups.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import NamedTuple

from pydantic import BaseModel

from agent.settings.devices import DeviceConfig
from agent.settings.publishers import EncoderConfig, PublisherConfig


class PartKind(NamedTuple):
    """One family of parts whose `type` picks a model."""

    group: str  #: entry point group
    word: str
    base: type[BaseModel]


COLLECTORS = PartKind("agent.collectors", "device", DeviceConfig)
ENCODERS = PartKind("agent.encoders", "encoder", EncoderConfig)
PUBLISHERS = PartKind("agent.publishers", "publisher", PublisherConfig)

#: What comes with the agent, for a checkout whose metadata is missing or older than its code.
BUILT_IN: dict[str, dict[str, str]] = {
    "agent.collectors": {
        "modbus": "agent.collectors.modbus.config:ModbusConfig",
        "opcua": "agent.collectors.opcua.config:OpcUaConfig",
    },
    "agent.encoders": {
        "influx": "agent.encoders.influx:InfluxConfig",
        "json": "agent.encoders.json:JsonConfig",
        "sparkplug_b": "agent.encoders.sparkplug:SparkplugConfig",
        "template": "agent.encoders.template:TemplateConfig",
        "umh": "agent.encoders.umh:UmhConfig",
        "value": "agent.encoders.value:ValueConfig",
    },
    "agent.publishers": {"mqtt": "agent.publishers.mqtt.config:MqttConfig"},
}


class UnknownType(LookupError):
    """No part of this type is installed; `known` are the names there are."""

    def __init__(self, known: list[str]) -> None:
        super().__init__(", ".join(known))
        self.known = known


class BrokenType(Exception):
    """The part is registered but cannot be imported; `str()` says why."""


#: Of all packages and groups: to look for them opens a file of each package.
_installed = cache(entry_points)


@cache
def _points(group: str) -> dict[str, EntryPoint]:
    """By type. What comes with the agent is never replaced by a package of others (:func:`shadowed` names those)."""
    built_in = {name: EntryPoint(name, value, group) for name, value in BUILT_IN.get(group, {}).items()}
    return {point.name: point for point in _installed().select(group=group)} | built_in


def shadowed() -> list[str]:
    """Types that a package registers although they come with the agent: in words, with the package's name."""
    return [
        f"type `{point.name}` comes with the agent; {_package(point)} registers one of that name too, which is not used"
        for group, built_in in BUILT_IN.items()
        for point in _installed().select(group=group)
        if built_in.get(point.name, point.value) != point.value
    ]


def _package(point: EntryPoint) -> str:
    return f"the package {point.dist.name}" if point.dist is not None else point.value


def known(kind: PartKind) -> list[str]:
    """The types there are, sorted."""
    return sorted(_points(kind.group))


def resolve(kind: PartKind, name: str) -> type[BaseModel]:
    """The model of one type. Raises UnknownType or BrokenType."""
    point = _points(kind.group).get(name)
    if point is None:
        raise UnknownType(known(kind))
    try:
        model = point.load()
    except (ImportError, AttributeError) as error:
        raise BrokenType(f"{point.value} cannot be loaded: {error}") from error
    if not (isinstance(model, type) and issubclass(model, kind.base)):
        raise BrokenType(f"{point.value} is not a {kind.base.__name__}")
    return model
