"""Reader and publishing against scripted services: the faults no server at hand can be made to show."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

import pytest
from asyncua import ua as library

from agent.collectors.common.limits import ChunkLimit
from agent.collectors.opcua.address.nodeid import NodeAddress
from agent.collectors.opcua.config import OpcUaConfig
from agent.collectors.opcua.inbox import SampleInbox
from agent.collectors.opcua.notification import Notification
from agent.collectors.opcua.plan import ChangeFilter, Rhythm, TagPoint
from agent.collectors.opcua.services import Monitored, ResolvedNode, Services, Subscribed
from agent.collectors.opcua.tags.homes import Homes
from agent.collectors.opcua.tags.monitoring import Monitoring
from agent.collectors.opcua.tags.poller import Poller
from agent.collectors.opcua.tags.publishing import Publishing
from agent.collectors.opcua.tags.reader import ChunkReader
from agent.collectors.opcua.translate import AnswerUndecodable, ServiceRefused, TooLarge, translate
from agent.collectors.opcua.values.decode import Decoder
from agent.collectors.opcua.values.times import SourceClock
from agent.collectors.opcua.wire.columns import Columns
from agent.collectors.opcua.wire.slow import columns_of
from agent.core.errors import AgentError, ConnectionLost, TransientError
from agent.core.flow import Answer, Loss
from agent.core.quality import name_of, number_of
from agent.testing.clock import ManualClock
from tests.support.waiting import eventually

ua: Any = library
TAGS = 8


def good(value: object) -> Any:
    return ua.DataValue(ua.Variant(value))


class Script:
    """Services as told: node ids are plain numbers, the value of a node is its number."""

    def __init__(self) -> None:
        self.most = TAGS
        self.poison: set[int] = set()
        self.asked: list[int] = []
        self.publishes: asyncio.Queue[Notification | Exception] = asyncio.Queue()
        self.acknowledged: list[tuple[int, int]] = []
        self.forgotten: list[tuple[int, int]] = []
        self.codes: dict[int, int] = {}
        self.most_items = TAGS
        self.plain: set[int] = set()  # positions that take no filter
        self.monitors: dict[int, int] = {}
        self.listed: dict[int, int] | None = None  # what it says instead of these
        self.exchanged = self.mute = False
        self.most_subscriptions = 9
        self.lowered: list[int] = []
        self.kept: dict[int, Notification] = {}  # for Republish

    def encode(self, nodes: Sequence[ResolvedNode]) -> Sequence[int]:
        return [node.node_id for node in nodes]  # type: ignore[misc]

    async def values(self, nodes: Sequence[int]) -> Columns:
        self.asked.append(len(nodes))
        if len(nodes) > self.most:
            raise TooLarge(number_of("BadTooManyOperations"), "reading")
        if self.poison & set(nodes):
            raise AnswerUndecodable("rubbish")
        return columns_of([good(node) for node in nodes])

    async def subscribe(self, wanted: Rhythm) -> Subscribed:
        if not self.most_subscriptions:
            raise ServiceRefused(number_of("BadTooManySubscriptions"), "creating a subscription")
        self.most_subscriptions -= 1
        return Subscribed(7, wanted.interval_ms, wanted.keep_alive, wanted.lifetime)

    async def lower(self, _subscription: int, _wanted: Rhythm, most: int) -> None:
        self.lowered.append(most)

    async def monitor(self, _subscription: int, nodes: Sequence[ResolvedNode]) -> list[Monitored]:
        self.asked.append(len(nodes))
        if len(nodes) > self.most_items:
            raise TooLarge(number_of("BadTooManyMonitoredItems"), "monitoring")
        self.most_items -= len(nodes)
        return [self._made(node.point) for node in nodes]

    def _made(self, point: TagPoint) -> Monitored:
        refused = number_of("BadFilterNotAllowed") if point.filter and point.position in self.plain else 0
        code = self.codes.get(point.position, 0) or refused
        if not code:
            self.monitors[100 + point.position] = point.position
        return Monitored(code, 100 + point.position, point.sampling_ms, 1)

    async def monitored(self, _subscription: int) -> list[tuple[int, int]] | None:
        return [(b, a) if self.exchanged else (a, b) for a, b in (self.listed or self.monitors).items()]

    async def lives(self, _subscription: int, items: Sequence[int]) -> list[bool] | None:
        return None if self.mute else [item in self.monitors for item in items]

    async def forget(self, subscription: int, items: Sequence[int]) -> None:
        self.forgotten += [(subscription, item) for item in items]

    async def publish(self, acknowledge: Sequence[tuple[int, int]]) -> Notification:
        self.acknowledged += acknowledge
        step = await self.publishes.get()
        if isinstance(step, Exception):
            raise step
        return step

    async def republish(self, _subscription: int, sequence: int) -> Notification:
        if sequence not in self.kept:
            raise ServiceRefused(number_of("BadMessageNotAvailable"), "asking again")
        return self.kept[sequence]


class Desk:
    """The parts of a conversation around the script."""

    def __init__(self) -> None:
        self.script = Script()
        self.clock = ManualClock()
        services = cast("Services", self.script)
        decoder = Decoder(TAGS, SourceClock())
        self.limit = ChunkLimit(0)
        self.inbox = SampleInbox(self.clock, lambda: None, most=4)
        self.broken: list[tuple[TagPoint, int, str]] = []
        self.lost: list[Loss] = []
        self.reader = ChunkReader(services, decoder, self.limit, self.clock, "dev")
        made = OpcUaConfig.model_validate({"type": "opcua", "url": "opc.tcp://h", "timeout": "1s"})
        plan = made.plan("dev", "test")
        self.items = Monitoring(services, self.limit, self.clock, "dev")
        self.publishing = Publishing(services, self.reader, decoder, self.inbox, self.items, self.clock, plan)
        self.publishing.lost.given_up = self.broken.extend
        self.poller = Poller(self.reader, self.inbox, self.clock, "dev", [0.5, 2.0, 10.0], self.items.look_at)
        self.homes = Homes(self.publishing, self.items, self.poller, self.clock, "dev", plan.pace)

    async def read(self, *positions: int) -> list[Answer]:
        answers: list[Answer] = []
        await self.reader.read(self.reader.layout(nodes(*positions)), answers.append)
        return answers

    async def heard(self) -> list[list[object]]:
        """Values of the next sample, answer by answer."""
        sample = await anext(self.inbox)
        self.lost += sample.losses
        return [list(answer.values) for answer in sample.answers]


def nodes(*positions: int) -> list[ResolvedNode]:
    return [
        ResolvedNode(TagPoint(position, f"tag{position}", NodeAddress(0, position), 100.0, 2), cast("Any", position))
        for position in positions
    ]


def change(sequence: int, *handles: int, subscription: int = 7) -> Notification:
    return Notification(subscription, sequence, handles, columns_of([good(handle) for handle in handles]), empty=False)


def keep_alive(sequence: int) -> Notification:
    return Notification(7, sequence, (), columns_of(()))


async def publishing(desk: Desk, check: Callable[[], Awaitable[None]]) -> None:
    """Run one publisher while `check` looks on; its error passes."""

    async def work() -> None:
        try:
            await desk.publishing.publish()
        except AgentError as error:
            desk.inbox.fail(error)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(work())
        try:
            await check()
        finally:
            task.cancel()


# --- reading ----------------------------------------------------------------------------------------------------------


async def test_too_large_reads_are_halved_until_they_fit() -> None:
    """Every tag is read, in order, and the size that fits is kept for the next cycle."""
    desk = Desk()
    desk.script.most = 3
    answers = await desk.read(*range(8))
    assert [value for answer in answers for value in answer.values] == list(range(8))
    assert desk.script.asked == [8, 4, 2, 2, 2, 2]
    assert desk.limit.size == 2


async def test_long_arrays_are_handed_on_before_more_is_asked_for() -> None:
    """Those of one cycle would else be worked off in one go."""
    desk = Desk()
    desk.limit.refused(2)  # one node at a time
    handed: list[int] = []

    async def hand_on() -> None:
        handed.append(len(desk.script.asked))

    desk.reader.handed = hand_on
    await desk.read(0, 1)
    assert handed == []
    long = Columns([0x83], [[1] * 20_000], [0], [None])
    columns = iter([long, columns_of([good(1)]), long])

    async def values(_nodes: Sequence[int]) -> Columns:
        desk.script.asked.append(1)
        return next(columns)

    desk.script.values = values  # type: ignore[assignment,method-assign]
    await desk.read(0, 1, 2)
    assert [count - handed[0] for count in handed] == [0, 2]


async def test_a_single_node_that_is_too_large_is_bad() -> None:
    """Halving ends; the others are read."""
    desk = Desk()
    desk.script.most = 0
    answers = await desk.read(0, 1)
    assert [name_of(cast("int", answer.status)) for answer in answers] == ["BadTooManyOperations"] * 2


async def test_the_undecodable_tag_is_found_and_stays_alone() -> None:
    """Its neighbours are good; the layout is kept, so that the search is not repeated every cycle."""
    desk = Desk()
    desk.script.poison = {5}
    chunks = desk.reader.layout(nodes(*range(8)))
    for _ in range(2):
        answers: list[Answer] = []
        desk.script.asked.clear()
        await desk.reader.read(chunks, answers.append)
        bad = [answer for answer in answers if answer.status]
        assert [(answer.tags, name_of(cast("int", answer.status))) for answer in bad] == [((5,), "BadDecodingError")]
        found = {value for answer in answers for value in answer.values}
        assert found == {0, 1, 2, 3, 4, None, 6, 7}
    assert sum(desk.script.asked) == 8


# --- monitoring -------------------------------------------------------------------------------------------------------


async def test_a_server_that_is_full_gets_as_many_items_as_it_takes() -> None:
    """The rest is refused at once, not asked for one by one, and the size of requests is not to blame."""
    desk = Desk()
    desk.script.most_items = 3
    made = await desk.publishing.create(1.0)
    refused = await desk.items.monitor(made, nodes(*range(8)))
    assert sorted(made.items) == [0, 1, 2]
    assert [(point.position, name_of(code)) for point, code in refused] == [
        (position, "BadTooManyMonitoredItems") for position in range(3, 8)
    ]
    assert len(desk.script.asked) < 8
    assert desk.limit.size == 500


async def test_a_refused_filter_costs_the_filter_only() -> None:
    """The node is monitored without it, and not asked with it again; the others keep theirs."""
    desk = Desk()
    desk.script.plain = {1}
    made = await desk.publishing.create(1.0)
    some = [node._replace(point=node.point._replace(filter=ChangeFilter(1, 0.5, 1))) for node in nodes(0, 1)]
    assert await desk.items.monitor(made, some) == []
    assert [made.nodes[at].point.filter for at in (0, 1)] == [ChangeFilter(1, 0.5, 1), some[1].point.filter]
    assert desk.script.asked == [2, 1]
    await desk.items.monitor(made, some)
    assert desk.script.asked == [2, 1, 2]
    assert desk.items.facts()["unfiltered"] == 1


async def test_an_audit_finds_what_the_server_forgot() -> None:
    """Items it monitors no longer come back to be asked for; what was not created here is left alone."""
    desk = Desk()
    made = await desk.publishing.create(1.0)
    await desk.items.monitor(made, nodes(0, 1, 2))
    assert desk.items.facts()["revised"] == 3, "it keeps one value where two were asked for"
    assert await desk.items.audit([made]) == []
    del desk.script.monitors[101]
    desk.script.monitors[300] = 5
    assert [point.position for point in await desk.items.audit([made])] == [1]
    assert sorted(made.items) == [0, 2]
    assert desk.script.forgotten == []
    assert not desk.items.disbelieved


async def test_an_audit_reads_a_list_with_exchanged_columns() -> None:
    """Client handles first, item ids second: nothing is amiss, and what is missing is found all the same."""
    desk = Desk()
    made = await desk.publishing.create(1.0)
    await desk.items.monitor(made, nodes(0, 1, 2))
    desk.script.exchanged = True
    assert await desk.items.audit([made]) == []
    del desk.script.monitors[101]
    assert [point.position for point in await desk.items.audit([made])] == [1]
    assert not desk.items.disbelieved


@pytest.mark.parametrize("mute", [False, True])
async def test_an_audit_that_lies_is_not_believed_again(mute: bool) -> None:
    """It misses items that answer to their id; or, where nobody tells that, the same ones after they were made anew."""
    desk = Desk()
    made = await desk.publishing.create(1.0)
    await desk.items.monitor(made, nodes(0, 1, 2))
    desk.script.listed, desk.script.mute = {100: 0}, mute
    again = await desk.items.audit([made])
    assert [point.position for point in again] == ([1, 2] if mute else [])
    if mute:
        await desk.items.monitor(made, nodes(1, 2))
        assert await desk.items.audit([made]) == []
    assert desk.items.disbelieved
    assert sorted(made.items) == [0, 1, 2]
    desk.script.listed = {}
    assert await desk.items.audit([made]) == []


async def test_intervals_share_where_the_server_has_too_few_subscriptions() -> None:
    """The faster ones get their own; slower tags ride along."""
    desk = Desk()
    desk.script.most_subscriptions = 1
    await desk.homes.begin([0.5, 2.0, 10.0])
    (shared,) = desk.homes.subscriptions
    assert shared.server.interval_ms == 500
    for number in range(3):
        assert await desk.homes.monitor(number, nodes(number)) == []
    assert sorted(shared.items) == [0, 1, 2]


async def test_tags_without_a_place_are_polled_until_there_is_one() -> None:
    """No subscription at first: the poller reads them; asked again later, they move, and are read no more."""
    desk = Desk()
    desk.script.most_subscriptions = 0
    await desk.homes.begin([0.5, 2.0, 10.0])
    assert await desk.homes.monitor(1, nodes(0, 1, 2)) == []
    assert desk.poller.positions == {0, 1, 2}
    desk.script.most_subscriptions, desk.script.most_items = 1, 2
    await desk.homes.promote()
    assert desk.poller.positions == {0, 1, 2}, "it is too soon to ask again"
    await desk.clock.advance(60.0)
    await desk.homes.promote()
    assert desk.poller.positions == {2}
    assert [sorted(one.items) for one in desk.homes.subscriptions] == [[0, 1]]


async def test_tags_without_a_place_are_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many are to be polled, those that are polled already are gone through once: each look costs them all."""
    looks: list[Poller] = []

    def counted(poller: Poller) -> set[int]:
        looks.append(poller)
        return {position for chunks in poller._chunks for chunk in chunks for position in chunk.tags}

    monkeypatch.setattr(Poller, "positions", property(counted))
    desk = Desk()
    await desk.homes.begin([0.5, 2.0, 10.0], publishes=False)
    for _ in range(2):
        assert await desk.homes.monitor(1, nodes(*range(TAGS))) == []
    assert len(looks) == 2
    assert desk.poller.positions == set(range(TAGS))


