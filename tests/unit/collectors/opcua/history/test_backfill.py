"""Filling spans from a scripted history: what servers do that none at hand can be made to do."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest
import structlog
from asyncua import ua as library

from agent.collectors.common.choice import Choice
from agent.collectors.opcua.address.nodeid import NodeAddress
from agent.collectors.opcua.config import OpcUaConfig
from agent.collectors.opcua.history import backfill as module
from agent.collectors.opcua.history.backfill import Backfill
from agent.collectors.opcua.history.history import HistoryPage, HistoryReader
from agent.collectors.opcua.history.keeping import HistoryKeeper
from agent.collectors.opcua.inbox import SampleInbox
from agent.collectors.opcua.past import MissingSpan, Past, key_of
from agent.collectors.opcua.plan import ConnectionPace
from agent.collectors.opcua.services import ResolvedNode
from agent.collectors.opcua.translate import ServiceRefused, TooLarge
from agent.collectors.opcua.values.decode import Decoder
from agent.collectors.opcua.values.times import SourceClock
from agent.core.quality import number_of
from agent.testing.clock import ManualClock

ua: Any = library
T = 1_763_760_000_000
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
COUNT = 12


class Script:
    """Each node has a value every 10 ms. `refuse(nodes)`: an error for a request, or a status for each node."""

    def __init__(self) -> None:
        self.most = 100
        self.asked: list[int] = []
        self.released: list[bytes] = []
        self.continues = True
        self.gives: int | None = None  #: values at once, whatever was asked for
        self.refuse: Callable[[int], Exception | int | None] = lambda _: None

    async def raw(
        self, nodes: Sequence[Any], points: Sequence[bytes | None], start: int, end: int
    ) -> list[HistoryPage]:
        self.asked.append(len(nodes))
        refusal = self.refuse(len(nodes))
        if isinstance(refusal, Exception):
            raise refusal
        if refusal is not None:
            return [HistoryPage(refusal, [], None) for _ in nodes]
        return [self._page(int(point or start), end) for point in points]

    def _page(self, start: int, end: int) -> HistoryPage:
        times = list(range(start, end + 1, 10))[: self.gives or self.most]
        values = [ua.DataValue(ua.Variant(at), SourceTimestamp=EPOCH + dt.timedelta(milliseconds=at)) for at in times]
        more = str(times[-1] + 10).encode() if len(times) == (self.gives or self.most) and self.continues else None
        return HistoryPage(0, values, more)

    def lower(self) -> bool:
        before, self.most = self.most, max(1, self.most // 2)
        return self.most < before

    async def release(self, _nodes: Sequence[Any], points: Sequence[bytes]) -> None:
        self.released += points


class Desk:
    """A connection with one span for each of its tags, all of 3 s: 299 values each."""

    def __init__(self, tags: int = COUNT) -> None:
        table = {f"t{number}": {"node": f"ns=2;i={number}"} for number in range(tags)}
        made = OpcUaConfig.model_validate({"type": "opcua", "url": "opc.tcp://h", "backfill": True, "tags": table})
        plan = made.plan("dev", "gw", ConnectionPace(history=0.01, again=0.01))
        self.clock = ManualClock(T + 60_000)
        self.script = Script()
        decoder = Decoder(tags, SourceClock())
        self.inbox = SampleInbox(self.clock, lambda: None)
        self.past = Past(Choice(plan.servers), {})
        keeper = HistoryKeeper(plan, self.past, None, lambda: True)
        keeper.follow(plan, decoder.first)
        self.past.spans = [
            MissingSpan(number, key_of(point), T, T + 3000) for number, point in enumerate(plan.points.values())
        ]
        nodes = {at: ResolvedNode(point, cast("Any", NodeAddress(2, at))) for at, point in plan.points.items()}
        self.work = Backfill(
            plan, cast("HistoryReader", self.script), decoder, self.inbox, self.clock, self.past, keeper, nodes.get
        )

    async def fill(self) -> tuple[dict[int, list[Any]], dict[str, Any]]:
        """All that was handed on, by tag, and what the log says of it."""
        past: dict[int, list[Any]] = {}
        with structlog.testing.capture_logs() as logs:
            async with asyncio.TaskGroup() as group:
                task = group.create_task(self.work.run())
                while not task.done():
                    await self.clock.advance(0.05)
                    while self.inbox.remembers:
                        await self.clock.advance(0.05)
                        for answer in (await anext(self.inbox)).history:
                            past.setdefault(answer.tags[0], []).extend(answer.values)
        (done,) = [log for log in logs if log["event"] == "opcua.backfilled"]
        return past, dict(done)


WHOLE = list(range(T + 10, T + 3000, 10))


async def test_everything_comes_once_in_order() -> None:
    """In pages, ten nodes at a time."""
    desk = Desk()
    past, done = await desk.fill()
    assert past == dict.fromkeys(range(COUNT), WHOLE)
    assert (done["values"], done["failed"], done["complete"]) == (COUNT * len(WHOLE), 0, True)
    assert max(desk.script.asked) == 10


async def test_a_server_that_breaks_off_after_a_full_page_is_asked_on() -> None:
    """Some give no continuation point and mean it."""
    desk = Desk(tags=2)
    desk.script.continues = False
    past, _ = await desk.fill()
    assert past == dict.fromkeys(range(2), WHOLE)


async def test_a_server_that_gives_more_than_was_asked_for_is_named_and_takes_no_more_of_the_loop() -> None:
    """Nothing of it is lost; it is handed on in parts as large as those that were asked for."""
    desk = Desk(tags=2)
    desk.script.gives = 1000
    complaints: list[tuple[str | None, str]] = []
    sizes: list[int] = []
    complain, remember = desk.inbox.complain, desk.inbox.remember

    def complained(words: str | None, about: str = "server") -> None:
        complaints.append((words, about))
        complain(words, about)

    def remembered(answer: Any, claim: Any, handed: Any) -> None:
        sizes.append(len(answer.tags))
        remember(answer, claim, handed)

    desk.inbox.complain = complained  # type: ignore[method-assign]
    desk.inbox.remember = remembered  # type: ignore[method-assign]
    past, done = await desk.fill()
    assert past == dict.fromkeys(range(2), WHOLE)
    assert (done["failed"], done["complete"]) == (0, True)
    assert max(sizes) == 100
    assert complaints[0] == ("the server gives more of its history at once than was asked for", "history")
    assert complaints[-1] == (None, "history")


@pytest.mark.parametrize(
    "refusal",
    [number_of("BadNoContinuationPoints"), TooLarge(number_of("BadTooManyOperations"), "reading history")],
    ids=["continuation points", "operations"],
)
async def test_fewer_nodes_at_a_time_where_the_server_cannot_take_them(refusal: Exception | int) -> None:
    """Halved until it can; the size is kept for the next time."""
    desk = Desk()
    desk.script.refuse = lambda nodes: refusal if nodes > 3 else None
    past, done = await desk.fill()
    assert past == dict.fromkeys(range(COUNT), WHOLE)
    assert done["failed"] == 0
    assert desk.past.histories.size <= 3


async def test_a_page_that_is_too_large_gets_smaller() -> None:
    """Down to what the server can send."""
    desk = Desk(tags=1)
    desk.script.refuse = lambda _: TooLarge(number_of("BadResponseTooLarge"), "x") if desk.script.most > 30 else None
    past, _ = await desk.fill()
    assert (past, desk.script.most) == ({0: WHOLE}, 25)


@pytest.mark.parametrize("code", ["BadHistoryOperationUnsupported", "BadUserAccessDenied"])
async def test_a_server_without_history_is_asked_once(code: str) -> None:
    """The service as such is refused: no other tag would fare better."""
    desk = Desk()
    desk.script.refuse = lambda _: ServiceRefused(number_of(code), "reading history")
    past, done = await desk.fill()
    assert (past, desk.script.asked) == ({}, [10])
    assert (done["failed"], done["complete"]) == (COUNT, True)
    assert code in done["reason"]


async def test_a_node_without_history_costs_itself() -> None:
    """A status for the node, or another refusal of one request: the others are asked for."""
    desk = Desk()
    desk.script.refuse = lambda nodes: number_of("BadHistoryOperationUnsupported") if nodes == 10 else None
    past, done = await desk.fill()
    assert set(past) == {10, 11}
    assert (done["failed"], done["reason"]) == (10, "BadHistoryOperationUnsupported")


async def test_one_connection_reads_so_many_values_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left is said not to be complete, and the server may forget where we stood."""
    monkeypatch.setattr(module, "_MOST", 150)
    desk = Desk(tags=2)
    past, done = await desk.fill()
    assert past == dict.fromkeys(range(2), WHOLE[:99])
    assert (done["complete"], desk.past.spans) == (False, [])
    assert len(desk.script.released) == 2
