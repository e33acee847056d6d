"""Where the nodes of a simulated OPC UA server lie. With `opcua.py` all of the simulator that touches asyncua."""

from __future__ import annotations

import gc
from collections.abc import Iterable

from asyncua import ua
from asyncua.common.node import Node
from asyncua.server.server import Server
from asyncua.ua.uaerrors import UaError

from agent.collectors.opcua.address.nodeid import NodeAddress
from agent.collectors.opcua.address.paths import BrowsePath
from agent.simulator.machines import State
from agent.simulator.points import Below, NodePoint


class AddressSpace:
    """Fills a server; what the server has already (the standard's nodes) is left to it."""

    def __init__(self, server: Server, index: int, folder: Node) -> None:
        self._server = server
        self._index = index  #: namespace of what has no node id of its own
        self._folder = folder
        self._uris: list[str] = []
        self._made: dict[tuple[ua.NodeId, int, str], Node] = {}  #: objects, by parent and browse name
        self._roots: set[ua.NodeId] = set()  #: made here, too

    async def fill(self, points: Iterable[NodePoint], state: State) -> dict[str, ua.NodeId]:
        """Node ids by name, of those whose values are ours to write."""
        points = list(points)
        await self._namespaces(points)
        ids: dict[str, ua.NodeId] = {}
        collected = gc.isenabled()
        gc.disable()  # none of thousands of nodes is garbage: looking for it took as long as making them
        try:
            for point in points:
                node = await self._put(point, state)
                if node is not None and not point.notifies:
                    ids[point.name] = node.nodeid
        finally:
            if collected:
                gc.enable()
        return ids

    async def _namespaces(self, points: Iterable[NodePoint]) -> None:
        """Every index and every URI that is asked for."""
        wanted = [one for point in points for one in _namespaces_in(point)]
        self._uris = list(await self._server.get_namespace_array())
        while len(self._uris) <= max((one for one in wanted if isinstance(one, int)), default=0):
            await self._register(f"urn:simulated:{len(self._uris)}")
        for uri in dict.fromkeys(one for one in wanted if isinstance(one, str)):
            if uri not in self._uris:
                await self._register(uri)

    async def _register(self, uri: str) -> None:
        await self._server.register_namespace(uri)
        self._uris.append(uri)

    async def _put(self, point: NodePoint, state: State) -> Node | None:
        place = point.place
        if place is None:
            return await self._add(self._folder, ua.NodeId(point.name, self._index), point.name, point, state)  # type: ignore[arg-type]
        if isinstance(place, NodeAddress):
            node = self._id(place)
            name = str(place.identifier)
            return None if self._known(node) else await self._add(self._folder, node, name, point, state)
        parent, steps = await self._way(place)
        for index, name in steps[:-1]:
            parent = await self._object(parent, index, name)
        index, name = steps[-1]
        if not self._ours(parent) and await _child(parent, index, name) is not None:
            return None
        return await self._add(parent, self._new_id(), name, point, state, index)

    async def _object(self, parent: Node, index: int, name: str) -> Node:
        """The one of that name below its parent, made where it is new."""
        key = parent.nodeid, index, name
        if key not in self._made:
            there = None if self._ours(parent) else await _child(parent, index, name)
            self._made[key] = there or await parent.add_object(self._new_id(), ua.QualifiedName(name, index))
        return self._made[key]

    def _new_id(self) -> ua.NodeId:
        """The server numbers it."""
        return ua.NodeId(0, self._index)  # type: ignore[arg-type]  # plain numbers are what it takes

    def _ours(self, node: Node) -> bool:
        """Whether all below it was made here."""
        return node.nodeid.NamespaceIndex == self._index or node.nodeid in self._roots

    async def _way(self, place: BrowsePath | Below) -> tuple[Node, list[tuple[int, str]]]:
        if isinstance(place, BrowsePath):
            steps = [(self._number(namespace), name) for namespace, name in place.steps]
            return self._server.get_node(ua.NodeId(place.start, 0)), steps  # type: ignore[arg-type]
        root = self._id(place.root)
        if not self._known(root):
            self._roots.add(root)
            await self._folder.add_object(root, ua.QualifiedName(str(place.root.identifier), root.NamespaceIndex))
        return self._server.get_node(root), [(self._index, name) for name in place.names]

    async def _add(
        self, parent: Node, node: ua.NodeId, name: str, point: NodePoint, state: State, index: int | None = None
    ) -> Node:  # fmt: skip
        browse_name = ua.QualifiedName(name[:512], node.NamespaceIndex if index is None else index)
        if point.notifies:
            made = await parent.add_object(node, browse_name)
            await made.set_event_notifier([ua.EventNotifier.SubscribeToEvents])
            return made
        return await parent.add_variable(node, browse_name, ua.Variant(state[point.name], ua.VariantType[point.type]))

    def _id(self, place: NodeAddress) -> ua.NodeId:
        return ua.NodeId(place.identifier, self._number(place.namespace))  # type: ignore[arg-type]

    def _number(self, namespace: int | str) -> int:
        return self._uris.index(namespace) if isinstance(namespace, str) else namespace

    def _known(self, node: ua.NodeId) -> bool:
        return node in self._server.iserver.aspace._nodes  # noqa: SLF001  # it has no public way to ask


async def _child(parent: Node, index: int, name: str) -> Node | None:
    try:
        return await parent.get_child([ua.QualifiedName(name, index)])
    except UaError:
        return None


def _namespaces_in(point: NodePoint) -> list[int | str]:
    place = point.place
    if isinstance(place, NodeAddress):
        return [place.namespace]
    if isinstance(place, BrowsePath):
        return [namespace for namespace, _ in place.steps]
    return [place.root.namespace] if place is not None else []
