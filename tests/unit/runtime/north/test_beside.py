"""The search for what a broker hangs up on ends after a bounded number of sessions, whatever the order of topics."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import permutations

import pytest

from agent.core.errors import ConnectionLost
from agent.core.flow import Message
from agent.runtime.north.beside import Beside
from agent.runtime.north.unwelcome import DROPS, Unwelcome
from agent.testing.clock import ManualClock
from agent.testing.publisher import PublisherScript, ScriptedSession

TOPICS = ("edge/agents/gw/status", "edge/d0/status", "edge/d0/tags", "edge/d1/status")


@asynccontextmanager
async def quiet() -> AsyncIterator[None]:
    yield


class Broker:
    """Takes everything but one topic: as soon as that is in flight it hangs up, and nothing else is answered."""

    def __init__(self, guilty: str) -> None:
        self.guilty = guilty
        self.clock = ManualClock()
        self.unwelcome = Unwelcome()
        self.sessions = 0

    async def session(self, topics: Sequence[str]) -> str | None:
        """One session of a dialogue that says all topics at once; what is left out after it."""
        self.sessions += 1
        session = ScriptedSession(PublisherScript(auto_ack=False), None, ())
        beside = Beside(session, self.unwelcome, self.clock, lambda _error: None)

        async def answers() -> None:
            await beside.say([Message(topic=topic, payload=b"x") for topic in topics])
            for _ in range(20):
                if any(session.sent[position].topic == self.guilty for position in session.in_flight):
                    session.drop(ConnectionLost("the broker hung up", blames=True))
                    return
                session.ack_all()
                await self.clock.advance(1.0)

        async with asyncio.TaskGroup() as group:
            tries = group.create_task(beside.second_tries(quiet, lambda: None))
            await answers()
            tries.cancel()
        return self.unwelcome.ended(heard=True, now=self.clock.monotonic())


@pytest.mark.parametrize("guilty", TOPICS)
async def test_the_search_ends_after_four_sessions_in_any_order(guilty: str) -> None:
    """Three hang-ups accuse all that was in flight; in the fourth session each is sent alone, and one is left out."""
    for order in permutations(TOPICS):
        broker = Broker(guilty)
        found = None
        while found is None and broker.sessions < 10:
            found = await broker.session(order)
        assert (found, broker.sessions) == (guilty, DROPS + 1)
        assert await broker.session(order) is None
        verdicts = {topic: broker.unwelcome.judge(topic, broker.clock.monotonic()) for topic in TOPICS}
        assert verdicts.pop(guilty) == "left out"
        assert "left out" not in verdicts.values()


async def test_what_others_sent_and_is_in_flight_is_waited_for() -> None:
    """A birth without acknowledgement counts until a round trip has proven it: till then nothing is sent alone."""
    clock, unwelcome = ManualClock(), Unwelcome()
    for _ in range(DROPS):
        unwelcome.session("")
        for topic in ("node", "device"):
            unwelcome.dropped(topic)
        unwelcome.ended(heard=True, now=clock.monotonic())
    session = ScriptedSession(PublisherScript(auto_ack=False), None, ())
    beside = Beside(session, unwelcome, clock, lambda _error: None)
    node = [Message(topic="node", payload=b"x")]

    async def alone(topic: str) -> asyncio.Future[None] | None:
        return None if topic == "node" else await session.send([Message(topic=topic, payload=b"x")])

    beside.said_alone = alone
    async with asyncio.TaskGroup() as group:
        tries = group.create_task(beside.second_tries(quiet, lambda: None))
        beside.watch(await session.send(node), node)
        await clock.advance(20.0)
        assert [message.topic for message in session.sent] == ["node"]
        session.ack_all()
        await clock.advance(1.0)
        assert [message.topic for message in session.sent] == ["node", "device"]
        tries.cancel()
