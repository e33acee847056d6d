"""What is refused as a whole is asked for in parts: too much, one of them, or a moment."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from agent.collectors.common.limits import ChunkLimit
from agent.collectors.opcua.tags.dividing import Dividing
from agent.collectors.opcua.translate import ServiceRefused
from agent.testing.clock import ManualClock

BAD_OUT_OF_MEMORY = 0x80030000


class Server:
    """Takes the parts that `takes` says."""

    def __init__(self, takes: Callable[[range], object], *, proven: int = 0) -> None:
        self.takes = takes
        self.asked = 0
        self.had: list[int] = []
        self.refused: list[int] = []
        self.limit = ChunkLimit()
        self.limit.answered(proven)
        self.clock = ManualClock()
        self._divided = Dividing(self.limit, self.clock, "dev")

    async def _ask(self, part: range) -> None:
        self.asked += 1
        if not self.takes(part):
            raise ServiceRefused(BAD_OUT_OF_MEMORY, "reading")
        self.had += part

    async def divided(self, size: int) -> list[int]:
        """The sizes of the parts; every place has had its answer, in order."""
        self.asked, self.had, self.refused = 0, [], []
        error = ServiceRefused(BAD_OUT_OF_MEMORY, "reading")
        parts = await self._divided(size, error, self._ask, lambda part, _: self.refused.extend(part))
        assert sorted(self.had + self.refused) == list(range(size))
        return [len(part) for part in parts]


@pytest.mark.parametrize(("most", "limit"), [(50, 50), (49, 25), (3, 3), (1, 1)])
async def test_too_much_at_once(most: int, limit: int) -> None:
    """A size that was never answered: all is had in parts, and no more is asked for at once from now on."""
    server = Server(lambda part: len(part) <= most)
    assert max(await server.divided(100)) <= most
    assert (server.refused, server.limit.size) == ([], limit)


@pytest.mark.parametrize("culprits", [{0}, {99}, {0, 1, 99}, {17, 50}])
async def test_some_of_them_are_to_blame(culprits: set[int]) -> None:
    """Only those are refused, they are asked for alone from now on, and the limit stays."""
    server = Server(culprits.isdisjoint)
    sizes = await server.divided(100)
    assert (set(server.refused), server.limit.size) == (culprits, 100)
    assert sizes.count(1) >= len(culprits)


async def test_a_moment_in_which_everything_is_refused() -> None:
    """A few questions tell; nothing is learned, and for a while it is not asked in parts again."""
    server = Server(lambda _: False)
    assert await server.divided(100) == [100]
    assert (len(server.refused), server.limit.size) == (100, 100)
    assert server.asked < 30
    assert await server.divided(100) == [100]
    assert server.asked == 0
    await server.clock.advance(60)
    server.takes = lambda _: True
    server.limit.answered(100)
    assert await server.divided(100) == [100], "a size that was answered before is no limit"
    assert server.limit.size == 100
