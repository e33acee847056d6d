"""One contract, every publisher: the scripted twin, MQTT 5 and 3.1.1 at mosquitto, the embedded broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from agent.core.ports import Publisher
from agent.publishers.mqtt.config import MqttConfig
from agent.simulator.broker import EmbeddedBroker
from agent.testing.context import SimpleContext
from agent.testing.publisher import ScriptedPublisher
from agent.testing.publisher_contract import PublisherContract
from tests.support.mosquitto import Mosquitto
from tests.support.mqtt import Observer, observing
from tests.support.waiting import eventually


class ScriptedBench:
    def __init__(self) -> None:
        self.twin = ScriptedPublisher()
        self.publisher: Publisher = self.twin

    async def received(self, count: int) -> Sequence[tuple[str, bytes]]:
        sent = await eventually(lambda: len(self.twin.session.sent) >= count and self.twin.session.sent)
        assert isinstance(sent, list)
        return [(message.topic, message.payload) for message in sent]

    def cut(self) -> None:
        self.twin.drop()

    def deliver(self, topic: str, payload: bytes) -> None:
        self.twin.session.deliver(topic, payload)


class MqttBench:
    def __init__(self, publisher: Publisher, observer: Observer, cut: Callable[[], None]) -> None:
        self.publisher = publisher
        self._observer = observer
        self.cut = cut

    async def received(self, count: int) -> Sequence[tuple[str, bytes]]:
        await eventually(lambda: len(self._observer.on("t/")) >= count)
        return [(message.topic, message.payload) for message in self._observer.on("t/")]

    async def deliver(self, topic: str, payload: bytes) -> None:
        await self._observer.publish(topic, payload)


class TestScriptedPublisher(PublisherContract):
    @pytest.fixture
    def bench(self) -> ScriptedBench:
        return ScriptedBench()


@asynccontextmanager
async def bench_at(port: int, version: str, cut: Callable[[], None]) -> AsyncIterator[MqttBench]:
    url = f"mqtt://127.0.0.1:{port}"
    config = MqttConfig.model_validate({"type": "mqtt", "url": url, "version": version, "window": 5})
    async with observing(port, "#", version=version) as observer:
        yield MqttBench(config.build("plant", SimpleContext()), observer, cut)


class TestMqtt5(PublisherContract):
    @pytest.fixture
    async def bench(self, mosquitto: Mosquitto) -> AsyncIterator[MqttBench]:
        async with bench_at(mosquitto.port, "5", mosquitto.kill) as bench:
            yield bench


class TestMqtt311(PublisherContract):
    @pytest.fixture
    async def bench(self, mosquitto: Mosquitto) -> AsyncIterator[MqttBench]:
        async with bench_at(mosquitto.port, "3.1.1", mosquitto.kill) as bench:
            yield bench


class TestEmbeddedBroker5(PublisherContract):
    @pytest.fixture
    async def bench(self) -> AsyncIterator[MqttBench]:
        broker = EmbeddedBroker()
        await asyncio.to_thread(broker.start)
        try:
            async with bench_at(broker.port, "5", broker.stop) as bench:
                yield bench
        finally:
            await asyncio.to_thread(broker.stop)


class TestEmbeddedBroker311(PublisherContract):
    @pytest.fixture
    async def bench(self) -> AsyncIterator[MqttBench]:
        broker = EmbeddedBroker()
        await asyncio.to_thread(broker.start)
        try:
            async with bench_at(broker.port_311, "3.1.1", broker.stop) as bench:
                yield bench
        finally:
            await asyncio.to_thread(broker.stop)