async def test_answers_that_tell_nothing_are_no_reason_to_hurry() -> None:
    """A server that floods us with keep-alives, or with words of subscriptions nobody made, is asked every 50 ms."""
    desk = Desk()
    await desk.publishing.create(1.0)
    for number in range(100):
        desk.script.publishes.put_nowait(keep_alive(1) if number % 2 else change(1, 2, subscription=9))

    async def check() -> None:
        await desk.clock.advance(0.0)
        asked = 100 - desk.script.publishes.qsize()
        assert 55 <= asked <= 65, "those of three seconds, at once"
        await desk.clock.advance(0.05)
        assert 100 - desk.script.publishes.qsize() == asked + 1
        assert "more than was asked for" in ((await anext(desk.inbox)).complaint or "")

    await publishing(desk, check)


async def test_more_values_than_were_asked_for_are_taken_but_not_at_once() -> None:
    """Nothing of what came is thrown away; the server is left alone ten seconds at most, and named until it is calm."""
    desk = Desk()
    desk.inbox = desk.publishing._inbox = SampleInbox(desk.clock, lambda: None, most=100_000)
    made = await desk.publishing.create(1.0)
    assert await desk.items.monitor(made, nodes(0, 1)) == []
    for number in range(1, 4):
        desk.script.publishes.put_nowait(change(number, *[0, 1] * 5_000))
    desk.script.publishes.put_nowait(change(4, 0))

    async def check() -> None:
        for seconds, left in ((1.0, 3), (5.0, 3), (2.0, 2), (40.0, 0)):
            await desk.clock.advance(seconds)
            assert desk.script.publishes.qsize() == left
        sample = await anext(desk.inbox)
        assert sum(len(answer.tags) for answer in sample.answers) == 30_001
        assert "more than was asked for" in (sample.complaint or "")
        await desk.clock.advance(40.0)
        desk.script.publishes.put_nowait(change(5, 0))
        await desk.clock.advance(1.0)
        assert (await anext(desk.inbox)).complaint is None

    await publishing(desk, check)


