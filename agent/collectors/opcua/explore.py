"""The services that look around in an address space: attributes, references, browse paths. In chunks, bounded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from asyncua import ua
from asyncua.client.ua_session import UaSession

from agent.collectors.common.limits import ChunkLimit
from agent.collectors.opcua.translate import AnswerUndecodable, TooLarge, translated
from agent.core.errors import ConnectionLost
from agent.core.quality import number_of
from agent.telemetry import metrics

HAS_ENCODING, HAS_DESCRIPTION, HAS_SUBTYPE, HAS_PROPERTY, HAS_COMPONENT, HIERARCHICAL = 38, 39, 45, 46, 47, 33
DATA_TYPE, DATA_TYPE_DEFINITION = 14, 23  #: attributes

_MOST_PAGES = 10_000  #: BrowseNext calls for one request: a server must not keep us for ever

BAD_NO_MATCH = number_of("BadNoMatch")
_NO_CONTINUATION_POINTS = number_of("BadNoContinuationPoints")

A = TypeVar("A")
R = TypeVar("R")


class Look(NamedTuple):
    """What to ask a node for: its references of one type (and its subtypes), in one direction."""

    node: ua.NodeId
    reference: int
    forward: bool = True


class Explorer:
    """One per connection; every error is ours (see `translate`)."""

    def __init__(self, session: UaSession, reads: ChunkLimit, browses: ChunkLimit, device: str) -> None:
        self._session = session
        self._reads = reads
        self._browses = browses
        self._requests = metrics.REQUESTS.labels(device)

    async def attributes(self, nodes: Sequence[ua.NodeId], attribute: int) -> list[Any]:
        """One attribute of each node; None where the server has none to give."""
        return await self._in_chunks(self._reads, nodes, lambda piece: self._read(piece, attribute))

    async def references(self, looks: Sequence[Look]) -> list[list[ua.ReferenceDescription]]:
        """The references of each look; empty where the node is not known."""
        return await self._in_chunks(self._browses, looks, self._browse)

    async def follow(self, paths: Sequence[tuple[ua.NodeId, Sequence[ua.QualifiedName]]]) -> list[ua.NodeId | int]:
        """The node at the end of each path of browse names, or the status that says why there is none."""
        return await self._in_chunks(self._browses, paths, self._translate)

    async def _in_chunks(
        self, limit: ChunkLimit, wanted: Sequence[A], ask: Callable[[Sequence[A]], Awaitable[Sequence[R]]]
    ) -> list[R]:
        found: list[R] = []
        while len(found) < len(wanted):
            piece = wanted[len(found) : len(found) + limit.size]
            self._requests.inc()
            try:
                results = await ask(piece)
            except TooLarge:
                if not limit.refused(len(piece)):
                    raise
                continue
            except ConnectionLost:
                limit.lost(len(piece))
                raise
            limit.answered(len(piece))
            if len(results) != len(piece):
                raise AnswerUndecodable(f"{len(results)} answers for {len(piece)} questions")
            found += results
        return found

    async def _read(self, nodes: Sequence[ua.NodeId], attribute: int) -> list[Any]:
        request = ua.ReadParameters()
        request.TimestampsToReturn = ua.TimestampsToReturn.Neither
        request.NodesToRead = [ua.ReadValueId(NodeId=node, AttributeId=attribute) for node in nodes]
        with translated("reading attributes"):
            results = await self._session.read(request) or []
        return [None if _bad(data.StatusCode) or data.Value is None else data.Value.Value for data in results]

    async def _browse(self, looks: Sequence[Look]) -> list[list[ua.ReferenceDescription]]:
        request = ua.BrowseParameters()
        request.NodesToBrowse = [_description(look) for look in looks]
        with translated("browsing"):
            results = await self._session.browse(request) or []
            found = [list(result.References or ()) for result in results]
            more = {at: result.ContinuationPoint for at, result in enumerate(results) if result.ContinuationPoint}
            for _ in range(_MOST_PAGES):
                if not more:
                    return await self._apart(looks, results, found)
                onwards = ua.BrowseNextParameters(ContinuationPoints=list(more.values()))
                self._requests.inc()
                pages = dict(zip(more, await self._session.browse_next(onwards) or (), strict=True))
                for at, page in pages.items():
                    found[at] += page.References or ()
                more = {at: page.ContinuationPoint for at, page in pages.items() if page.ContinuationPoint}
        raise AnswerUndecodable("browsing does not come to an end")

    async def _apart(
        self, looks: Sequence[Look], results: Sequence[Any], found: list[list[ua.ReferenceDescription]]
    ) -> list[list[ua.ReferenceDescription]]:
        """Those for which the server had no continuation point left are asked for alone: many have ten of them."""
        for at, result in enumerate(results):
            if int(result.StatusCode.value) != _NO_CONTINUATION_POINTS:
                continue
            if len(looks) == 1:
                raise TooLarge(_NO_CONTINUATION_POINTS, "browsing")  # not known is not none
            self._requests.inc()
            (found[at],) = await self._browse([looks[at]])
        return found

    async def _translate(self, paths: Sequence[tuple[ua.NodeId, Sequence[ua.QualifiedName]]]) -> list[ua.NodeId | int]:
        with translated("following browse paths"):
            results = await self._session.translate_browsepaths_to_nodeids([_path(*path) for path in paths]) or []
        return [_target(result) for result in results]


def _bad(status: ua.StatusCode | None) -> bool:
    return status is not None and int(status.value) >= 0x40000000


def _description(look: Look) -> ua.BrowseDescription:
    description = ua.BrowseDescription()
    description.NodeId = look.node
    description.ReferenceTypeId = ua.NodeId(look.reference)  # type: ignore[arg-type]
    description.BrowseDirection = ua.BrowseDirection.Forward if look.forward else ua.BrowseDirection.Inverse
    description.IncludeSubtypes = True
    description.NodeClassMask = 0
    description.ResultMask = 63
    return description


def _path(start: ua.NodeId, names: Sequence[ua.QualifiedName]) -> ua.BrowsePath:
    path = ua.BrowsePath()
    path.StartingNode = start
    path.RelativePath = ua.RelativePath(
        Elements=[
            ua.RelativePathElement(
                ReferenceTypeId=ua.NodeId(HIERARCHICAL),  # type: ignore[arg-type]
                IsInverse=False,  # type: ignore[arg-type]  # plain values are what it takes
                IncludeSubtypes=True,  # type: ignore[arg-type]
                TargetName=name,
            )
            for name in names
        ]
    )
    return path


def _target(result: ua.BrowsePathResult) -> ua.NodeId | int:
    if _bad(result.StatusCode):
        return int(result.StatusCode.value)
    for target in result.Targets or ():
        if target.RemainingPathIndex == 0xFFFFFFFF and not getattr(target.TargetId, "ServerIndex", 0):
            found: ua.NodeId = target.TargetId
            return found
    return BAD_NO_MATCH
