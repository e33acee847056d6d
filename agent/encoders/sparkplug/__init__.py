"""`type: sparkplug_b`: the agent as a Sparkplug B 3.0 edge node, devices as Sparkplug devices (docs/sparkplug.md)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator

from agent.core.errors import PermanentError
from agent.core.ports import Encoder, RouteInfo
from agent.settings.publishers import Carried, ConfigFinding, EncoderConfig

__all__ = ["SparkplugConfig"]


def _check_id(value: str) -> str:
    if not value or any(char in "+/#" or ord(char) < 32 or ord(char) == 127 for char in value):
        raise ValueError(f"{value!r} is no Sparkplug id: one level of a topic, without + / # and control characters")
    return value


SparkplugId = Annotated[str, AfterValidator(_check_id)]


def _lookalikes(what: str, names: Iterable[str]) -> Iterator[str]:
    """Names that a host may take for one (specification 4.4 and 6.4.6, tck-id-case-sensitivity-…)."""
    seen: dict[str, str] = {}
    for name in names:
        first = seen.setdefault(name.casefold(), name)
        if first != name:
            yield f"{what} {first!r} and {name!r} differ only by case; a host may take them for one"


def _metrics(devices: Mapping[str, Carried]) -> Iterator[str]:
    """The first oddity of each device's metric names."""
    for device, carried in devices.items():
        yield from islice(_lookalikes(f"{device}, tags", carried.tags), 1)
        names = set(carried.tags)
        for name in islice((name for name in carried.tags if any(_above(name, names))), 1):
            yield f"{device}, tag {name!r}: the part in front of a / is a folder to hosts, and here a tag as well"


def _above(name: str, names: Collection[str]) -> Iterator[str]:
    while "/" in name:
        name = name.rpartition("/")[0]
        if name in names:
            yield name


class SparkplugConfig(EncoderConfig):
    """A Sparkplug B 3.0 edge node. The publisher's `topic`, `root` and `qos` mean nothing here: the standard sets
    them.
    """

    needs_will: ClassVar[bool] = True

    type: Literal["sparkplug_b"]
    """Sparkplug B 3.0 payloads, births, deaths and commands."""
    group: SparkplugId
    """Group id: the second level of every topic."""
    edge_node: SparkplugId | None = None
    """Edge node id, unique in the group; default the agent's id."""
    primary_host: SparkplugId | None = None
    """Host application without which nothing is published: data waits on disk until its STATE says online."""
    delivery: Literal["strict", "qos1"] = "strict"
    """strict: QoS 0, as the standard asks, and a record is kept until a later answer of the broker proves that it was
    read, and for two keep-alives more; qos1: QoS 1 and PUBACK, which deviates from the standard."""
    aliases: bool = True
    """Data names its metrics by number (short); false: by name, for hosts that do not know aliases."""
    datatypes: Literal["births", "always"] = "births"
    """Where data types stand: in births, as the standard recommends, or in data, too, for decoders that remember
    nothing."""
    uint32: Literal["int", "long"] = "int"
    """Field of UInt32 values: int_value as the standard has it, or long_value for older hosts."""

    def identity(self, route: RouteInfo) -> str | None:
        return f"the edge node {self.group}/{self.edge_node or route.agent}"

    def examine(self, route: RouteInfo, devices: Mapping[str, Carried]) -> Iterator[ConfigFinding]:
        usual = RouteInfo(name=route.name, agent=route.agent)
        if (route.topic, route.root, route.qos) != (usual.topic, usual.root, usual.qos):
            yield ConfigFinding(
                "`topic`, `root` and `qos` of the publisher mean nothing here: Sparkplug sets them", wrong=False
            )
        for text in (*_lookalikes("devices", devices), *_metrics(devices)):
            yield ConfigFinding(text, wrong=False)

    def build(self, route: RouteInfo) -> Encoder:
        try:
            from agent.encoders.sparkplug.encoder import SparkplugEncoder
        except ImportError as error:
            raise PermanentError(
                f"sparkplug_b needs protobuf: {error}", "pip install protobuf (the image has it)"
            ) from None
        return SparkplugEncoder(self, route)
