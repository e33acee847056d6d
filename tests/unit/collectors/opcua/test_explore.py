from __future__ import annotations

from contextlib import aclosing
from typing import Any, cast

import pytest
from asyncua import ua

from agent.collectors.common.limits import ChunkLimit
from agent.collectors.opcua.explore import HIERARCHICAL, Explorer, Look
from agent.collectors.opcua.translate import TooLarge
from agent.testing.clock import ManualClock

library: Any = ua
BAD_NO_CONTINUATION_POINTS = library.StatusCode(0x804B0000)


class Thrifty:
    """A server that gives two references at a time, and has so many continuation points."""

    def __init__(self, points: int) -> None:
        self.points = points
        self.released = 0
        self.open: dict[bytes, list[Any]] = {}

    async def browse(self, request: Any) -> list[Any]:
        return [self._page(five_of(description.NodeId.Identifier)) for description in request.NodesToBrowse]

    async def browse_next(self, request: Any) -> list[Any]:
        rest = [self.open.pop(point) for point in request.ContinuationPoints]
        if request.ReleaseContinuationPoints:
            self.released += len(rest)
            return [library.BrowseResult() for _ in rest]
        return [self._page(each) for each in rest]

    def _page(self, rest: list[Any]) -> Any:
        if len(rest) <= 2:
            return library.BrowseResult(References=rest)
        if len(self.open) == self.points:
            return library.BrowseResult(StatusCode=BAD_NO_CONTINUATION_POINTS)
        point = str(rest[2]).encode()
        self.open[point] = rest[2:]
        return library.BrowseResult(ContinuationPoint=point, References=rest[:2])


def five_of(number: int) -> list[Any]:
    """What stands below a node."""
    return [library.ReferenceDescription(BrowseName=library.QualifiedName(f"{number}/{at}")) for at in range(5)]


@pytest.mark.parametrize("points", [1, 2, 3, 10])
async def test_a_server_short_of_continuation_points_is_asked_again_for_the_rest(points: int) -> None:
    """No node's references are taken for none because others had not been told completely."""
    session = Thrifty(points)
    explorer = Explorer(cast("Any", session), ChunkLimit(0), ChunkLimit(0), "dev", ManualClock())
    numbers = list(range(1, 8))
    pages = await explorer.references([Look(library.NodeId(number), HIERARCHICAL) for number in numbers])
    assert pages == [five_of(number) for number in numbers]
    assert not session.open


async def test_what_is_not_wanted_any_more_is_released() -> None:
    """Left after the first page, the server holds nothing for us; asked to the end, nothing is released before."""
    session = Thrifty(10)
    explorer = Explorer(cast("Any", session), ChunkLimit(0), ChunkLimit(0), "dev", ManualClock())
    async with aclosing(explorer.pages([Look(library.NodeId(1), HIERARCHICAL)])) as pages:
        assert (await anext(pages)) == (0, five_of(1)[:2])
        assert session.open
    assert not session.open
    assert session.released == 1


async def test_a_server_without_any_is_an_error_and_not_an_empty_answer() -> None:
    """What cannot be told completely is not known."""
    explorer = Explorer(cast("Any", Thrifty(0)), ChunkLimit(0), ChunkLimit(0), "dev", ManualClock())
    with pytest.raises(TooLarge, match="BadNoContinuationPoints"):
        await explorer.references([Look(library.NodeId(1), HIERARCHICAL)])
