"""A broker that says nothing: hang-ups without a reason, acknowledgements that never come, nobody who listens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from agent.core.errors import ConnectionLost, Refused, TransientError
from agent.core.flow import Limits, Message
from agent.core.ports import Publisher
from agent.publishers.mqtt import hangups
from agent.publishers.mqtt.config import MqttConfig
from agent.publishers.mqtt.hangups import End, Hangups
from agent.publishers.mqtt.link import Disconnection
from agent.publishers.mqtt.packet import Packet
from agent.publishers.mqtt.session import MqttSession
from agent.testing.context import SimpleContext
from tests.support.mqtt_broker import FakeBroker, Publish, Script
from tests.support.waiting import eventually


@pytest.fixture
async def broker() -> AsyncIterator[FakeBroker]:
    async with FakeBroker().serve() as running:
        yield running


def publisher(broker: FakeBroker, **keys: object) -> Publisher:
    config = {"type": "mqtt", "url": broker.url, "connect_timeout": "5s", **keys}
    return MqttConfig.model_validate(config).build("plant", SimpleContext(agent="gw-01"))


def message(topic: str = "t/1", payload: bytes = b"x", **keys: Any) -> Message:
    return Message(topic=topic, payload=payload, **keys)


# --- what hang-ups mean -----------------------------------------------------------------------------------------------


def test_a_limit_is_learned_from_what_was_never_taken() -> None:
    """Three hang-ups on a packet larger than any taken halve it; never below what was taken, never from dead links."""
    silent = Hangups()
    large = End(hung_up=True, lasted=100.0, largest_flying=9000, largest_taken=300)
    assert [silent.ended(large).limit for _ in range(4)] == [None, None, 4500, None]
    silent = Hangups()
    taken = large._replace(largest_taken=8000)
    assert [silent.ended(taken).limit for _ in range(3)] == [None, None, 8000]
    for harmless in (
        large._replace(hung_up=False),
        large._replace(largest_taken=9000),
        large._replace(largest_flying=0),
    ):
        silent = Hangups()
        assert not any(silent.ended(harmless).limit for _ in range(10))
    silent.ended(large)


def test_a_size_is_not_blamed_for_what_a_topic_may_be() -> None:
    """Several topics in flight prove nothing: two ends with one alone do, unless another of that size was taken."""
    among = End(hung_up=True, lasted=1.0, largest_flying=9000, largest_taken=300, sole=False)
    alone = among._replace(sole=True)
    silent = Hangups()
    assert [silent.ended(end).limit for end in (*[among] * 9, alone, alone, among, among)] == [None] * 10 + [
        4500, None, 4500,
    ]  # fmt: skip
    silent = Hangups()
    for end in (*[among] * 3, alone, alone._replace(largest_taken=9000), *[alone] * 9):
        assert silent.ended(end).limit is None


def test_a_rival_is_said_once_and_then_avoided() -> None:
    """Sessions that end soon, idle, while connecting works: a rival. A broker that is away in between explains it."""
    silent = Hangups()
    short = End(hung_up=True, lasted=2.0, largest_flying=0, largest_taken=300)
    verdicts = [silent.ended(short) for _ in range(8)]
    assert [one.rival for one in verdicts] == [False, False, True, False, False, False, False, False]
    assert [one.keep_away for one in verdicts] == [None] * 5 + [hangups.KEEP_AWAY] * 3
    assert silent.ended(short._replace(lasted=600.0)).keep_away is None
    for _ in range(10):
        assert not silent.ended(short).rival
        silent.failed()
    busy = Hangups()
    assert not any(busy.ended(short._replace(largest_flying=300)).rival for _ in range(10))


async def test_a_silent_size_limit_is_learned_on_the_wire(broker: FakeBroker) -> None:
    """MQTT 3.1.1, and a broker that closes on large packets: the fourth session has a limit, and it was said."""

    def judge(one: Publish) -> int | None:
        if one.size > 5000:
            broker.drop_soon()
            return None
        return 0

    broker.script = Script(puback=judge)
    made = publisher(broker, version="3.1.1")
    with capture_logs() as logs:
        for _ in range(3):
            async with made.open(None, []) as session:
                assert session.limits.max_packet_bytes is None
                await asyncio.wait_for(await session.send([message()]), 5)
                large = await session.send([message(payload=bytes(9000))])
                with pytest.raises(ConnectionLost, match="without a word") as caught:
                    await asyncio.wait_for(session.closed(), 5)
                assert caught.value.blames
                error = large.exception()
                assert isinstance(error, ConnectionLost)
                assert error.blames
        async with made.open(None, []) as session:
            assert 4000 < (session.limits.max_packet_bytes or 0) < 5000
    assert [log["event"] for log in logs if log["log_level"] == "warning"] == [
        "mqtt.version_fallback", "mqtt.limit_learned",
    ]  # fmt: skip


async def test_a_rival_under_our_client_id_is_named(broker: FakeBroker) -> None:
    """A broker that closes each session at once: said once as a takeover, and then we keep away for a minute."""
    made = publisher(broker)
    with capture_logs() as logs:
        for number in range(7):
            async with made.open(None, []) as session:
                broker.drop_soon()
                with pytest.raises(TransientError) as caught:
                    await asyncio.wait_for(session.closed(), 5)
            assert caught.value.retry_after == (60 if number >= 5 else None)
    assert "another client probably uses our client_id" in str(caught.value)
    assert [log for log in logs if log["event"] == "mqtt.taken_over"] == [
        {"event": "mqtt.taken_over", "log_level": "error", "component": "mqtt", "publisher": "plant",
         "client_id": "gw-01-plant"},
    ]  # fmt: skip


async def test_3_1_1_s_blind_spots_are_said_once(broker: FakeBroker) -> None:
    """`version: "3.1.1"` says at the first connection what that version cannot tell."""
    made = publisher(broker, version="3.1.1")
    with capture_logs() as logs:
        for _ in range(3):
            async with made.open(None, []):
                pass
    assert [log["event"] for log in logs] == ["mqtt.version_fallback"]


# --- acknowledgements that never come ---------------------------------------------------------------------------------


class DeadLetterBox:
    """A link that takes everything."""

    def __init__(self) -> None:
        self.session: MqttSession | None = None
        self.mid = 0

    def publish(self, packet: Packet, payload: bytes) -> int:
        del packet, payload
        self.mid += 1
        return self.mid

    def ping(self) -> None:
        pass

    def abort(self, why: str = "") -> None:
        assert self.session is not None
        self.session.lost(Disconnection(why))


@pytest.mark.parametrize(("others", "words"), [(False, "nothing for 0.06 s"), (True, "a message for 0.2 s")])
async def test_a_missing_acknowledgement_ends_the_session(others: bool, words: str) -> None:
    """Nothing acknowledged for three keep-alives, or one message forgotten for ten: a reconnect brings it again."""
    link, clock = DeadLetterBox(), [0.0]
    limits = Limits(protocol="5", window=20, keep_alive=0.02)
    session = link.session = MqttSession(link, limits, "plant", monotonic=lambda: clock[0])
    forgotten = await session.send([message()])
    async with asyncio.timeout(10):
        while not forgotten.done():
            if others:
                await session.send([message()])
                session.acknowledged([(link.mid, 0)])
            clock[0] += 0.001  # a turn of the loop: a busy machine is no silent broker
            await asyncio.sleep(0)
    with pytest.raises(ConnectionLost, match=words) as caught:
        await forgotten
    assert not caught.value.blames


async def test_answered_pings_do_not_excuse_a_stuck_broker(broker: FakeBroker) -> None:
    """On the wire: PINGRESP come, PUBACKs do not; the session ends by itself."""
    broker.script = Script(hold=True)
    async with publisher(broker, keep_alive="1s").open(None, []) as session:
        await session.send([message()])
        with pytest.raises(ConnectionLost, match="acknowledged nothing"):
            await asyncio.wait_for(session.closed(), 10)
        assert broker.pings


# --- nobody subscribes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hold", [False, True])
async def test_nobody_subscribes(broker: FakeBroker, hold: bool) -> None:
    """PUBACK 0x10 is a success, or with `on_no_subscriber: hold` a refusal for now; retained messages are taken."""
    broker.script = Script(puback=0x10)
    keys = {"on_no_subscriber": "hold"} if hold else {}
    async with publisher(broker, **keys).open(None, []) as session:
        await asyncio.wait_for(await session.send([message(retain=True)]), 5)
        outcome = await session.send([message()])
        if not hold:
            await asyncio.wait_for(outcome, 30)
            return
        with pytest.raises(Refused, match="nobody subscribes to t/1") as caught:
            await asyncio.wait_for(outcome, 30)
        assert (caught.value.retry_after, caught.value.attempts) == (30, None)
        await eventually(lambda: len(broker.published) == 2)
