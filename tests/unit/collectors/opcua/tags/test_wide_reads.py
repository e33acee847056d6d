"""Polling in wider chunks where the server answers fast: what a request costs is its waking, not its nodes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import cast

import pytest
from asyncua.ua import NodeId

from agent.collectors.common.limits import ChunkLimit
from agent.collectors.opcua.address.nodeid import NodeAddress
from agent.collectors.opcua.inbox import SampleInbox
from agent.collectors.opcua.plan import TagPoint
from agent.collectors.opcua.services import ResolvedNode, Services
from agent.collectors.opcua.tags.poller import Poller
from agent.collectors.opcua.tags.reader import ChunkReader
from agent.collectors.opcua.translate import AnswerUndecodable, ServiceRefused, TooLarge
from agent.collectors.opcua.values.decode import Decoder
from agent.collectors.opcua.values.times import SourceClock
from agent.collectors.opcua.wire.columns import ARRAY, STRING, Columns
from agent.collectors.opcua.wire.session import Encoded
from agent.core.errors import TransientError
from agent.core.flow import Answer
from agent.core.quality import number_of
from agent.testing.clock import ManualClock

TAGS = 2_500
DOUBLE = 11


class Script:
    """Services: the value of a node is its number."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.node_bytes = 26
        self.seconds = 0.0  #: until it answers
        self.kind = DOUBLE
        self.made: Callable[[int], object] = float
        self.asked: list[int] = []
        self.most = TAGS
        self.poison: set[int] = set()
        self.meanwhile: Callable[[], object] = lambda: None  #: happens once, while the third answer is waited for

    def encode(self, nodes: Sequence[ResolvedNode]) -> Encoded:
        """`stamp` says which is the first; the others follow."""
        return Encoded(bytearray(self.node_bytes * len(nodes)), nodes[0].point.position, len(nodes))

    async def values(self, request: Encoded) -> Columns:
        count = request.asked
        nodes = range(request.stamp, request.stamp + count)
        self.asked.append(count)
        if len(self.asked) == 3:
            self.meanwhile()
        if count > self.most:
            raise TooLarge(number_of("BadResponseTooLarge"), "reading")
        if self.poison.intersection(nodes):
            raise AnswerUndecodable("rubbish")
        if self.seconds:
            await self._clock.sleep(self.seconds)
        return Columns([self.kind] * count, [self.made(node) for node in nodes], [0] * count, [None] * count)


class Desk:
    """A poller on the script; one cycle a second."""

    def __init__(self, told: int | None = 0, known: int | None = None) -> None:
        self.clock = ManualClock()
        self.script = Script(self.clock)
        self.limit = ChunkLimit()
        self.limit.told(told, known)
        reader = ChunkReader(cast("Services", self.script), Decoder(TAGS, SourceClock()), self.limit, self.clock, "dev")
        self._inbox = SampleInbox(self.clock, lambda: None)
        self._answers: list[Answer] = []
        self._poller = Poller(reader, self._inbox, self.clock, "dev", [1.0], self._answers.append)

    async def until_then(self, change: Callable[[Poller], object]) -> list[list[int]]:
        """The nodes that are asked for with success in each of three cycles, in the first of which this happens."""
        self.script.meanwhile = lambda: change(self._poller)
        made = []
        async with asyncio.TaskGroup() as group:
            self._poller.add(0, [_node(position) for position in range(TAGS)])
            polling = group.create_task(self._poller.run())
            await self.clock.advance(0.999)
            for _ in range(3):
                made.append([tag for answer in self._answers for tag in answer.tags])
                self._answers.clear()
                await anext(self._inbox)
                await self.clock.advance(1.0)
            polling.cancel()
        return made

    async def cycles(self, count: int) -> list[list[int]]:
        """The sizes of the requests of each cycle; all values came each time, in order, but for the poisoned."""
        made = []
        async with asyncio.TaskGroup() as group:
            self._poller.add(0, [_node(position) for position in range(TAGS)])
            polling = group.create_task(self._poller.run())
            await self.clock.advance(0.999)  # the first tick lies in here
            for _ in range(count):
                made.append(list(self.script.asked))
                values = [value for answer in self._answers for value in answer.values]
                assert values == [None if at in self.script.poison else self.script.made(at) for at in range(TAGS)]
                self.script.asked.clear()
                self._answers.clear()
                await anext(self._inbox)
                await self.clock.advance(1.0)
            polling.cancel()
        return made


