"""What is learned of a broker: kept over a restart, for each broker by itself, and forgotten in the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
from structlog.testing import capture_logs

from agent.core.errors import ConnectionLost, PermanentError, TransientError
from agent.core.flow import Message
from agent.outbox.memo import CachedMemo
from agent.publishers.mqtt.broker import KEPT_FOR, SLOW_FOR, Brokers
from agent.publishers.mqtt.config import MqttConfig
from agent.publishers.mqtt.hangups import End
from agent.publishers.mqtt.pace import SLOWEST, Pace
from agent.publishers.mqtt.publisher import MqttPublisher
from agent.testing.clock import ManualClock
from agent.testing.context import SimpleContext
from tests.support.mqtt_broker import FakeBroker, Script
from tests.support.mqtt_packets import properties
from tests.support.waiting import eventually, never

TOO_LARGE = End(hung_up=True, lasted=100.0, largest_flying=9000, largest_taken=300)


@pytest.fixture
async def broker() -> AsyncIterator[FakeBroker]:
    async with FakeBroker().serve() as running:
        yield running


@pytest.fixture
async def second() -> AsyncIterator[FakeBroker]:
    async with FakeBroker().serve() as running:
        yield running


def publisher(broker: FakeBroker, *others: FakeBroker, **keys: object) -> MqttPublisher:
    config = {"type": "mqtt", "url": broker.url, "other_urls": [one.url for one in others], "connect_timeout": "5s"}
    made = MqttConfig.model_validate(config | keys).build("plant", SimpleContext(agent="gw-01"))
    assert isinstance(made, MqttPublisher)
    return made


def message(payload: bytes = b"x", **keys: Any) -> Message:
    return Message(topic="t/1", payload=payload, **keys)


def brokers(memo: CachedMemo, clock: ManualClock, *names: str) -> Brokers:
    made = Brokers(names or ("b:1883",), "plant", clock)
    made.recall(memo)
    return made


def events(logs: list[Any], level: str = "warning") -> list[str]:
    return [log["event"] for log in logs if log["log_level"] == level]


# --- kept -------------------------------------------------------------------------------------------------------------


def test_the_search_for_a_limit_goes_on_after_a_restart() -> None:
    """Hang-ups of three runs count as three in a row; what a run has learned the next one begins with."""
    memo, clock = CachedMemo(), ManualClock()
    for number in range(3):
        run = brokers(memo, clock)
        run.of(0).ended(TOO_LARGE._replace(largest_taken=300 if not number else 0), clock.now_ms())
        run.keep()
    assert brokers(memo, clock).of(0).learned.max_packet == 4500


def test_each_broker_is_known_by_itself() -> None:
    """The second of a list does not pay for the first; one that is no longer configured is forgotten."""
    memo, clock = CachedMemo(), ManualClock()
    run = brokers(memo, clock, "a:1883", "b:1883")
    run.of(0).said_goodbye(0x93, window=20, largest=0, rate=5, now=clock.now_ms())
    run.of(1).said_goodbye(0x9A, window=20, largest=0, rate=5, now=clock.now_ms())
    run.keep()
    run = brokers(memo, clock, "c:1883", "b:1883", "a:1883")
    assert [run.of(turn).learned.window for turn in range(3)] == [None, None, 10]
    assert [run.of(turn).without("retain") for turn in range(3)] == [False, True, False]
    brokers(memo, clock, "c:1883").keep()
    assert memo.get("mqtt.brokers") is None


def test_what_was_learned_long_ago_is_forgotten() -> None:
    """After a week a broker gets another chance; a clock that is not set yet, and shows the past, changes nothing."""
    memo, clock = CachedMemo(), ManualClock()
    run = brokers(memo, clock)
    run.of(0).said_goodbye(0x95, window=20, largest=9000, rate=5, now=clock.now_ms())
    run.keep()
    for moved, limit in ((0, 4500), (-KEPT_FOR * 10, 4500), (KEPT_FOR * 11 - 1, 4500), (1, None)):
        clock.step_wall(moved / 1000)
        assert brokers(memo, clock).of(0).learned.max_packet == limit
        assert run.of(0).learned.max_packet == limit


@pytest.mark.parametrize(
    "kept",
    [b"\xff", b"[]", b'{"version":2,"brokers":{"b:1883":{"window":1}}}', b'{"version":1,"brokers":{"b:1883":7}}'],
)
def test_a_note_nobody_can_read_is_left(kept: bytes) -> None:
    """Damaged, or of another version: what it knew is learned anew."""
    memo, clock = CachedMemo(), ManualClock()
    memo.put("mqtt.brokers", kept)
    assert brokers(memo, clock).of(0).learned.window is None


async def test_over_the_wire_and_a_restart(broker: FakeBroker) -> None:
    """DISCONNECT 0x93 halves the window, 0x95 the packets; another process knows."""
    memo = CachedMemo()
    for code, payload in ((0x93, b"x"), (0x95, bytes(9000))):
        made = publisher(broker)
        made.recall(memo)
        broker.script = Script(hold=True)
        async with made.open(None, []) as session:
            await session.send([message(payload)])
            broker.disconnect(code)
            with pytest.raises(ConnectionLost):
                await asyncio.wait_for(session.closed(), 5)
    made = publisher(broker)
    made.recall(memo)
    async with made.open(None, []) as session:
        assert session.limits.window == 10
        assert 4400 < (session.limits.max_packet_bytes or 0) < 4600


async def test_what_a_silent_close_means_is_known_over_a_restart(broker: FakeBroker) -> None:
    """Three closes in one run; the next one speaks 3.1.1 at its first connection, and 5 as soon as the broker does."""
    memo = CachedMemo()
    broker.script = Script(hang_up=("5",))
    for opens in (False, False, True, True):
        made = publisher(broker)
        made.recall(memo)
        if opens:
            async with made.open(None, []) as session:
                assert session.limits.protocol == "3.1.1"
        else:
            with pytest.raises(ConnectionLost):
                async with made.open(None, []):
                    pass
    assert [one.version for one in broker.connects] == ["5", "5", "5", "3.1.1", "5", "3.1.1"]
    broker.script = Script()
    async with made.open(None, []) as session:
        assert session.limits.protocol == "5"
    assert publisher(broker)._brokers.of(0).learned.silent == 0


# --- rate -------------------------------------------------------------------------------------------------------------


def test_pace() -> None:
    """A fifth of a second's worth at once, then evenly; the peak is what was sent in the busiest second."""
    pace = Pace(20.0)
    assert [pace.early(100.0) > 0 for _ in range(5)] == [False] * 4 + [True]
    assert [round(pace.early(100.0), 2) for _ in range(2)] == [0.1, 0.15]
    assert pace.early(200.0) < 0
    assert Pace(None).early(1.0) == 0
    for now in (1.0, 1.5, 2.0, 2.1, 2.9, 3.0):
        pace.sent(now)
    assert pace.peak == 3
    for _ in range(3):
        pace.halve(4.0)
    assert pace.rate == SLOWEST