async def test_a_notification_too_large_for_the_server_is_made_smaller() -> None:
    """Publish answered BadResponseTooLarge: fewer values in each, and publishing goes on."""
    desk = Desk()
    await desk.publishing.create(1.0)
    desk.script.publishes.put_nowait(TooLarge(number_of("BadResponseTooLarge"), "publishing"))
    desk.script.publishes.put_nowait(change(1, 2))

    async def check() -> None:
        await desk.clock.advance(1)
        assert await desk.heard() == [[2]]
        assert desk.script.lowered == [500]

    await publishing(desk, check)


# --- publishing -------------------------------------------------------------------------------------------------------


async def test_notifications_arrive_acknowledged_and_with_the_same_tuple() -> None:
    """A recurring set of tags is the same object; each notification is acknowledged with the next request."""
    desk = Desk()
    await desk.publishing.create(1.0)
    for sequence in (1, 2):
        desk.script.publishes.put_nowait(change(sequence, 0, 1))

    async def check() -> None:
        await desk.inbox._ready.wait()
        await asyncio.sleep(0)
        first, second = (await anext(desk.inbox)).answers
        assert first.tags is second.tags
        await desk.clock.advance(0)
        assert desk.script.acknowledged == [(7, 1), (7, 2)]

    await publishing(desk, check)