def _node(position: int) -> ResolvedNode:
    point = TagPoint(position, f"tag{position}", NodeAddress(0, position), 100.0, 2)
    return ResolvedNode(point, NodeId(position))  # type: ignore[arg-type]


async def test_a_server_that_answers_fast_is_asked_for_more_at_a_time() -> None:
    """Twice as many after a full chunk, up to 2,000; all values come in every cycle."""
    assert await Desk().cycles(4) == [[500] * 5, [1000, 1000, 500], [2000, 500], [2000, 500]]


@pytest.mark.parametrize(("told", "known", "most"), [(800, None, 800), (0, 500, 500), (None, None, 100)])
async def test_never_more_than_it_takes(told: int | None, known: int | None, most: int) -> None:
    """What the server tells and what is known of its kind stand; one that tells nothing stays at a hundred."""
    made = await Desk(told, known).cycles(4)
    assert max(made[-1]) == most


async def test_slow_or_heavy_answers_stay_as_they_are() -> None:
    """A slow server, arrays, long texts: twice as many would be a burden, on one side or the other."""
    slow, arrays, texts = Desk(), Desk(), Desk()
    slow.script.seconds = 0.06
    arrays.script.kind, arrays.script.made = DOUBLE | ARRAY, lambda node: [float(node)]
    texts.script.kind, texts.script.made = STRING, lambda node: f"{node:040}"
    for desk in (slow, arrays, texts):
        assert await desk.cycles(3) == [[500] * 5] * 3


async def test_short_texts_are_light() -> None:
    """As numbers."""
    desk = Desk()
    desk.script.kind, desk.script.made = STRING, str
    assert (await desk.cycles(3))[-1] == [2000, 500]


async def test_a_request_stays_in_one_piece() -> None:
    """Long node ids: as many as fit into 64 KiB, as a small server may want it."""
    desk = Desk()
    desk.script.node_bytes = 70
    assert (await desk.cycles(4))[-1] == [842, 842, 816]


async def test_a_server_that_finds_it_too_large_is_asked_for_half_for_good() -> None:
    """In the same cycle; by the next connection, too."""
    desk = Desk()
    desk.script.most = 1500
    assert await desk.cycles(4) == [[500] * 5, [1000, 1000, 500], [2000, 1000, 1000, 500], [1000, 1000, 500]]
    assert desk.limit.size == 500, "of all but plain values"
    desk.limit.told(0)
    for size in (500, 1000):
        desk.limit.fast(size)
    assert desk.limit.wide == 1000


async def test_what_cannot_be_decoded_is_searched_for_again_and_stays_alone() -> None:
    """Joined with the others it breaks their answer once more; that costs requests, and no value."""
    desk = Desk()
    desk.script.poison = {7}
    made = await desk.cycles(5)
    assert made[-1] == made[-2]
    assert sum(made[-1]) == TAGS


async def test_a_width_that_costs_the_connection_is_not_tried_again() -> None:
    """As with any other size."""
    limit = ChunkLimit(0)
    limit.answered(500)
    limit.fast(500)
    limit.lost(1000)
    limit.told(0)
    limit.fast(500)
    assert (limit.size, limit.wide) == (500, 500)


_TOO_MANY = number_of("BadTooManyOperations"), "reading"


@pytest.mark.parametrize(
    "refusal", [TooLarge(*_TOO_MANY), ServiceRefused(*_TOO_MANY), AnswerUndecodable("rubbish"), None]
)
async def test_what_a_reload_takes_out_while_it_is_asked_for_is_not_asked_for_again(
    refusal: TransientError | None,
) -> None:
    """Refused or answered: from the next cycle on each tag that is left is read once, and no other."""
    desk = Desk()

    def change(poller: Poller) -> None:
        poller.remove(range(1_100))  # two chunks before the one that is under way, and a part of it
        if refusal is not None:
            raise refusal

    _, *after = await desk.until_then(change)
    assert after == [list(range(1_100, TAGS))] * 2
