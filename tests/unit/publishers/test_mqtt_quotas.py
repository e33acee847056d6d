"""PUBACK 0x97: the connection is too fast, or what lies behind one topic is full."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agent.core.errors import Refused
from agent.core.flow import Limits, Message
from agent.publishers.mqtt.quotas import Quotas
from agent.publishers.mqtt.session import MqttSession
from tests.unit.publishers.test_mqtt_alive import SlowBox

MOMENT = 5.0
ALONE = 60.0


class Answers:
    """A session whose broker answers at once with what a test says."""

    def __init__(self) -> None:
        self.now = 1000.0
        limits = Limits(protocol="5", window=20, keep_alive=30)
        self.session = MqttSession(SlowBox(), limits, "plant", monotonic=lambda: self.now)
        self._mid = 0

    async def say(self, topic: str, code: int = 0x97, *, retain: bool = False) -> float | None:
        """How long it is to wait; None: taken."""
        self.now += 0.5
        outcome = await self.session.send([Message(topic=topic, payload=b"x", retain=retain)])
        self._mid = next(iter(self.session._flying))
        self.session.acknowledged([(self._mid, code)])
        error = outcome.exception()
        if error is None:
            return None
        assert isinstance(error, Refused)
        return error.retry_after


@asynccontextmanager
async def answers() -> AsyncIterator[Answers]:
    made = Answers()
    try:
        yield made
    finally:
        made.session._watchdog.cancel()


async def test_a_full_queue_behind_one_topic_holds_up_nothing_else() -> None:
    """The third time it is the topic: long enough to wait alone, and the rate comes back. A second topic is sooner."""
    async with answers() as one:
        waits = []
        for _ in range(4):
            waits.append(await one.say("full"))
            assert await one.say("other", 0) is None
            one.now += MOMENT
        assert waits == [MOMENT, MOMENT, ALONE, ALONE]
        assert one.session.pace.rate is None
        for wanted in (MOMENT, ALONE):
            assert await one.say("full too") == wanted
            assert await one.say("other", 0) is None
            one.now += MOMENT
        assert one.session.pace.rate is None
        assert await one.say("full", 0) is None  # somebody emptied it
        assert await one.say("full") == MOMENT


async def test_a_retained_message_is_sent_again_soon_all_the_same() -> None:
    """Nothing waits behind it; but it says nothing of the rate."""
    async with answers() as one:
        for _ in range(4):
            assert await one.say("status", retain=True) == MOMENT
            assert await one.say("other", 0) is None
            one.now += MOMENT
        assert one.session.pace.rate is None


def test_a_connection_that_is_too_fast() -> None:
    """All in flight refused at once, nothing taken at all, or now this topic and now that one."""
    at_once, nothing, turns = Quotas(), Quotas(), Quotas()
    assert not any(at_once.refused("a", 1.0 + i / 100) for i in range(20))
    assert not any(nothing.refused("a", float(now)) for now in range(20))
    for now in range(0, 40, 4):
        for topic, other in (("a", "b"), ("b", "a")):
            assert not turns.refused(topic, float(now))
            turns.taken(other, now + 1.0)