@pytest.mark.parametrize(
    "sequences",
    [(1, 2, 3), (5, 6, 7), (0xFFFFFFFE, 0xFFFFFFFF, 1), (3, 3, 4)],
    ids=["from one", "from anywhere", "around the end", "repeated"],
)
async def test_numbers_in_a_row_are_no_gap(sequences: tuple[int, ...]) -> None:
    """Sequence numbers start anywhere, skip zero, and may be repeated by a republish."""
    desk = Desk()
    made = await desk.publishing.create(1.0)
    assert [made.follow(change(sequence, 0)) for sequence in sequences] == [0, 0, 0]


async def test_a_lost_notification_is_asked_for_again() -> None:
    """What the server still has comes in its place, in order, and nothing is declared."""
    desk = Desk()
    await desk.publishing.create(1.0)
    desk.script.kept = {2: change(2, 1), 3: change(3, 2)}
    for sequence in (1, 4):
        desk.script.publishes.put_nowait(change(sequence, sequence))

    async def check() -> None:
        sample = await anext(desk.inbox)
        assert [list(answer.values) for answer in sample.answers] == [[1], [1], [2], [4]]
        assert not sample.losses
        await desk.clock.advance(1)
        assert desk.script.acknowledged == [(7, 1), (7, 2), (7, 3), (7, 4)]

    await publishing(desk, check)


