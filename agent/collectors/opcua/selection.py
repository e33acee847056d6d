"""Nodes chosen by browsing: walked anew on every connection, bounded. What is chosen is pure.

Names are the browse names on the way, `Machine/Spindle/Speed`; include and exclude are globs over them.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from asyncua import ua

from agent.collectors.opcua.explore import HIERARCHICAL, Explorer, Look
from agent.collectors.opcua.nodeid import NodeAddress
from agent.collectors.opcua.past import Past
from agent.collectors.opcua.plan import DevicePlan, Point, Selection, sampling_of
from agent.collectors.opcua.services import node_id
from agent.collectors.opcua.tag import OpcUaTag
from agent.collectors.polling import PollGroup
from agent.telemetry.logging import get_logger

log = get_logger("opcua")

_DEEPEST = 32
_OBJECT, _VARIABLE = 1, 2


class Found(NamedTuple):
    """What a selection gave."""

    nodes: dict[str, NodeAddress]  #: by name, with the namespace's URI: good on every connection
    cut: bool  #: more than `max_nodes` would have fitted


def chosen(name: str, selection: Selection) -> bool:
    """Whether a variable of this name is wanted."""
    return any(fnmatchcase(name, glob) for glob in selection.include) and not any(
        fnmatchcase(name, glob) for glob in selection.exclude
    )


async def explore(explorer: Explorer, selection: Selection, namespaces: Sequence[str]) -> Found:
    """Walk down from the root, breadth first; each node once, however many ways lead to it."""
    index = selection.root.index_in(namespaces)
    if index is None:
        return Found({}, cut=False)
    root = node_id(selection.root, index)
    level: list[tuple[ua.NodeId, str]] = [(root, "")]
    seen = {root}
    nodes: dict[str, NodeAddress] = {}
    for _ in range(_DEEPEST):
        pages = await explorer.references([Look(node, HIERARCHICAL) for node, _ in level])
        below: list[tuple[ua.NodeId, str]] = []
        for (_, way), page in zip(level, pages, strict=True):
            for reference in page:
                target, kind = reference.NodeId, int(reference.NodeClass)
                elsewhere = isinstance(target, ua.ExpandedNodeId) and target.ServerIndex
                if target in seen or elsewhere or kind not in {_OBJECT, _VARIABLE}:
                    continue
                if target.NamespaceIndex >= len(namespaces):
                    continue
                seen.add(target)
                name = f"{way}/{reference.BrowseName.Name}".lstrip("/")
                below.append((target, name))
                if kind == _VARIABLE and chosen(name, selection):
                    if len(nodes) >= selection.max_nodes:
                        return Found(nodes, cut=True)
                    nodes.setdefault(name, NodeAddress(namespaces[target.NamespaceIndex], target.Identifier))
        if not below:
            break
        level = below
    return Found(nodes, cut=False)


def extended(plan: DevicePlan, known: dict[str, NodeAddress]) -> DevicePlan:
    """The plan with the nodes found so far behind its own tags, in the order they were found."""
    if not known:
        return plan
    sampling, queue = sampling_of(OpcUaTag.model_construct(), plan.interval)
    added = {
        plan.size + at: Point(plan.size + at, name, address, sampling, queue)
        for at, (name, address) in enumerate(known.items())
    }
    groups = [*plan.groups]
    mine = next((at for at, group in enumerate(groups) if group.interval == plan.interval), None)
    if mine is None:
        groups.insert(0, PollGroup(plan.interval, tuple(added)))
    else:
        groups[mine] = PollGroup(plan.interval, (*groups[mine].positions, *added))
    return plan._replace(points={**plan.points, **added}, groups=groups, size=plan.size + len(known))


async def selected(plan: DevicePlan, namespaces: Sequence[str], explorer: Explorer, past: Past) -> DevicePlan:
    """The plan of this connection: with what was found now, and what was found before, which may come back.

    Raises what the server answers to browsing.
    """
    if plan.selection is None:
        return plan
    found = await explore(explorer, plan.selection, namespaces)
    nodes = {name: address for name, address in found.nodes.items() if name not in plan.names}
    room = 2 * plan.selection.max_nodes - len(past.found)  # programs change, and a table must not grow for ever
    fresh = [name for name in nodes if name not in past.found]
    past.found.update({name: nodes[name] for name in nodes if name in past.found or name in fresh[: max(0, room)]})
    _say_changes(plan.device, past, frozenset(nodes), cut=found.cut or len(fresh) > room)
    return extended(plan, past.found)


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
