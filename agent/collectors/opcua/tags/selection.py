"""Nodes chosen by browsing: walked anew on every connection, beside everything else, bounded. What is chosen is pure.

Names are the browse names on the way, `Machine/Spindle/Speed`; include and exclude are globs over them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from fnmatch import fnmatchcase
from itertools import islice
from typing import NamedTuple

from asyncua import ua

from agent.collectors.common.polling import PollGroup
from agent.collectors.opcua.address.nodeid import NodeAddress, index_of
from agent.collectors.opcua.explore import HIERARCHICAL, Explorer, Look
from agent.collectors.opcua.past import Past
from agent.collectors.opcua.plan import ConnectionPlan, Selection, TagPoint, sampling_of
from agent.collectors.opcua.server import ServerFacts
from agent.collectors.opcua.services import node_id
from agent.collectors.opcua.translate import AnswerUndecodable, ServiceRefused
from agent.core.clock import Clock
from agent.core.errors import ConnectionLost
from agent.core.text import plain
from agent.settings.tags import check_tag_name
from agent.telemetry.logging import get_logger

log = get_logger("opcua")

_DEEPEST = 32
_REFERENCES = 100_000  #: looked at at least, whatever `max_nodes`; a server must not make us walk for ever
_SELDOM = 20  #: times the usual wait: how seldom a server in which nothing was found is walked through in the end
_OBJECT, _VARIABLE = 1, 2


class FoundNodes(NamedTuple):
    """What a selection gave."""

    nodes: dict[str, NodeAddress]  #: by name, with the namespace's URI: good on every connection
    cut: bool = False  #: more than `max_nodes` would have fitted
    deep: bool = False  #: what lies deeper than we go was not looked at
    unnamed: int = 0  #: nodes whose name cannot be that of a tag
    nowhere: int = 0  #: nodes in a namespace without a URI of its own: their addresses are good for today only


def chosen(name: str, selection: Selection) -> bool:
    """Whether a variable of this name is wanted."""
    return any(fnmatchcase(name, glob) for glob in selection.include) and not any(
        fnmatchcase(name, glob) for glob in selection.exclude
    )


async def explore(explorer: Explorer, selection: Selection, namespaces: Sequence[str]) -> FoundNodes:
    """Walk down from the root, breadth first; each node once, however many ways lead to it."""
    index = selection.root.index_in(namespaces)
    if index is None:
        return FoundNodes({})
    root = node_id(selection.root, index)
    level: list[tuple[ua.NodeId, str]] = [(root, "")]
    seen = {root}
    found: list[tuple[str, NodeAddress]] = []
    nowhere = looked = 0
    most = max(_REFERENCES, 20 * selection.max_nodes)
    for _ in range(_DEEPEST):
        below: list[tuple[ua.NodeId, str]] = []
        async with aclosing(explorer.pages([Look(node, HIERARCHICAL) for node, _ in level])) as pages:
            async for at, page in pages:
                for reference in page:
                    target, kind = reference.NodeId, int(reference.NodeClass)
                    elsewhere = isinstance(target, ua.ExpandedNodeId) and target.ServerIndex
                    if target in seen or elsewhere or kind not in {_OBJECT, _VARIABLE}:
                        continue
                    seen.add(target)
                    name = f"{level[at][1]}/{plain(reference.BrowseName.Name or '')}".removeprefix("/")
                    below.append((target, name))
                    if kind == _VARIABLE and chosen(name, selection):
                        uri = namespaces[target.NamespaceIndex] if target.NamespaceIndex < len(namespaces) else ""
                        if index_of(uri, namespaces) is None:
                            nowhere += 1
                        else:
                            found.append((name, NodeAddress(uri, target.Identifier)))
                looked += len(page)
                if len(found) > selection.max_nodes or looked > most:
                    return named(found, selection.max_nodes)._replace(nowhere=nowhere, cut=True)
        if not below:
            return named(found, selection.max_nodes)._replace(nowhere=nowhere)
        level = below
    return named(found, selection.max_nodes)._replace(deep=True, nowhere=nowhere)


def named(found: Sequence[tuple[str, NodeAddress]], most: int) -> FoundNodes:
    """Each node under a name of its own.

    A name that several nodes have is none of theirs: which one the server tells first may change any day. They are told
    apart by their node ids. What could not be a tag's name in a configuration is not made one here.
    """
    times = Counter(name for name, _ in found)
    nodes: dict[str, NodeAddress] = {}
    unnamed = 0
    for said, address in found:
        name = said if times[said] == 1 else f"{said} ({address.text})"
        try:
            check_tag_name(name).encode()
            address.text.encode()
            nodes[name] = address
        except ValueError:  # UnicodeEncodeError too: names and node ids with broken bytes cannot be carried
            unnamed += 1
    return FoundNodes(dict(islice(nodes.items(), most)), cut=len(nodes) > most, unnamed=unnamed)


def extended(plan: ConnectionPlan, known: dict[str, NodeAddress]) -> ConnectionPlan:
    """The plan with the nodes found so far behind its own tags, in the order they were found."""
    sampling, queue = sampling_of(plan.interval)
    added = {
        plan.size + at: TagPoint(plan.size + at, name, address, sampling, queue)
        for at, (name, address) in enumerate(known.items())
    }
    groups = [
        PollGroup(group.interval, (*group.positions, *added)) if group.interval == plan.interval else group
        for group in plan.groups
    ]
    return plan._replace(points={**plan.points, **added}, groups=groups, size=plan.size + len(known))


class Browsing:
    """Looks for nodes on one connection, beside everything else; `grow` gets the plan with those that are new.

    `plan`: as it is configured. What the connections before found is in `past`, and may come back.
    """

    def __init__(
        self, plan: ConnectionPlan, selection: Selection, server: ServerFacts, explorer: Explorer, past: Past,
        clock: Clock, grow: Callable[[ConnectionPlan], Awaitable[None]],
    ) -> None:  # fmt: skip
        self._plan, self._selection = plan, selection
        self._server, self._explorer, self._past, self._clock = server, explorer, past, clock
        self._grow = grow

    async def run(self) -> None:
        """Until something is found: a controller may still be loading its program, a server refuse for a while.

        Walking costs the server something, and there may be nothing: it is done less and less often. An answer that
        does not come in time is no loss of the connection: whether it stands is found out by those who read values.
        """
        wait = self._plan.pace.again
        while True:
            try:
                found = await explore(self._explorer, self._selection, self._server.namespaces)
            except (ServiceRefused, AnswerUndecodable, ConnectionLost) as error:
                self._past.present = self._past.present or frozenset()
                _say_left_out(self._plan.device, self._past, str(error))
            else:
                await self._take(found)
                if found.nodes:
                    return
            await self._clock.sleep(wait)
            wait = min(2 * wait, _SELDOM * self._plan.pace.again)
            await self._server.read_namespaces()

    async def _take(self, found: FoundNodes) -> None:
        past, selection = self._past, self._selection
        nodes = {name: address for name, address in found.nodes.items() if name not in self._plan.names}
        room = 2 * selection.max_nodes - len(past.found)  # programs change, and a table must not grow for ever
        fresh = [name for name in nodes if name not in past.found]
        moved = {name for name in nodes if past.found.get(name, nodes[name]) != nodes[name]}
        known = past.found | {
            name: nodes[name] for name in nodes if name in past.found or name in fresh[: max(0, room)]
        }
        cut = found.cut or len(fresh) > room
        reasons = {
            f"there are more than max_nodes ({selection.max_nodes})": cut,
            f"some lie deeper than {_DEEPEST} levels below root": found.deep,
            f"{found.unnamed} have names that no tag can have (empty, too long, control characters)": found.unnamed > 0,
            f"{found.nowhere} lie in namespaces without a URI of their own": found.nowhere > 0,
        }
        _say_left_out(self._plan.device, past, "; ".join(words for words, so in reasons.items() if so))
        _say_changes(self._plan.device, past, frozenset(nodes), cut=cut or found.deep)
        grown = len(known) > len(past.found)
        past.found = known
        if moved:
            raise ConnectionLost("nodes that were found before have other addresses now: connecting anew for them")
        if grown:
            await self._grow(extended(self._plan, known))


def _say_left_out(device: str, past: Past, reason: str) -> None:
    before, past.left_out = past.left_out, reason
    if reason and reason != before:
        log.warning("opcua.nodes_left_out", device=device, reason=reason)


def _say_changes(device: str, past: Past, now: frozenset[str], *, cut: bool) -> None:
    before, past.present = past.present, now
    if before == now:
        return
    added, removed = sorted(now - (before or frozenset())), sorted((before or frozenset()) - now)
    log.info(
        "opcua.selection",
        device=device,
        nodes=len(now),
        added=len(added),
        removed=len(removed),
        first=[*added[:5], *(f"-{name}" for name in removed[:5])],
        cut=cut,
    )