async def test_what_a_server_sends_again_is_no_news() -> None:
    """The same number, time and value: acknowledged once more, not handed on, no gap; a number alone proves nothing,
    nor does one with the time of a server whose clock stands still.
    """
    desk = Desk()
    await desk.publishing.create(1.0)
    for sequence, made, value in ((1, 10, 1), (2, 20, 2), (1, 10, 1), (2, 20, 2), (3, 30, 3), (3, 30, 4)):
        desk.script.publishes.put_nowait(change(sequence, value)._replace(made=made))

    async def check() -> None:
        heard: list[list[object]] = []
        while [4] not in heard:
            sample = await anext(desk.inbox)
            heard += [list(answer.values) for answer in sample.answers]
            assert not sample.losses
        assert heard == [[1], [2], [3], [4]]
        await eventually(lambda: desk.script.acknowledged == [(7, n) for n in (1, 2, 1, 2, 3, 3)])

    await publishing(desk, check)


async def test_a_notification_lost_for_good_is_declared_and_its_tags_are_read() -> None:
    """Values the server sent and we never saw are not passed over in silence; the connection goes on."""
    desk = Desk()
    made = await desk.publishing.create(1.0)
    await desk.items.monitor(made, nodes(0, 2))
    desk.script.kept = {2: change(2, 2)}
    desk.script.publishes.put_nowait(change(1, 0))

    async def check() -> None:
        assert await desk.heard() == [[0]]
        before = desk.clock.now_ms()
        await desk.clock.advance(5)
        desk.script.publishes.put_nowait(change(4, 0))
        sample = await anext(desk.inbox)
        assert [(list(answer.tags), list(answer.values)) for answer in sample.answers] == [
            ([2], [2]),
            ([0], [0]),
            ([0, 2], [0, 2]),
        ]
        (loss,) = sample.losses
        assert (loss.from_ts, loss.to_ts, loss.tags) == (before, before + 5000, (0, 2))
        assert "1 notifications" in loss.reason

    await publishing(desk, check)