def test_a_rate_that_was_halved_comes_back() -> None:
    """A tenth more every 10 s without a complaint, to what is set at most: a faster plant would lag for ever."""
    for most in (None, 60.0):
        pace = Pace(most)
        for _ in range(80):
            pace.sent(1.0)
        pace.halve(2.0)
        halved = pace.rate
        assert halved == (40.0 if most is None else 30.0)
        pace.early(11.0)
        assert pace.rate == halved
        for now in range(12, 130):
            pace.early(float(now))
        assert pace.rate is not None
        assert pace.rate == most or (most is None and pace.rate > 80)


def test_a_broker_nobody_knows_is_approached_slowly() -> None:
    """Forty messages a second, then 75, then as they come; a rate that is set holds all the time."""
    for rate, expected in ((None, [48, 40, 75, 75, 75]), (60.0, [48, 40, 60, 60, 60])):
        pace, now, went = Pace(rate, ramp=True), 100.0, [0] * 5
        while now < 105.0:
            now += max(0.0, pace.early(now))
            if now < 105.0:
                went[int(now - 100.0)] += 1
        assert all(abs(one - most) <= 12 for one, most in zip(went, expected, strict=True)), went
        assert [pace.early(106.0) for _ in range(200)][-1] > 0 if rate else not pace.early(106.0)


