"""Where a server of before OPC UA 1.04 describes its structures, and how to find it (OPC 10000-5 of 1.04, annex D).

    encoding ─ HasDescription ─▶ description (its value: a name) ◀─ HasComponent ─ dictionary (its value: XML)

Only what is needed is read: the dictionary that describes a value's type, and others where that one names them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from asyncua import ua

from agent.collectors.opcua.explore import HAS_COMPONENT, HAS_DESCRIPTION, HAS_PROPERTY, Explorer, Look
from agent.collectors.opcua.translate import AnswerUndecodable, ServiceRefused
from agent.collectors.opcua.types.dictionary import Dictionary, read_dictionary
from agent.collectors.opcua.types.structures import Key, StructureShape
from agent.collectors.opcua.values.values import UnsupportedError

_VALUE = 13
_VERSION = "DataTypeVersion"
_TYPE_SYSTEM = 93  #: OPC Binary
_STANDARDS = 7617  #: the standard's own dictionary, a quarter of a megabyte: the library knows what is in it
_MOST = 64  #: dictionaries of one server


class Dictionaries:
    """Those of one connection. What they describe goes into `shapes`."""

    def __init__(self, explorer: Explorer, shapes: dict[ua.NodeId | Key, StructureShape]) -> None:
        self._explorer = explorer
        self._shapes = shapes
        self._read: dict[ua.NodeId, Dictionary | str] = {}  # or what is wrong with it
        self._all: list[ua.NodeId] | None = None
        self._versions: dict[ua.NodeId, ua.NodeId | None] = {}  # dictionary or description → property with its version
        self._told: dict[ua.NodeId, Any] = {}  # property → version

    async def moved(self) -> bool:
        """Whether the server tells another DataTypeVersion of what was read (OPC 10000-5 of 1.04, D.5) than before."""
        nodes = [node for node in self._versions.values() if node is not None]
        told = dict(zip(nodes, await self._explorer.attributes(nodes, _VALUE), strict=True)) if nodes else {}
        before, self._told = self._told, told
        return any(before.get(node, version) != version for node, version in told.items())

    async def _follow(self, nodes: Sequence[ua.NodeId]) -> None:
        """From now on the versions of these are looked at."""
        fresh = [node for node in nodes if node not in self._versions]
        pages = await self._explorer.references([Look(node, HAS_PROPERTY) for node in fresh])
        for node, page in zip(fresh, pages, strict=True):
            self._versions[node] = next((one.NodeId for one in page if one.BrowseName.Name == _VERSION), None)
        await self.moved()

    def take(self, newer: Dictionaries) -> None:
        """What somebody else read later counts."""
        self._read |= newer._read
        self._versions |= newer._versions
        self._told |= newer._told
        self._all = newer._all or self._all

    async def describe(self, encodings: Sequence[ua.NodeId]) -> tuple[dict[ua.NodeId, Key], dict[ua.NodeId, str]]:
        """The types of these encodings that are described, and why others are not where there is something to say."""
        if not encodings:
            return {}, {}
        pages = await self._explorer.references([Look(each, HAS_DESCRIPTION) for each in encodings])
        descriptions = {each: page[0] for each, page in zip(encodings, pages, strict=True) if page}
        nodes = [each.NodeId for each in descriptions.values()]
        names = await self._explorer.attributes(nodes, _VALUE)
        above = await self._explorer.references([Look(each, HAS_COMPONENT, forward=False) for each in nodes])
        homes = [page[0].NodeId for page in above if page]
        await self._follow([*dict.fromkeys([*homes, *nodes])])
        await self._load(homes if len(homes) == len(nodes) else [*homes, *await self._others()])
        missing = {space for one in self._read.values() if isinstance(one, Dictionary) for space in one.others}
        if missing - {one.namespace for one in self._read.values() if isinstance(one, Dictionary)}:
            await self._load(await self._others())
        found: dict[ua.NodeId, Key] = {}
        troubles: dict[ua.NodeId, str] = {}
        for each, name, page in zip(descriptions, names, above, strict=True):
            word = name if isinstance(name, str) and name else str(descriptions[each].BrowseName.Name)
            home = self._read.get(page[0].NodeId) if page else None
            key = self._key(word, home)
            if key is not None:
                found[each] = key
            elif isinstance(home, str):
                troubles[each] = home
        return found, troubles

    def _key(self, name: str, home: Dictionary | str | None) -> Key | None:
        """Where the dictionary of a description is not told, a name that only one of them has will do."""
        if isinstance(home, Dictionary):
            key = (home.namespace, name)
            return key if key in home.shapes else None
        all_of_it = [one for one in self._read.values() if isinstance(one, Dictionary)] if home is None else []
        having = [(one.namespace, name) for one in all_of_it if (one.namespace, name) in one.shapes]
        return having[0] if len(having) == 1 else None

    async def _others(self) -> list[ua.NodeId]:
        """All the server has, asked once. What was read stays read, also where time ran out in between."""
        if self._all is None:
            root: Any = ua.NodeId(_TYPE_SYSTEM)  # type: ignore[arg-type]  # plain values are what it takes
            (page,) = await self._explorer.references([Look(root, HAS_COMPONENT)])
            own = ua.NodeId(_STANDARDS)  # type: ignore[arg-type]
            self._all = [each.NodeId for each in page if each.NodeId != own]
        return self._all

    async def _load(self, nodes: Sequence[ua.NodeId]) -> None:
        """One after the other: each may be large."""
        for node in nodes:
            if node in self._read or len(self._read) >= _MOST:
                continue
            try:
                (document,) = await self._explorer.attributes([node], _VALUE)
                if not isinstance(document, bytes):
                    raise UnsupportedError("the server does not tell its dictionary")
                dictionary = await asyncio.to_thread(read_dictionary, document)
            except (ServiceRefused, AnswerUndecodable, UnsupportedError) as error:
                self._read[node] = str(error)
                continue
            self._read[node] = dictionary
            for key, shape in dictionary.shapes.items():
                self._shapes.setdefault(key, shape)
