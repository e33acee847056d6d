"""What Sparkplug needs of the publisher: a will per CONNECT packet, and proof of delivery at QoS 0."""

from __future__ import annotations

import asyncio

import pytest

from agent.core.errors import ConnectionLost
from agent.core.flow import Message
from agent.publishers.mqtt.config import MqttConfig
from agent.testing.context import SimpleContext
from tests.support.mqtt_broker import FakeBroker, Script
from tests.support.ports import free_port
from tests.support.waiting import eventually, never


def publisher(url: str, **keys):
    return MqttConfig.model_validate({"type": "mqtt", "url": url, **keys}).build("plant", SimpleContext())


class Wills:
    """Counts how often a will was asked for."""

    def __init__(self) -> None:
        self.made = 0

    async def __call__(self) -> Message:
        await asyncio.sleep(0)
        self.made += 1
        return Message(topic="w", payload=str(self.made).encode(), qos=1)


async def test_each_connect_packet_has_a_will_of_its_own():
    """Falling back to 3.1.1 sends two CONNECTs with two wills."""
    wills = Wills()
    async with FakeBroker(Script(speaks=["3.1.1"])).serve() as broker:
        async with publisher(broker.url).open(wills, []) as session:
            assert session.limits.protocol == "3.1.1"
        assert [connect.will_payload for connect in broker.connects] == [b"1", b"2"]


async def test_no_will_is_made_where_nobody_is_reached():
    """Without a connection no CONNECT is sent, and nobody asks for a will."""
    wills = Wills()
    with pytest.raises(ConnectionLost):
        async with publisher(f"mqtt://127.0.0.1:{free_port()}").open(wills, []):
            pass
    assert wills.made == 0


async def test_an_answer_to_a_later_ping_proves_what_was_written_at_qos_0():
    """A message that wants proof is acknowledged after the PINGRESP, not when it is written."""
    async with FakeBroker(Script(pong=False)).serve() as broker, publisher(broker.url).open(None, []) as session:
        proven = await session.send([Message(topic="t", payload=b"1", qos=0, proof=True)])
        plain = await session.send([Message(topic="t", payload=b"2", qos=0)])
        await asyncio.wait_for(plain, 5)
        await eventually(lambda: broker.pings == 1)
        assert not proven.done()
        broker.send(b"\xd0\x00")
        await asyncio.wait_for(proven, 5)


async def test_a_puback_proves_what_was_written_before_it():
    """The broker reads in order: who answers a later message has read the earlier ones."""
    script = Script(pong=False, hold=True)
    async with FakeBroker(script).serve() as broker, publisher(broker.url).open(None, []) as session:
        before = await session.send([Message(topic="t", payload=b"1", qos=0, proof=True)])
        asked = await session.send([Message(topic="t", payload=b"2")])
        after = await session.send([Message(topic="t", payload=b"3", qos=0, proof=True)])
        await eventually(lambda: len(broker.published) == 3)
        assert not before.done()
        broker.ack(broker.waiting[0])
        await asyncio.wait_for(asyncio.gather(before, asked), 5)
        await never(after.done, 0.05)


async def test_what_was_not_proven_fails_with_the_connection():
    """Written is not read: without an answer the message counts as lost."""
    async with FakeBroker(Script(pong=False)).serve() as broker, publisher(broker.url).open(None, []) as session:
        future = await session.send([Message(topic="t", payload=b"1", qos=0, proof=True)])
        await eventually(lambda: broker.pings == 1)
        broker.drop()
        with pytest.raises(ConnectionLost):
            await asyncio.wait_for(future, 30)


async def test_many_messages_need_few_pings():
    """One PINGREQ proves a burst."""
    async with FakeBroker().serve() as broker:
        made = publisher(broker.url)
        made._brokers.of(0).learned.fast = True  # else it is approached slowly
        await _burst(made, broker)


async def _burst(made, broker):
    async with made.open(None, []) as session:
        sent = [await session.send([Message(topic="t", payload=b"x", qos=0, proof=True)]) for _ in range(200)]
        await asyncio.wait_for(asyncio.gather(*sent), 5)
        assert broker.pings <= 3
