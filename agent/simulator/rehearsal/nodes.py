"""The nodes that the tags of an OPC UA device ask for, and what they say. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from agent.collectors.opcua.address.nodeid import parse_node_id
from agent.collectors.opcua.config import OpcUaConfig
from agent.collectors.opcua.tag import BrowseSettings, OpcUaTag
from agent.collectors.opcua.values.indexrange import parse_index_range
from agent.settings.tags import TagBase
from agent.simulator.machines import State, Value
from agent.simulator.points import Below, NodePoint
from agent.simulator.rehearsal.signals import STEP, Signal

#: What each zone of a station below the root of a `browse:` that takes everything has; so many zones to a station.
ZONE = ("Temperature", "Pressure", "Speed", "Torque", "Counter")
ZONES = 20
_MOST = 1000  #: values that change in a second; more than so many change less often
_PLAIN = re.compile(r"[^*?\[\]]+")


class NodeMachine:
    """The values of one server. Implements `machines.Machine`."""

    def __init__(self, devices: Mapping[str, OpcUaConfig]) -> None:
        self._signals: dict[str, tuple[Signal, int, bool]] = {}  #: elements (0: no array) and whether it is whole
        nodes: dict[object, NodePoint] = {}
        for device, config in devices.items():
            for name, tag in config.tags.items():
                self._node(nodes, f"{device}/{name}", device, tag)
            for name, event in config.events.items():
                address = parse_node_id(event.node)
                nodes.setdefault(address, NodePoint(f"{device}/{name}", "Boolean", place=address, notifies=True))
            for path in _found(config.browse):
                name = f"{device}/{'/'.join(path.names)}"
                self._signals[name] = Signal(device, name, TagBase()), 0, False
                nodes.setdefault(path, NodePoint(name, "Double", place=path))
        self.nodes = tuple(nodes.values())
        self._every = STEP * max(1, len(self._signals) // _MOST)
        self._newest: tuple[float, State] = (-1.0, {})

    def state(self, t: float) -> State:
        at = t // self._every * self._every
        if at != self._newest[0]:
            self._newest = at, {node.name: self._value(node.name, at) for node in self.nodes if not node.notifies}
        return self._newest[1]

    def _node(self, nodes: dict[object, NodePoint], name: str, device: str, tag: OpcUaTag) -> None:
        address, whole = tag.address, bool(tag.enum)
        self._signals[name] = Signal(device, name, tag), _elements(tag), whole
        nodes.setdefault(address, NodePoint(name, "Int32" if whole else "Double", tag.unit, address))

    def _value(self, name: str, t: float) -> Value | list[Value]:
        signal, elements, whole = self._signals[name]
        if elements:
            return [signal.raw(t, number) for number in range(elements)]
        return round(signal.raw(t)) if whole else signal.raw(t)


def _elements(tag: OpcUaTag) -> int:
    """Elements of an array; 0: none. The stand-in has no more than the part that is asked for."""
    part = None if tag.index_range is None else parse_index_range(tag.index_range)
    return 0 if part is None or part.single else part.sizes[0]


def _found(browse: BrowseSettings | None) -> Iterator[Below]:
    """Variables that a `browse:` finds: one for each glob that names something, else as many as `max_nodes` says.

    Where `max_nodes` is not given, one zone.
    """
    if browse is None:
        return
    root = parse_node_id(browse.root)
    most = browse.max_nodes if "max_nodes" in browse.model_fields_set else len(ZONE)
    for glob in browse.include:
        if _PLAIN.search(glob.replace("/", "")):
            yield Below(root, tuple(_names(glob).split("/")))
            continue
        for number in range(most):
            zone, place = divmod(number, len(ZONE))
            station, zone = divmod(zone, ZONES)
            yield Below(root, (f"Station{station + 1}", f"Zone{zone + 1}", ZONE[place]))


def _names(glob: str) -> str:
    """A name that a glob takes, where that can be told."""
    plain = re.sub(r"\[(.)[^\]]*\]", r"\1", glob).replace("*", "Simulated").replace("?", "1")
    return "/".join(part for part in plain.split("/") if part) or "Simulated"
