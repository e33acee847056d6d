"""Down through an address space, breadth first: each node once, however many ways lead to it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import NamedTuple

from asyncua import ua

from agent.collectors.opcua.address.namespaces import Namespaces
from agent.collectors.opcua.address.nodeid import NodeAddress
from agent.collectors.opcua.explore import HIERARCHICAL, Explorer, Look, weight
from agent.core.text import plain

DEEPEST = 32
#: Properties that say something about the value of a variable (OPC 10000-8, 5): they are no values of their own.
DESCRIBING = frozenset({
    "Definition", "EURange", "EngineeringUnits", "EnumStrings", "EnumValues", "FalseState", "InstrumentRange",
    "TrueState", "ValuePrecision",
})  # fmt: skip
_OBJECT, _VARIABLE = 1, 2
_LONGEST_NAME = 512  #: characters of a BrowseName (OPC 10000-3, 8.3)


class Met(NamedTuple):
    """A node that was met on the way."""

    node: ua.NodeId
    name: str  #: the browse names from the root on: `Machine/Spindle/Speed`
    variable: bool
    place: tuple[int, ...]  #: in the tree, as the server has it: sorted by it, what belongs together stands together


class Walk:
    """One walk. `enters`: whether to look below a node of this name; `deepest`: levels below the root."""

    def __init__(
        self, explorer: Explorer, root: ua.NodeId, *, enters: Callable[[str], bool] = lambda _: True,
        deepest: int = DEEPEST,
    ) -> None:  # fmt: skip
        self._explorer, self._root, self._enters, self._deepest = explorer, root, enters, deepest
        self.looked = 0  #: references looked at
        self.deep = False  #: there is more below the deepest level
        #: What stands below variables and describes them: by variable, the nodes by name.
        self.describing: dict[ua.NodeId, dict[str, ua.NodeId]] = {}
        self.asked: set[ua.NodeId] = set()  #: below these was looked
        self._seen = {root}

    async def nodes(self) -> AsyncGenerator[Sequence[Met]]:
        """What each answer of the server has brought that is new. Close it (`aclosing`) where it is left early."""
        level = [Met(self._root, "", variable=False, place=())]
        for _ in range(self._deepest):
            below: list[Met] = []
            count = [0] * len(level)
            async with aclosing(self._explorer.pages([Look(one.node, HIERARCHICAL) for one in level])) as pages:
                async for at, page in pages:
                    self.looked += weight(page)
                    self.asked.add(level[at].node)
                    fresh = self._fresh(level[at], page, count[at])
                    count[at] += len(page)
                    below += [one for one in fresh if self._enters(one.name)]
                    yield fresh
            level = below
            if not level:
                return
        self.deep = True

    def _fresh(self, parent: Met, page: Sequence[ua.ReferenceDescription], start: int) -> list[Met]:
        found = []
        for number, reference in enumerate(page, start):
            target, kind = reference.NodeId, int(reference.NodeClass)
            elsewhere = isinstance(target, ua.ExpandedNodeId) and target.ServerIndex
            if elsewhere or kind not in {_OBJECT, _VARIABLE}:
                continue
            said = (reference.BrowseName.Name or "")[:_LONGEST_NAME]
            if parent.variable and said in DESCRIBING and not reference.BrowseName.NamespaceIndex:
                self.describing.setdefault(parent.node, {})[said] = target
                continue
            if target in self._seen:
                continue
            self._seen.add(target)
            name = f"{parent.name}/{plain(said)}".removeprefix("/")
            found.append(Met(target, name, kind == _VARIABLE, (*parent.place, number)))
        return found


def address_of(node: ua.NodeId, namespaces: Namespaces) -> NodeAddress | None:
    """Its address by the URI of its namespace; None where that has none of its own."""
    uri = namespaces.uris[node.NamespaceIndex] if node.NamespaceIndex < len(namespaces.uris) else ""
    return None if namespaces.find(uri) is None else NodeAddress(uri, node.Identifier)