async def test_keep_alives_may_be_counted_by_odd_servers() -> None:
    """A keep-alive has the next number and uses none; servers that count it are not taken for losing data."""
    desk = Desk()
    made = await desk.publishing.create(1.0)
    assert [made.follow(step) for step in (change(1, 0), keep_alive(2), change(3, 0), change(4, 0))] == [0] * 4
    assert made.follow(change(6, 0)) == 1


async def test_an_undecodable_notification_makes_every_tag_be_read() -> None:
    """What it held is not known: all tags are said anew; the one that cannot be decoded is monitored no longer."""
    desk = Desk()
    made = await desk.publishing.create(1.0)
    await desk.items.monitor(made, nodes(0, 1, 2))
    desk.script.poison = {1}
    desk.script.publishes.put_nowait(AnswerUndecodable("rubbish"))
    desk.script.publishes.put_nowait(change(9, 2))

    async def check() -> None:
        await desk.inbox._ready.wait()
        await asyncio.sleep(0)
        values = await desk.heard()
        assert values[:2] == [[0], [2]]
        assert [(point.position, name_of(code)) for point, code, _ in desk.broken] == [(1, "BadDecodingError")]
        assert desk.script.forgotten == [(7, 101)], "it would break the next notification too"
        assert [loss.reason for loss in desk.lost] == ["a notification could not be decoded"]

    await publishing(desk, check)


async def test_a_subscription_the_server_gives_up_ends_the_connection() -> None:
    """StatusChangeNotification: its lifetime ran out, or somebody else took it."""
    desk = Desk()
    await desk.publishing.create(1.0)
    desk.script.publishes.put_nowait(Notification(7, 1, (), columns_of(()), ended=number_of("BadTimeout"), empty=False))

    async def check() -> None:
        with pytest.raises(ConnectionLost, match="BadTimeout"):
            await anext(desk.inbox)

    await publishing(desk, check)


async def test_strange_notifications_are_harmless() -> None:
    """Unknown subscriptions, client handles and changes of status to Good are passed over; what is ours is taken."""
    desk = Desk()
    await desk.publishing.create(1.0)
    desk.script.publishes.put_nowait(Notification(7, 1, (), columns_of(()), ended=0, empty=False))
    desk.script.publishes.put_nowait(change(1, 0, subscription=99))
    desk.script.publishes.put_nowait(change(2, 4_000_000_000, 3))

    async def check() -> None:
        assert await desk.heard() == [[3]]

    await publishing(desk, check)


async def test_a_server_with_few_publish_requests_gets_fewer() -> None:
    """BadTooManyPublishRequests ends one publisher, never the last; a timeout of the server is tried again."""
    desk = Desk()
    await desk.publishing.create(1.0)
    too_many = number_of("BadTooManyPublishRequests")
    async with asyncio.TaskGroup() as group:
        publishers = [group.create_task(desk.publishing.publish()) for _ in range(2)]
        await asyncio.sleep(0)
        desk.script.publishes.put_nowait(ServiceRefused(too_many, "publishing"))
        await asyncio.wait(publishers, return_when=asyncio.FIRST_COMPLETED)
        assert sum(task.done() for task in publishers) == 1
        desk.script.publishes.put_nowait(ServiceRefused(too_many, "publishing"))
        desk.script.publishes.put_nowait(change(1, 2))
        await desk.clock.advance(1.1)
        assert await desk.heard() == [[2]]
        for task in publishers:
            task.cancel()