def test_slowness_is_bounded() -> None:
    """Halved as often as the broker complains, not below a floor, and over after an hour, restart or not."""
    memo, clock = CachedMemo(), ManualClock()
    run = brokers(memo, clock)
    for peak, rate in ((100, 50), (50, 25), (80, 12.5), (12, SLOWEST), (0, SLOWEST)):
        run.of(0).said_goodbye(0x96, window=20, largest=0, rate=peak, now=clock.now_ms())
        assert run.of(0).learned.rate == rate
    run.keep()
    clock.step_wall(SLOW_FOR / 1000 - 1)
    assert brokers(memo, clock).of(0).learned.rate == SLOWEST
    clock.step_wall(2)
    assert brokers(memo, clock).of(0).learned.rate is None
    assert run.of(0).learned.rate is None


async def test_a_rate_that_is_too_high_is_halved(broker: FakeBroker) -> None:
    """After 0x96 the next session sends at half the rate that was too high, and says so."""
    made = publisher(broker)
    with capture_logs() as logs:
        async with made.open(None, []) as session:
            assert session.limits.max_rate is None
            await asyncio.wait_for(await session.send([message() for _ in range(40)]), 5)
            broker.disconnect(0x96)
            with pytest.raises(TransientError, match="rate too high"):
                await asyncio.wait_for(session.closed(), 5)
    assert events(logs) == ["mqtt.rate_learned"]
    async with made.open(None, []) as session:
        rate = session.limits.max_rate
        assert rate is not None
        assert 10 <= rate <= 20  # 20, where the 40 went within one second
        half_more = round(rate * 1.5)
        began = asyncio.get_running_loop().time()
        await asyncio.wait_for(await session.send([message() for _ in range(half_more)]), 10)
        assert asyncio.get_running_loop().time() - began >= (half_more - rate - 1) / rate


async def test_a_session_that_ends_wakes_who_is_early(broker: FakeBroker) -> None:
    """Waiting for its turn, a sender learns at once that the connection is gone."""
    made = publisher(broker)
    learned = made._brokers.of(0).learned
    learned.rate, learned.slow_since = 0.01, made._clock.now_ms()
    async with asyncio.timeout(10), made.open(None, []) as session, asyncio.TaskGroup() as group:
        await session.send([message()])

        async def early() -> None:
            with pytest.raises(ConnectionLost):
                await session.send([message()])

        group.create_task(early())
        await asyncio.sleep(0)
        broker.drop()


# --- QoS --------------------------------------------------------------------------------------------------------------


async def test_a_broker_that_takes_no_qos_1_has_to_prove_that_it_reads(broker: FakeBroker) -> None:
    """Maximum QoS 0: written is not delivered. The record waits for the answer to a later PINGREQ; said once."""
    broker.script = Script(connack_properties=properties(max_qos=0), pong=False)
    made = publisher(broker)
    with capture_logs() as logs:
        async with made.open(None, []) as session:
            sent = await session.send([message()])
            plain = await session.send([message(qos=0)])
            await asyncio.wait_for(plain, 5)
            await eventually(lambda: broker.pings)
            assert not sent.done()
            broker.send(b"\xd0\x00")
            await asyncio.wait_for(sent, 5)
        async with made.open(None, []):
            pass
    assert events(logs) == ["mqtt.qos_lowered"]


