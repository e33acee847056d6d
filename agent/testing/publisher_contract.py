"""What every publisher must do. Subclass PublisherContract in a test module and give a `bench` fixture."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Protocol

import pytest

from agent.core.errors import ConnectionLost, TransientError
from agent.core.flow import Message
from agent.core.ports import Publisher
from agent.core.posting import Prompt


class PublisherBench(Protocol):
    """A publisher and the other end of it."""

    publisher: Publisher

    async def received(self, count: int) -> Sequence[tuple[str, bytes]]:
        """Topic and payload of what reached the broker's side from `t/…`, once `count` have (with a deadline)."""

    def cut(self) -> None:
        """Break the connection without a word."""

    def deliver(self, topic: str, payload: bytes) -> Awaitable[None] | None:
        """Somebody else publishes."""


WILL = Message(topic="w/status", payload=b"offline", retain=True)


def _numbered(count: int) -> list[Message]:
    return [Message(topic=f"t/{n}", payload=str(n).encode()) for n in range(count)]


class PublisherContract:
    """See `agent.core.ports.Publisher` and `Session`."""

    async def test_limits_are_known_when_open(self, bench: PublisherBench) -> None:
        """An open session knows the version and a window of at least one."""
        async with bench.publisher.open(WILL, []) as session:
            assert session.limits.window >= 1
            assert session.limits.protocol

    async def test_a_future_completes_when_the_broker_has_it(self, bench: PublisherBench) -> None:
        """What was sent arrives, and its future completes."""
        async with bench.publisher.open(WILL, []) as session:
            await asyncio.wait_for(await session.send(_numbered(3)), 5)
            assert await bench.received(3) == [("t/0", b"0"), ("t/1", b"1"), ("t/2", b"2")]

    async def test_order_is_kept_beyond_the_window(self, bench: PublisherBench) -> None:
        """More messages than the window holds arrive in order, in one call and over many."""
        async with bench.publisher.open(None, []) as session:
            messages = _numbered(3 * session.limits.window)
            pending = [await session.send(messages[:1])]
            pending += [await session.send(messages[1:])]
            await asyncio.wait_for(asyncio.gather(*pending), 10)
            received = await bench.received(len(messages))
            assert [topic for topic, _ in received] == [message.topic for message in messages]

    async def test_nothing_to_send_is_done(self, bench: PublisherBench) -> None:
        """An empty bundle completes at once."""
        async with bench.publisher.open(None, []) as session:
            await asyncio.wait_for(await session.send([]), 5)

    async def test_what_can_go_at_once_may_be_posted(self, bench: PublisherBench) -> None:
        """Posted where that can be and sent where it cannot, all arrive in order, and each has its answer later."""
        async with bench.publisher.open(None, []) as session:
            if not isinstance(session, Prompt):
                return
            messages, answers = _numbered(3 * session.limits.window), asyncio.Queue[BaseException | None]()
            assert not session.send_at_once([], answers.put_nowait)
            assert not session.send_at_once(messages, answers.put_nowait)  # more than the window holds: none of them
            for message in messages:
                posted = session.send_at_once([message], answers.put_nowait)
                if not posted:
                    (await session.send([message])).add_done_callback(lambda one: answers.put_nowait(one.exception()))
            async with asyncio.timeout(10):
                assert [await answers.get() for _ in messages] == [None] * len(messages)
            assert [topic for topic, _ in await bench.received(len(messages))] == [one.topic for one in messages]
            bench.cut()
            with pytest.raises(TransientError):
                await asyncio.wait_for(session.closed(), 5)
            assert not session.send_at_once(messages[:1], answers.put_nowait)

    async def test_a_cut_fails_everything_in_flight(self, bench: PublisherBench) -> None:
        """After a cut `closed` and `send` raise, and no future stays open."""
        async with bench.publisher.open(WILL, []) as session:
            bench.cut()
            with pytest.raises(TransientError):
                await asyncio.wait_for(session.closed(), 5)
            with pytest.raises(TransientError):
                await session.send(_numbered(1))

    async def test_incoming_ends_with_the_session(self, bench: PublisherBench) -> None:
        """What is listened to is heard; the iterator ends when the connection does."""
        heard = []
        async with bench.publisher.open(None, ["c/#"]) as session:
            if (delivery := bench.deliver("c/1", b"hello")) is not None:
                await delivery
            async with asyncio.timeout(5):
                async for incoming in session.incoming():
                    heard.append((incoming.topic, incoming.payload))
                    bench.cut()
        assert heard == [("c/1", b"hello")]

    async def test_leaving_ends_the_session(self, bench: PublisherBench) -> None:
        """After leaving, the session says it is closed; opening again gives a fresh one."""
        async with bench.publisher.open(WILL, []) as first:
            pass
        with pytest.raises(ConnectionLost):
            await asyncio.wait_for(first.closed(), 5)
        async with bench.publisher.open(WILL, []) as second:
            assert second is not first
            await asyncio.wait_for(await second.send(_numbered(1)), 5)

    async def test_cancelling_inside_is_not_swallowed(self, bench: PublisherBench) -> None:
        """A cancelled task leaves the session and stays cancelled."""
        entered = asyncio.Event()

        async def stay() -> None:
            async with bench.publisher.open(WILL, []) as session:
                entered.set()
                await session.closed()

        async with asyncio.TaskGroup() as group:
            task = group.create_task(stay())
            await asyncio.wait_for(entered.wait(), 5)
            task.cancel()
        assert task.cancelled()
