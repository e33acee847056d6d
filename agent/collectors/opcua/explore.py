"""The services that look around in an address space: attributes, references, browse paths. In chunks, bounded."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Any, NamedTuple, TypeVar

from asyncua import ua
from asyncua.client.ua_session import UaSession

from agent.collectors.common.limits import ChunkLimit
from agent.collectors.opcua.translate import AnswerUndecodable, ServiceRefused, TooLarge, translated
from agent.core.clock import Clock
from agent.core.errors import AgentError, ConnectionLost
from agent.core.quality import number_of
from agent.telemetry import metrics
from agent.telemetry.logging import get_logger

log = get_logger("opcua")

HAS_ENCODING, HAS_DESCRIPTION, HAS_SUBTYPE, HAS_PROPERTY, HAS_COMPONENT, HIERARCHICAL = 38, 39, 45, 46, 47, 33
DATA_TYPE, DATA_TYPE_DEFINITION = 14, 23  #: attributes

_SURE = 8  #: nodes refused alone, one after the other: then the server refuses everything
_FEW = 1  #: nodes of the first Browse; twice as many each time it answers …
_SHORT, _LONG = 0.2, 0.8  #: … within so many seconds, and fewer beyond
_PAGE = 1000  #: references of one node in one answer
_MOST_REFERENCES = 10_000  #: for one question about a few nodes: types and dictionaries have dozens
_CHARACTERS = 512  #: of a reference's names and identifier, that count as one reference
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

    def __init__(
        self, session: UaSession, reads: ChunkLimit, browses: ChunkLimit, device: str, clock: Clock,
        *, pause: float = 0.0,
    ) -> None:  # fmt: skip
        """`pause`: seconds before each request, to spare the server."""
        self._browsed = False  #: a Browse was answered
        self._in_a_row = 0  #: nodes for which it was refused alone
        self.untold = 0  #: Browse requests for one node that were refused, for a moment perhaps
        self.refused = 0  #: nodes whose references the server does not tell
        self._pause = pause
        self._session = session
        self._clock = clock
        self._together = _FEW
        self._reads = reads
        self._browses = browses
        self._device = device
        self._requests = metrics.REQUESTS.labels(device)

    async def attributes(self, nodes: Sequence[ua.NodeId], attribute: int) -> list[Any]:
        """One attribute of each node; None where the server has none to give."""
        return await self._in_chunks(self._reads, nodes, lambda piece: self._read(piece, attribute))

    async def references(self, looks: Sequence[Look]) -> list[list[ua.ReferenceDescription]]:
        """The references of each look; empty where the node is not known, cut (and said so) beyond what is bearable."""
        found: list[list[ua.ReferenceDescription]] = [[] for _ in looks]
        left = _MOST_REFERENCES
        async with aclosing(self.pages(looks)) as pages:
            async for at, page in pages:
                found[at] += page[:left]
                left -= weight(page)
                if left < 0:
                    log.warning("opcua.browse_cut", device=self._device, references=_MOST_REFERENCES)
                    break
        return found

    async def pages(self, looks: Sequence[Look]) -> AsyncGenerator[tuple[int, Sequence[ua.ReferenceDescription]]]:
        """The references of each look, page by page: (number of the look, some of them).

        Left early (close it then), what the server still holds for us is released.
        """
        done = 0
        while done < len(looks):
            piece = looks[done : done + min(self._browses.size, self._together)]
            since = self._clock.monotonic()
            results = await self._in_chunks(self._browses, piece, self._browse, self._untold)
            self._pace(len(piece), self._clock.monotonic() - since)
            async with aclosing(self._followed(piece, results)) as followed:
                async for at, page in followed:
                    yield done + at, page
            done += len(piece)

    async def follow(self, paths: Sequence[tuple[ua.NodeId, Sequence[ua.QualifiedName]]]) -> list[ua.NodeId | int]:
        """The node at the end of each path of browse names, or the status that says why there is none."""
        return await self._in_chunks(self._browses, paths, self._translate)

    async def _in_chunks(
        self,
        limit: ChunkLimit,
        wanted: Sequence[A],
        ask: Callable[[Sequence[A]], Awaitable[Sequence[R]]],
        instead: Callable[[ServiceRefused], R] | None = None,
    ) -> list[R]:
        """`instead`: of an answer for one that is refused alone; without it that is raised."""
        found: list[R] = []
        most, doubted = limit.size, False
        while len(found) < len(wanted):
            piece = wanted[len(found) : len(found) + min(most, limit.size)]
            self._requests.inc()
            if self._pause:
                await self._clock.sleep(self._pause)
            try:
                results = await ask(piece)
            except TooLarge:
                if not limit.refused(len(piece)):
                    raise
                continue
            except ServiceRefused as error:  # perhaps its word for the same, or one of them is to blame
                if len(piece) > 1:
                    most, doubted = len(piece) // 2, doubted or len(piece) > limit.proven
                    continue
                if instead is None:
                    raise
                found.append(instead(error))
                continue
            except ConnectionLost:
                limit.lost(len(piece))
                raise
            limit.answered(len(piece))
            if doubted:
                limit.refused(2 * len(piece))
                doubted = False
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

    async def _browse(self, looks: Sequence[Look]) -> list[ua.BrowseResult]:
        request = ua.BrowseParameters()
        request.RequestedMaxReferencesPerNode = _PAGE
        request.NodesToBrowse = [_description(look) for look in looks]
        with translated("browsing"):
            results = await self._session.browse(request) or []
        self._browsed, self._in_a_row = True, 0
        return results

    def _untold(self, error: ServiceRefused) -> ua.BrowseResult:
        """One node of a server that tells what lies below others; where it refuses all, the error is raised."""
        self._in_a_row += 1
        if not self._browsed or self._in_a_row > _SURE:
            raise error
        self.untold += 1
        return ua.BrowseResult(StatusCode=ua.StatusCode(error.code))  # type: ignore[arg-type]  # plain, as it takes it

    def _pace(self, asked: int, took: float) -> None:
        """Small controllers take long for each node of a Browse, and answer nothing else meanwhile."""
        if took > _LONG:
            self._together = max(1, asked // 2)
        elif took < _SHORT and asked >= self._together:
            self._together = 2 * asked

    async def _followed(
        self, looks: Sequence[Look], results: Sequence[ua.BrowseResult]
    ) -> AsyncGenerator[tuple[int, Sequence[ua.ReferenceDescription]]]:
        """What a Browse brought, and the pages that follow it."""
        more = {at: result.ContinuationPoint for at, result in enumerate(results) if result.ContinuationPoint}
        try:
            for at, result in enumerate(results):
                self.refused += _bad(result.StatusCode) and int(result.StatusCode.value) != _NO_CONTINUATION_POINTS
                yield at, result.References or ()
            for _ in range(_MOST_PAGES):
                if not more:
                    break
                pages = await self._next(more)
                more = {at: result.ContinuationPoint for at, result in pages.items() if result.ContinuationPoint}
                for at, result in pages.items():
                    yield at, result.References or ()
            else:
                raise AnswerUndecodable("browsing does not come to an end")
        except GeneratorExit:  # the rest is not wanted; where the connection is gone there is nothing to release
            if more:
                with suppress(AgentError):
                    await self._next(more, release=True)
            raise
        for at, result in enumerate(results):
            if int(result.StatusCode.value) == _NO_CONTINUATION_POINTS:
                async with aclosing(self._alone(looks, at)) as alone:
                    async for page in alone:
                        yield at, page

    async def _alone(self, looks: Sequence[Look], at: int) -> AsyncGenerator[Sequence[ua.ReferenceDescription]]:
        """What the server had no continuation point left for: many have ten of them."""
        if len(looks) == 1:
            raise TooLarge(_NO_CONTINUATION_POINTS, "browsing")  # not known is not none
        results = await self._in_chunks(self._browses, [looks[at]], self._browse, self._untold)
        async with aclosing(self._followed([looks[at]], results)) as followed:
            async for _, page in followed:
                yield page

    async def _next(self, points: Mapping[int, bytes], *, release: bool = False) -> dict[int, ua.BrowseResult]:
        """BrowseNext. `release`: the rest is not wanted; the library's default would have each server forget it."""
        request = ua.BrowseNextParameters(
            ReleaseContinuationPoints=release,
            ContinuationPoints=list(points.values()),
        )
        self._requests.inc()
        if self._pause and not release:
            await self._clock.sleep(self._pause)
        with translated("browsing on"):
            results = await self._session.browse_next(request) or []
            if release:
                return {}
            if len(results) != len(points):
                raise AnswerUndecodable(f"{len(results)} answers for {len(points)} continuation points")
            return dict(zip(points, results, strict=True))

    async def _translate(self, paths: Sequence[tuple[ua.NodeId, Sequence[ua.QualifiedName]]]) -> list[ua.NodeId | int]:
        with translated("following browse paths"):
            results = await self._session.translate_browsepaths_to_nodeids([_path(*path) for path in paths]) or []
        return [_target(result) for result in results]


def weight(references: Sequence[ua.ReferenceDescription]) -> int:
    """How many they are; one with long names counts as several, because they are kept."""
    return sum(1 + _characters(each) // _CHARACTERS for each in references)


def _characters(reference: ua.ReferenceDescription) -> int:
    texts = ((reference.NodeId, "Identifier"), (reference.BrowseName, "Name"), (reference.DisplayName, "Text"))
    words = [getattr(holder, name, None) for holder, name in texts]
    return sum(len(word) for word in words if isinstance(word, str | bytes))


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
