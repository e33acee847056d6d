"""Collector, encoder and publisher of this package, judged by the suites that come with the agent.

pip install '.[test]' && pytest suites
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import pytest
from acme_edge.collector import CounterConfig
from acme_edge.encoder import LinesConfig
from acme_edge.publisher import FeedPublisher
from peers import Counter, Taker

from agent.core.ports import BuildContext, Collector, Encoder, RouteInfo
from agent.testing.collector_contract import CHECKS, Bench
from agent.testing.encoder_contract import EncoderContract
from agent.testing.publisher_contract import PublisherContract


class CounterBench(Counter):
    """The device, and how to read it."""

    tags = 2

    def build(self, name: str, context: BuildContext) -> Collector:
        keys = {"type": "counter", "port": self.port, "interval": "50ms", "tags": {"a": {}, "b": {}}}
        return CounterConfig.model_validate(keys).build(name, context)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_collector(check: Callable[[Bench], Awaitable[None]]) -> None:
    """The collector passes the check."""

    async def run() -> None:
        bench = CounterBench()
        await check(bench)
        await bench.down()

    asyncio.run(run())


class TestEncoder(EncoderContract):
    @pytest.fixture
    def encoder(self) -> Encoder:
        return LinesConfig(type="lines").build(RouteInfo(name="feed", agent="gw-01"))


class FeedBench:
    """The publisher, and who takes what it sends."""

    def __init__(self, taker: Taker) -> None:
        self.taker, self.publisher = taker, FeedPublisher("127.0.0.1", taker.port)

    async def received(self, count: int) -> Sequence[tuple[str, bytes]]:
        await self.taker.has(count)
        return [(topic, payload.encode()) for topic, payload in self.taker.taken]

    def cut(self) -> None:
        self.taker.cut()

    def deliver(self, topic: str, payload: bytes) -> None:
        self.taker.tell(f'["{topic}", "{payload.decode()}"]\n'.encode())


class TestPublisher(PublisherContract):
    @pytest.fixture
    async def bench(self) -> AsyncIterator[FeedBench]:
        taker = Taker()
        await taker.up()
        yield FeedBench(taker)
        await taker.down()