async def test_nothing_is_asked_for_while_the_inbox_is_full() -> None:
    """Back-pressure reaches the server, which marks what overflows there; silence then is not its fault."""
    desk = Desk()
    made = await desk.publishing.create(1.0)
    for sequence in range(1, 9):
        desk.script.publishes.put_nowait(change(sequence, 0, 1, 2))

    async def check() -> None:
        await desk.clock.advance(3600)
        assert desk.script.publishes.qsize() == 6
        assert desk.inbox.full
        assert len(await desk.heard()) == 2
        await desk.clock.advance(0)
        assert made.heard == desk.clock.monotonic()

    await publishing(desk, check)


async def test_silence_is_measured_against_what_the_server_promised() -> None:
    """Nothing for one and a half keep-alives plus the timeout: publishing stopped."""
    desk = Desk()
    made = await desk.publishing.create(2.0)  # keep-alive 10 s
    assert made.allowed == 16.0
    async with asyncio.TaskGroup() as group:

        async def watch() -> str:
            with pytest.raises(ConnectionLost) as caught:
                await desk.publishing.watch()
            return str(caught.value)

        task = group.create_task(watch())
        await desk.clock.advance(10)
        made.heard = desk.clock.monotonic()
        await desk.clock.advance(15.9)
        assert not task.done()
        await desk.clock.advance(0.2)
        assert await task == "publishing stopped"


# --- errors of the library --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (
            ConnectionRefusedError(111, "Connect call failed ('10.0.0.1', 4840)"),
            ConnectionLost,
            ": Connection refused",
        ),
        (TimeoutError(), ConnectionLost, "no answer in time"),
        (ConnectionError("connection lost"), ConnectionLost, "connection lost"),
        (ua.uaerrors.BadSessionIdInvalid(), ConnectionLost, "BadSessionIdInvalid"),
        (ua.uaerrors.BadTooManyOperations(), TooLarge, "BadTooManyOperations"),
        (ua.uaerrors.BadEncodingLimitsExceeded(), TooLarge, "BadEncodingLimitsExceeded"),
        (ua.uaerrors.BadResponseTooLarge(), TooLarge, "BadResponseTooLarge"),
        (ua.uaerrors.BadTooManySessions(), TransientError, "BadTooManySessions"),
        (ua.uaerrors.BadCertificateUntrusted(), TransientError, "BadCertificateUntrusted.*trust the agent"),
        (ua.uaerrors.BadSecurityChecksFailed(), TransientError, "trust the agent"),
        (ua.uaerrors.BadCertificateTimeInvalid(), TransientError, "compare the two clocks"),
        (ua.uaerrors.BadCertificateUriInvalid(), TransientError, "application URI"),
        (ua.uaerrors.BadInvalidTimestamp(), TransientError, "the clocks of the server and this machine"),
        (ua.uaerrors.BadTcpEndpointUrlInvalid(), TransientError, "endpoint_url"),
        (ua.uaerrors.BadSecurityPolicyRejected(), TransientError, "BadSecurityPolicyRejected"),
        (ua.UaStatusCodeError(0x80990000), ServiceRefused, "BadConditionDisabled|Bad0x80990000"),
        (ValueError("bytes"), AnswerUndecodable, "cannot be decoded"),
    ],
)
def test_errors_are_named_by_what_to_do(error: Exception, kind: type[AgentError], words: str) -> None:
    """Each error of the library becomes one of ours, with words for an operator."""
    with pytest.raises(kind, match=words):
        raise translate(error, "doing", retry_after=5.0)


def test_a_right_the_user_lacks_costs_the_session_or_one_request() -> None:
    """While the session is made it is a matter for people; later it concerns what was asked for."""
    denied = ua.uaerrors.BadUserAccessDenied()
    assert not isinstance(translate(denied, "connecting", retry_after=5.0), ServiceRefused)
    assert isinstance(translate(denied, "reading"), ServiceRefused)