async def test_without_qos_1_the_window_holds_what_is_not_proven(broker: FakeBroker) -> None:
    """No more than the window can come twice: the next message waits for the proof of the first."""
    broker.script = Script(connack_properties=properties(max_qos=0), pong=False)
    async with publisher(broker, window=4).open(None, []) as session, asyncio.TaskGroup() as group:
        sending = group.create_task(session.send([message() for _ in range(9)]))
        for written in (4, 8, 9):
            await eventually(partial(lambda so_many: len(broker.published) == so_many and broker.pings, written))
            await never(partial(lambda so_many: len(broker.published) > so_many, written), 0.05)
            broker.pings = 0
            broker.send(b"\xd0\x00")
        await asyncio.wait_for(await sending, 5)


# --- a list of brokers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [0x97, 0x99])
async def test_the_next_broker_need_not_wait_for_what_the_first_wants(
    broker: FakeBroker, second: FakeBroker, code: int
) -> None:
    """A refusal makes us wait only once every broker of the list has refused."""
    broker.script = second.script = Script(connack=code)
    made = publisher(broker, second)
    waits: list[float | None] = []
    for one in (broker, second, broker):
        with pytest.raises((TransientError, PermanentError), match=rf"^127\.0\.0\.1:{one.port}: .*0x") as caught:
            async with made.open(None, []):
                pass
        waits.append(getattr(caught.value, "retry_after", 300.0))
    assert waits == [None, 60.0 if code == 0x97 else 300.0, None]
    broker.script = second.script = Script()
    for one in (second, broker):
        async with made.open(None, []) as session:
            assert session.limits.server.endswith(str(one.port))


async def test_one_broker_of_a_list_speaks_3_1_1_only(broker: FakeBroker, second: FakeBroker) -> None:
    """Each is spoken to as it can; the blind one is named, once."""
    second.script = Script(speaks=("3.1.1",))
    made = publisher(broker, second)
    versions = []
    with capture_logs() as logs:
        for _ in range(4):
            async with made.open(None, []) as session:
                versions.append(session.limits.protocol)
    assert versions == ["5", "3.1.1", "5", "3.1.1"]
    [line] = [log for log in logs if log["event"] == "mqtt.version_fallback"]
    assert line["broker"] == f"127.0.0.1:{second.port}"
    assert "acknowledged and dropped" in line["blind"]


# --- said once --------------------------------------------------------------------------------------------------------


async def test_the_fallback_is_said_again_after_it_was_over(broker: FakeBroker) -> None:
    """A broker that spoke 5 in between and does no longer is news."""
    made = publisher(broker)
    with capture_logs() as logs:
        for speaks in (("3.1.1",), ("3.1.1",), ("5",), ("3.1.1",)):
            broker.script = Script(speaks=speaks)
            async with made.open(None, []):
                pass
    assert events(logs) == ["mqtt.version_fallback"] * 2


async def test_a_takeover_the_broker_tells_of_is_an_alarm(broker: FakeBroker) -> None:
    """0x8E is said once, however often the two throw each other out."""
    made = publisher(broker)
    with capture_logs() as logs:
        for _ in range(3):
            async with made.open(None, []) as session:
                broker.disconnect(0x8E)
                with pytest.raises(TransientError, match="took over our client_id") as caught:
                    await asyncio.wait_for(session.closed(), 5)
                assert caught.value.retry_after == 60
    assert events(logs, "error") == ["mqtt.taken_over"]


async def test_a_refused_subscription_is_said_once(broker: FakeBroker) -> None:
    """Not at every connection."""
    broker.script = Script(suback=0x87)
    made = publisher(broker)
    with capture_logs() as logs:
        for _ in range(3):
            async with made.open(None, ["c/#"]):
                pass
    assert events(logs) == ["mqtt.subscribe_refused"]
