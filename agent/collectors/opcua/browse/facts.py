"""What a server says about variables: unit, range, description, type, access. Read in chunks; nothing is written."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from asyncua import ua
from msgspec import Struct

from agent.collectors.opcua.browse.units import ucum
from agent.collectors.opcua.browse.walk import DESCRIBING
from agent.collectors.opcua.explore import DATA_TYPE, HAS_PROPERTY, Explorer, Look
from agent.collectors.opcua.types.types import VALUE, Labels, Types, texts_of
from agent.collectors.opcua.values.values import TYPE_NAMES, clean
from agent.core.text import carried, plain

DESCRIPTION, VALUE_RANK, ACCESS_LEVEL, USER_ACCESS_LEVEL, SAMPLING = 5, 15, 17, 18, 19  #: attributes
_READ, _WRITE, _HISTORY = 1, 2, 4  #: bits of an access level (OPC 10000-3, 8.57)
_LONGEST = 500  #: characters of a description
_HUGE = 1e300  #: servers that know no range say the largest double
_ENUMERATION = 29

Describing = Mapping[ua.NodeId, Mapping[str, ua.NodeId]]


class NodeWords(Struct, frozen=True):
    """Of one variable; None where the server does not say."""

    unit: str | None = None  #: UCUM where it is known, else as the server writes it
    low: float | None = None  #: EURange
    high: float | None = None
    description: str | None = None
    texts: Labels | None = None  #: of its numbers, as EnumStrings or EnumValues beside it has them (OPC 10000-8, 5.3.3)


class Nature(Struct, frozen=True):
    """What kind of variable it is."""

    type: str | None = None  #: as the catalogue names types; `[]` behind it: an array
    read: bool = True
    write: bool = False
    history: bool = False
    sampling_ms: float | None = None  #: the server looks at it this often at most; None: not told
    texts: Labels | None = None  #: of its data type, an enumeration: a connection learns them by itself


async def describing_of(explorer: Explorer, nodes: Sequence[ua.NodeId]) -> dict[ua.NodeId, dict[str, ua.NodeId]]:
    """The describing properties of variables that no walk has looked below."""
    pages = await explorer.references([Look(node, HAS_PROPERTY) for node in nodes])
    return {
        node: {one.BrowseName.Name: one.NodeId for one in page if one.BrowseName.Name in DESCRIBING}
        for node, page in zip(nodes, pages, strict=True)
    }


async def told(explorer: Explorer, nodes: Sequence[tuple[ua.NodeId, str]], describing: Describing) -> list[NodeWords]:
    """Of each node (with its name): what helps people to read its value. A chunk at a time is best."""
    texts = await explorer.attributes([node for node, _ in nodes], DESCRIPTION)
    units = await _values(explorer, nodes, describing, "EngineeringUnits")
    ranges = await _values(explorer, nodes, describing, "EURange")
    words = {
        **await _values(explorer, nodes, describing, "EnumStrings"),
        **await _values(explorer, nodes, describing, "EnumValues"),
    }
    found = []
    for (node, name), text in zip(nodes, texts, strict=True):
        low, high = _range(ranges.get(node))
        found.append(
            NodeWords(_unit(units.get(node)), low, high, _description(text, name), _enumerated(words.get(node)))
        )
    return found


async def natures(explorer: Explorer, types: Types, nodes: Sequence[ua.NodeId]) -> list[Nature]:
    """Of each node."""
    kinds = await explorer.attributes(nodes, DATA_TYPE)
    roots = await types.roots({kind for kind in kinds if isinstance(kind, ua.NodeId)})
    texts = await types.texts({kind for kind in kinds if isinstance(kind, ua.NodeId)})
    ranks = await explorer.attributes(nodes, VALUE_RANK)
    levels = await explorer.attributes(nodes, USER_ACCESS_LEVEL)
    general = await explorer.attributes(nodes, ACCESS_LEVEL) if None in levels else levels
    rates = await explorer.attributes(nodes, SAMPLING)
    found = []
    for kind, rank, mine, level, rate in zip(kinds, ranks, levels, general, rates, strict=True):
        root = roots.get(kind) if isinstance(kind, ua.NodeId) else None
        name = "int32" if root == _ENUMERATION else TYPE_NAMES.get(root or 0)
        array = isinstance(rank, int) and rank >= 0
        access = mine if isinstance(mine, int) else level if isinstance(level, int) else _READ
        found.append(
            Nature(
                type=f"{name}[]" if name and array else name,
                read=bool(access & _READ),
                write=bool(access & _WRITE),
                history=bool(access & _HISTORY),
                sampling_ms=float(rate) if isinstance(rate, int | float) and rate > 0 else None,
                texts=texts.get(kind) if isinstance(kind, ua.NodeId) else None,
            )
        )
    return found


async def _values(
    explorer: Explorer, nodes: Sequence[tuple[ua.NodeId, str]], describing: Describing, name: str
) -> dict[ua.NodeId, Any]:
    where = {node: describing[node][name] for node, _ in nodes if name in describing.get(node, ())}
    values = await explorer.attributes(list(where.values()), VALUE)
    return dict(zip(where, values, strict=True))


def _unit(value: Any) -> str | None:
    if getattr(value, "UnitId", None) is None:
        return None
    return ucum(value.UnitId, str(value.NamespaceUri or ""), _text(value.DisplayName))


def _enumerated(value: Any) -> Labels | None:
    found = texts_of(value) if isinstance(value, list) else {}
    return {number: plain(carried(text)) for number, text in found.items() if text} or None


def _range(value: Any) -> tuple[float | None, float | None]:
    low, high = getattr(value, "Low", None), getattr(value, "High", None)
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return None, None
    sane = math.isfinite(low) and math.isfinite(high) and low < high and max(-low, high) < _HUGE
    return (low, high) if sane else (None, None)


def _description(value: Any, name: str) -> str | None:
    """Without those that only say the name once more, as some servers have it."""
    text = _text(value)
    return None if not text or text == name.rpartition("/")[2] else text[:_LONGEST]


def _text(value: Any) -> str:
    words = clean(str(getattr(value, "Text", None) or "")).split()
    return plain(carried(" ".join(words)))
