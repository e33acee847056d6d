"""What one server says about its own data types: texts of enumerations, fields of structures. Only those that are used.

Asked once per connection: a controller's program may have changed in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from asyncua import ua

from agent.collectors.opcua.explore import (
    DATA_TYPE,
    DATA_TYPE_DEFINITION,
    HAS_ENCODING,
    HAS_PROPERTY,
    HAS_SUBTYPE,
    Explorer,
    Look,
)
from agent.collectors.opcua.services import ResolvedNode
from agent.collectors.opcua.translate import AnswerUndecodable, ServiceRefused
from agent.collectors.opcua.types.dictionaries import Dictionaries
from agent.collectors.opcua.types.structures import Codec, Field, Key, StructureShape
from agent.collectors.opcua.values.values import UnsupportedError, clean, object_of

VALUE = 13
_STRUCTURE, _BASE, _ENUMERATION = 22, 24, 29
_ABSTRACT_NUMBERS = {26, 27, 28}  #: Number, Integer, UInteger: fields of these types are variants
_MOST_TYPES = 2000  #: a server must not make us learn for ever
_MOST_TEXTS = 10_000
_MOST_WORDS = 4 << 20  #: characters of all names of fields and texts of enumerations, and 32 for each of them

Labels = Mapping[int, str]


class Types:
    """The data types of one connection. `asked` is set when a value came whose type is not known yet."""

    def __init__(self, explorer: Explorer) -> None:
        self.explorer = explorer
        self._roots: dict[ua.NodeId, int] = {}  # data type → number of the built-in (or 29) it is a kind of
        self._shapes: dict[ua.NodeId | Key, StructureShape] = {}
        self._labels: dict[ua.NodeId, Labels] = {}
        self._encodings: dict[ua.NodeId, ua.NodeId | Key] = {}  # encoding → data type
        self._hopeless: dict[ua.NodeId, str] = {}  # encodings the server does not explain → words
        self._wanted: set[ua.NodeId] = set()
        self._dictionaries = Dictionaries(explorer, self._shapes)
        self._codec = Codec(self._shapes, self.structure)
        self._words = _MOST_WORDS
        self.asked = asyncio.Event()

    # --- using what is known ------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Another answer of the server's is decoded."""
        self._codec.begin()

    def structure(self, value: Any) -> object:
        """An extension object as a dict. Raises UnsupportedError where its type is not known (yet)."""
        encoding = getattr(value, "TypeId", None)
        if encoding is None or not isinstance(value.Body, bytes):
            return object_of(value)
        data_type = self._encodings.get(encoding)
        if data_type is None:
            if encoding in self._hopeless:
                raise UnsupportedError(self._hopeless[encoding])
            self._wanted.add(encoding)
            self.asked.set()
            raise UnsupportedError(f"structures of type {encoding.to_string()} are not known yet")
        return self._codec.decode(data_type, value.Body)

    # --- learning -----------------------------------------------------------------------------------------------------

    async def survey(self, nodes: Sequence[ResolvedNode]) -> dict[int, Labels]:
        """Learn the types of these nodes; the texts of those that are enumerations, by position."""
        found = await self.explorer.attributes([node.node_id for node in nodes], DATA_TYPE)
        types = {
            node.point.position: kind for node, kind in zip(nodes, found, strict=True) if isinstance(kind, ua.NodeId)
        }
        await self._learn(set(types.values()))
        return {position: self._labels[kind] for position, kind in types.items() if kind in self._labels}

    async def roots(self, types: Iterable[ua.NodeId]) -> Mapping[ua.NodeId, int]:
        """The built-in type (OPC 10000-6, table 1; 29 an enumeration) that each data type is a kind of, where known."""
        await self._climb(types)
        return self._roots

    async def texts(self, types: Collection[ua.NodeId]) -> Mapping[ua.NodeId, Labels]:
        """Of those that are enumerations, where the server tells them."""
        roots = await self.roots(types)
        untold = [each for each in types if roots.get(each) == _ENUMERATION and each not in self._labels]
        if untold:
            await self._learn_texts(untold, await self._definitions(untold))
        return self._labels

    async def renew(self, nodes: Sequence[ResolvedNode], encodings: Iterable[ua.NodeId]) -> dict[int, Labels]:
        """Learn the types of these nodes, and of structures encoded so, anew; the texts as :meth:`survey` has them.

        What is known stays in use until all of it is there. Without encodings: all that dictionaries describe.
        """
        encodings = list(encodings) or [each for each, key in self._encodings.items() if isinstance(key, tuple)]
        fresh = Types(self.explorer)
        told = await fresh.survey(nodes)
        fresh._wanted = {each for each in encodings if each not in fresh._encodings}
        if fresh._wanted:
            await fresh.learn_wanted()
        self._shapes.update(fresh._shapes)
        self._encodings |= fresh._encodings
        for each in fresh._roots:
            self._labels.pop(each, None)
        self._labels |= fresh._labels
        self._roots |= fresh._roots
        for each in fresh._encodings:
            self._hopeless.pop(each, None)
        self._hopeless |= fresh._hopeless
        self._dictionaries.take(fresh._dictionaries)
        return told

    async def moved(self) -> bool:
        """Whether a dictionary has changed: servers of before 1.04 may tell by its version, and mark no value."""
        return await self._dictionaries.moved()

    async def learn_wanted(self) -> bool:
        """Learn the structures that came without being known; whether anything was learned.

        Where that fails (see `Explorer`) they are still wanted, and what was learned by then is kept.
        """
        self.asked.clear()
        wanted = sorted(self._wanted, key=str)
        pages = await self.explorer.references([Look(each, HAS_ENCODING, forward=False) for each in wanted])
        owners = {each: page[0].NodeId if page else each for each, page in zip(wanted, pages, strict=True)}
        await self._learn(set(owners.values()))
        known: dict[ua.NodeId, ua.NodeId | Key] = {
            each: owner for each, owner in owners.items() if owner in self._shapes
        }
        described, troubles = await self._dictionaries.describe([each for each in wanted if each not in known])
        known.update(described)
        self._encodings |= known
        for each in wanted:
            if each not in known:
                words = f"structures of type {each.to_string()} are not described by the server"
                self._hopeless[each] = f"{words}: {troubles[each]}" if each in troubles else words
        self._wanted.difference_update(wanted)
        return bool(known)

    async def _learn(self, types: set[ua.NodeId]) -> None:
        """Kinds of these types, and of all their fields'."""
        types = {each for each in types if each not in self._roots}
        while types and len(self._roots) < _MOST_TYPES:
            await self._climb(types)
            enumerations = [each for each in types if self._roots.get(each) == _ENUMERATION]
            structures = [each for each in types if self._roots.get(each) == _STRUCTURE and _number(each) != _STRUCTURE]
            definitions = await self._definitions([*enumerations, *structures])
            await self._learn_texts(enumerations, definitions)
            described = {each: definitions[each] for each in structures if hasattr(definitions[each], "StructureType")}
            fields = {field.DataType for each in described.values() for field in each.Fields or ()}
            await self._climb(fields)
            await self._describe(described)
            types = {each for each in fields if self._roots.get(each) == _STRUCTURE and each not in self._shapes}
            types = {each for each in types if _number(each) != _STRUCTURE and each not in described}

    async def _climb(self, types: Iterable[ua.NodeId]) -> None:
        """Up the tree of types until something built in."""
        lines = {each: each for each in types if each not in self._roots}
        for _ in range(32):
            for each, at in list(lines.items()):
                root = self._root_of(at)
                if root is not None:
                    self._roots[each] = root
                    del lines[each]
            if not lines:
                return
            pages = await self.explorer.references([Look(at, HAS_SUBTYPE, forward=False) for at in lines.values()])
            lines = {each: page[0].NodeId for each, page in zip(lines, pages, strict=True) if page}

    def _root_of(self, data_type: ua.NodeId) -> int | None:
        number = _number(data_type)
        if number is not None and (1 <= number <= 25 or number in {_ENUMERATION, *_ABSTRACT_NUMBERS}):
            return _BASE if number in _ABSTRACT_NUMBERS else number
        return self._roots.get(data_type)

    async def _definitions(self, types: Sequence[ua.NodeId]) -> dict[ua.NodeId, Any]:
        try:
            found = await self.explorer.attributes(types, DATA_TYPE_DEFINITION)
        except (ServiceRefused, AnswerUndecodable):  # a server of before 1.04 may refuse the attribute as such
            found = [None] * len(types)
        return dict(zip(types, found, strict=True))

    async def _learn_texts(self, types: Sequence[ua.NodeId], definitions: Mapping[ua.NodeId, Any]) -> None:
        untold = []
        for each in types:
            fields = getattr(definitions[each], "Fields", None)
            if fields:
                self._keep(
                    each,
                    {
                        int(field.Value): _text(field.DisplayName) or clean(str(field.Name))
                        for field in fields[:_MOST_TEXTS]
                        if hasattr(field, "Value")  # else it is the definition of something else
                    },
                )
            else:
                untold.append(each)
        pages = await self.explorer.references([Look(each, HAS_PROPERTY) for each in untold])
        properties = {
            each: reference.NodeId
            for each, page in zip(untold, pages, strict=True)
            for reference in page
            if reference.BrowseName.Name in {"EnumStrings", "EnumValues"}
        }
        values = await self.explorer.attributes(list(properties.values()), VALUE)
        for each, value in zip(properties, values, strict=True):
            if isinstance(value, list):
                self._keep(each, texts_of(value))

    def _keep(self, kind: ua.NodeId, labels: Labels) -> None:
        """Texts of an enumeration, while there is room: a server must not fill the memory with them."""
        if self._room(labels.values()):
            self._labels[kind] = labels

    def _room(self, words: Iterable[str]) -> bool:
        """Whether so many words more are kept."""
        self._words -= sum(32 + len(word) for word in words)
        return self._words >= 0

    async def _describe(self, definitions: Mapping[ua.NodeId, Any]) -> None:
        pages = await self.explorer.references([Look(each, HAS_ENCODING) for each in definitions])
        for (each, definition), page in zip(definitions.items(), pages, strict=True):
            kind = int(definition.StructureType)
            fields = tuple(self._field(field, kind) for field in definition.Fields or ())
            if not self._room(field.name for field in fields):
                continue
            self._shapes[each] = StructureShape(each.to_string(), kind, fields)
            for encoding in [definition.DefaultEncodingId, *(reference.NodeId for reference in page), each]:
                self._encodings[encoding] = each

    def _field(self, field: Any, kind: int) -> Field:
        root = self._roots.get(field.DataType, _BASE)
        data_type: int | ua.NodeId = 6 if root == _ENUMERATION else root
        subtyped = kind in {3, 4} and field.IsOptional  # then the flag means: a value of a derived type may come
        if root == _STRUCTURE and not subtyped and _number(field.DataType) != _STRUCTURE:
            data_type = field.DataType
        elif subtyped and root != _STRUCTURE:
            data_type = _BASE
        rank = 0 if field.ValueRank < 0 else max(1, int(field.ValueRank))
        return Field(clean(str(field.Name)), data_type, rank, bool(field.IsOptional))


def _number(data_type: ua.NodeId) -> int | None:
    """The identifier of a type of the standard."""
    if data_type.NamespaceIndex == 0 and isinstance(data_type.Identifier, int):
        return int(data_type.Identifier)
    return None


def _text(text: Any) -> str:
    return clean(str(getattr(text, "Text", None) or ""))


def texts_of(value: Sequence[Any]) -> Labels:
    """EnumStrings: texts from 0 on; EnumValues: each with its number."""
    labels = {}
    for at, each in enumerate(value[:_MOST_TEXTS]):
        number = getattr(each, "Value", None)
        labels[at if number is None else int(number)] = _text(getattr(each, "DisplayName", each))
    return labels
