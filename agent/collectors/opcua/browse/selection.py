"""Which nodes are wanted, by the names on the way to them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase
from itertools import islice
from typing import NamedTuple

from agent.collectors.opcua.address.nodeid import NodeAddress
from agent.collectors.opcua.plan import Selection
from agent.settings.tags import check_tag_name


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


def enters(name: str, selection: Selection) -> bool:
    """Whether anything below a node of this name may be wanted: what cannot be is not asked for."""
    below = f"{name}/"
    if any(glob.endswith("*") and fnmatchcase(below, glob) for glob in selection.exclude):
        return False  # such a glob takes whatever follows
    return any(_may_lead(below, glob) for glob in selection.include)


def _may_lead(below: str, glob: str) -> bool:
    fixed = glob
    for mark in "*?[":
        fixed = fixed.partition(mark)[0]
    return fixed.startswith(below) or below.startswith(fixed)


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
