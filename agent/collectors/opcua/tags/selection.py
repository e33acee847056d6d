"""Nodes chosen by browsing: walked anew on every connection, beside everything else, bounded. What is chosen is pure.

Names are the browse names on the way, `Machine/Spindle/Speed`; include and exclude are globs over them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import aclosing

from asyncua import ua

from agent.collectors.common.polling import PollGroup
from agent.collectors.opcua.address.namespaces import Namespaces
from agent.collectors.opcua.address.nodeid import NodeAddress
from agent.collectors.opcua.address.paths import BrowsePath
from agent.collectors.opcua.browse.facts import describing_of, told
from agent.collectors.opcua.browse.selection import FoundNodes, chosen, enters, named
from agent.collectors.opcua.browse.walk import DEEPEST, Walk, address_of
from agent.collectors.opcua.explore import Explorer
from agent.collectors.opcua.past import Past
from agent.collectors.opcua.plan import ConnectionPlan, Selection
from agent.collectors.opcua.server import ServerFacts
from agent.collectors.opcua.services import node_id, path_of
from agent.collectors.opcua.translate import AnswerUndecodable, ServiceRefused
from agent.core.clock import Clock
from agent.core.errors import ConnectionLost
from agent.core.flow import TagFacts
from agent.telemetry.logging import get_logger

log = get_logger("opcua")

_REFERENCES = 100_000  #: looked at at least, whatever `max_nodes`; a server must not make us walk for ever
_SELDOM = 20  #: times the usual wait: how seldom a server in which nothing was found is walked through in the end
_TOGETHER = 200  #: nodes whose facts are asked for in one go


async def explore(
    explorer: Explorer, selection: Selection, namespaces: Namespaces, taken: Collection[ua.NodeId] = ()
) -> tuple[FoundNodes, Walk | None]:
    """Walk down from the root; what was found but for what is `taken`, and the walk."""
    index = selection.root.index_in(namespaces)
    if index is None:
        return FoundNodes({}), None
    walk = Walk(explorer, node_id(selection.root, index), enters=lambda name: enters(name, selection))
    found: list[tuple[str, NodeAddress]] = []
    nowhere = 0
    most = max(_REFERENCES, 20 * selection.max_nodes)
    async with aclosing(walk.nodes()) as pages:
        async for page in pages:
            for one in page:
                wanted = one.variable and one.node not in taken and chosen(one.name, selection)
                if wanted and selection.keys(one.name).enabled:
                    address = address_of(one.node, namespaces)
                    if address is None:
                        nowhere += 1
                    else:
                        found.append((one.name, address))
            if len(found) > selection.max_nodes or walk.looked > most:
                return named(found, selection.max_nodes)._replace(nowhere=nowhere, cut=True), walk
    return named(found, selection.max_nodes)._replace(nowhere=nowhere, deep=walk.deep), walk


def extended(plan: ConnectionPlan, known: dict[str, NodeAddress]) -> ConnectionPlan:
    """The plan with the nodes found so far behind its own tags, in the order they were found."""
    if plan.selection is None:
        return plan
    points, silences = dict(plan.points), dict(plan.silences)
    added: dict[float | None, list[int]] = {group.interval: [] for group in plan.groups}
    for position, (name, address) in enumerate(known.items(), plan.size):
        keys = plan.selection.keys(name)
        points[position] = keys.point._replace(position=position, name=name, address=address)
        added[keys.interval if keys.interval in added else plan.interval].append(position)
        if keys.silence is not None:
            silences[position] = keys.silence
    groups = [PollGroup(group.interval, (*group.positions, *added[group.interval])) for group in plan.groups]
    return plan._replace(points=points, silences=silences, groups=groups, size=plan.size + len(known))


class Browsing:
    """Looks for nodes on one connection, beside everything else; `grow` gets the plan with those that are new.

    `plan`: as it is configured. What the connections before found is in `past`, and may come back. `learned` is called
    when the server has said something about tags that were handed on already.
    """

    def __init__(
        self, plan: ConnectionPlan, selection: Selection, server: ServerFacts, explorer: Explorer, past: Past,
        clock: Clock, grow: Callable[[ConnectionPlan], Awaitable[None]], learned: Callable[[], None],
    ) -> None:  # fmt: skip
        self._plan, self._selection = plan, selection
        self._server, self._explorer, self._past, self._clock = server, explorer, past, clock
        self._grow, self._learned = grow, learned
        self._fresh: dict[str, TagFacts] = {}  # of this connection

    async def run(self) -> None:
        """Until something is found: a controller may still be loading its program, a server refuse for a while.

        Walking costs the server something, and there may be nothing: it is done less and less often. An answer that
        does not come in time is no loss of the connection: whether it stands is found out by those who read values.
        """
        wait = self._plan.pace.again
        while True:
            self._explorer.untold = 0
            try:
                taken = await self._taken()
                found, walk = await explore(self._explorer, self._selection, self._server.namespaces, taken)
            except (ServiceRefused, AnswerUndecodable, ConnectionLost) as error:
                self._past.present = self._past.present or frozenset()
                _say_left_out(self._plan.device, self._past, str(error))
            else:
                complete = walk is not None and await self._describe(found, walk, within=self._plan.pace.types)
                await self._take(found)
                if found.nodes:
                    self._past.memory.meanings.read.update(self._selection.root.indexes)
                    if walk is not None and not complete and await self._describe(found, walk, within=None):
                        self._learned()
                    if not self._explorer.untold:
                        return
            await self._clock.sleep(wait)
            wait = min(2 * wait, _SELDOM * self._plan.pace.again)
            await self._server.read_namespaces()

    async def _taken(self) -> set[ua.NodeId]:
        """The nodes of the tags that are configured, whatever way they are named."""
        namespaces, taken, ways = self._server.namespaces, set(), []
        for address in self._selection.taken:
            if isinstance(address, BrowsePath):
                names = address.names_in(namespaces)
                if isinstance(names, list):
                    ways.append(path_of(address.start, names))
            elif (index := address.index_in(namespaces)) is not None:
                taken.add(node_id(address, index))
        if ways:
            taken.update(end for end in await self._explorer.follow(ways) if isinstance(end, ua.NodeId))
        return taken

    async def _describe(self, found: FoundNodes, walk: Walk, within: float | None) -> bool:
        """Ask for units and descriptions of what is not known on this connection; False: not all `within` seconds.

        A server that does not say is read without.
        """
        namespaces, fresh = self._server.namespaces, self._fresh
        nodes = [
            (node_id(address, index), name, address)
            for name, address in found.nodes.items()
            if name not in fresh and (index := address.index_in(namespaces)) is not None
        ]
        try:
            async with asyncio.timeout(within):
                for start in range(0, len(nodes), _TOGETHER):
                    piece = nodes[start : start + _TOGETHER]
                    unseen = [node for node, _, _ in piece if node not in walk.asked]
                    describing = {**walk.describing, **await describing_of(self._explorer, unseen)}
                    facts = await told(self._explorer, [each[:2] for each in piece], describing)
                    for (_, name, address), one in zip(piece, facts, strict=True):
                        fresh[name] = TagFacts(one.unit, one.description, address.text)
        except TimeoutError:
            return False
        except (ServiceRefused, AnswerUndecodable, ConnectionLost):
            for _, name, address in nodes:
                fresh.setdefault(name, self._past.found_facts.get(name, TagFacts(node=address.text)))
        finally:
            self._past.found_facts |= fresh
        return True

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
        namespaces, root = self._server.namespaces, selection.root.namespace
        reasons = {
            **({namespaces.trouble(root): True} if namespaces.find(root) is None else {}),
            f"there are more than max_nodes ({selection.max_nodes})": cut,
            f"the server refuses to tell what lies below {self._explorer.untold} of them": self._explorer.untold > 0,
            f"some lie deeper than {DEEPEST} levels below root": found.deep,
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
        else:
            self._learned()


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
