"""A broker that sends what nothing asked for: what is put up with, and when it is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from agent.core.errors import ConnectionLost
from agent.core.flow import Incoming, Message
from agent.core.ports import Publisher
from agent.publishers.mqtt.config import MqttConfig
from agent.publishers.mqtt.inbox import MOST as MOST_WAITING
from agent.publishers.mqtt.inbox import SessionInbox
from agent.publishers.mqtt.unasked import MOST, PER_SECOND, Unasked
from agent.testing.context import SimpleContext
from tests.support.mqtt_broker import FakeBroker, Publish
from tests.support.mqtt_packets import CONNACK, PINGREQ, PINGRESP, PUBACK, SUBACK, packet
from tests.support.waiting import eventually

STRAYS = {
    "SUBACK": packet(SUBACK, b"\0\1\0\1"),
    "PINGRESP": packet(PINGRESP, b""),
    "PUBACK": packet(PUBACK, b"\xff\xf0"),
    "PUBACK with properties": packet(PUBACK, b"\xff\xf0\0\0"),
    "PUBREC": packet(5, b"\0\1"),
    "PUBREL": packet(6, b"\0\1", 2),
    "UNSUBACK": packet(11, b"\0\1\0\0"),
    "PINGREQ": packet(PINGREQ, b""),
    "CONNACK": packet(CONNACK, b"\0\0\0"),
}


@pytest.fixture
async def broker() -> AsyncIterator[FakeBroker]:
    async with FakeBroker().serve() as running:
        yield running


def publisher(broker: FakeBroker) -> Publisher:
    config = {"type": "mqtt", "url": broker.url, "connect_timeout": "5s"}
    return MqttConfig.model_validate(config).build("plant", SimpleContext(agent="gw-01"))


@pytest.mark.parametrize("kind", STRAYS)
async def test_a_broker_that_floods_is_left_with_a_reason(broker: FakeBroker, kind: str) -> None:
    """A few of these packets are put up with, and answered by nothing; too many end the session."""
    async with publisher(broker).open(None, ["c/#"]) as session:
        broker.send(STRAYS[kind] * 10)
        await asyncio.wait_for(await session.send([Message(topic="t/1", payload=b"x")]), 20)
        broker.send(STRAYS[kind] * 3 * MOST)
        with pytest.raises(ConnectionLost, match="the broker floods: more than 1,000 packets"):
            await asyncio.wait_for(session.closed(), 20)
    assert broker.goodbyes == []


async def test_a_flood_instead_of_an_answer_says_nothing_of_the_subscription(broker: FakeBroker) -> None:
    """It is asked for again each time: a broker that was put right is heard."""
    broker.script.suback = None
    made = publisher(broker)

    async def fails() -> None:
        with pytest.raises(ConnectionLost, match="the broker floods"):
            async with made.open(None, ["c/#"]):
                pass

    for _ in range(4):
        broker.subscribed.clear()
        async with asyncio.TaskGroup() as group:
            group.create_task(fails())
            await eventually(lambda: broker.subscribed == ["c/#"])
            broker.send(STRAYS["PINGRESP"] * 3 * MOST)


async def test_a_broker_that_says_everything_twice_is_put_up_with(
    broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much is said to it: each of its strays goes with an answer."""
    monkeypatch.setattr("agent.publishers.mqtt.unasked.MOST", 20)
    monkeypatch.setattr("agent.publishers.mqtt.unasked.PER_SECOND", 0)

    def twice(one: Publish) -> int:
        broker.send(packet(PUBACK, one.mid.to_bytes(2, "big")))
        return 0

    broker.script.puback = twice
    async with publisher(broker).open(None, ["c/#"]) as session:
        await asyncio.wait_for(await session.send([Message(topic="t/1", payload=b"x")] * 50), 20)
        await asyncio.wait_for(await session.send([Message(topic="t/1", payload=b"x")]), 20)
    assert len(broker.links) == 1


def test_answers_are_counted_against_what_was_asked() -> None:
    """Ten pings may be answered ten times; what is put up with comes back with time."""
    unasked = Unasked()
    for _ in range(10):
        unasked.pinged()
    assert [unasked.lawful(0xD0, 100.0) for _ in range(11)] == [True] * 10 + [False]
    for _ in range(MOST - 1):
        unasked.came(100.0)
    assert unasked.breach is None
    for second in range(101, 110):
        for _ in range(PER_SECOND):
            unasked.came(float(second))
    assert unasked.breach is None
    unasked.came(109.0)
    assert unasked.breach is not None


async def test_messages_beyond_all_sense_are_told_and_leave_the_loop_to_others() -> None:
    """The oldest go, by name; of the others only a few are handed out before the loop has its time."""
    inbox = SessionInbox("plant", lambda: 1000.0)
    with capture_logs() as logs:
        for number in range(MOST_WAITING + 500):
            inbox.put(Incoming(topic="t/\u202e", payload=str(number).encode()))
    assert [(log["event"], log["publisher"], log["topic"]) for log in logs] == [
        ("mqtt.incoming_crowded", "plant", "t/\u202e")
    ]
    taken: list[bytes] = []

    async def take() -> None:
        async for incoming in inbox.all():
            taken.append(incoming.payload)  # noqa: PERF401 - looked at meanwhile

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(take())
        await asyncio.sleep(0)
        assert 0 < len(taken) < 50
        inbox.close()  # what is here is handed out all the same
    assert [int(payload) for payload in taken] == list(range(500, MOST_WAITING + 500))
