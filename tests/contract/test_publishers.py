"""One contract, every publisher: the scripted twin, MQTT 5 and 3.1.1 at mosquitto, the embedded broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from agent.core.ports import Publisher
from agent.publishers.mqtt.config import MqttConfig
from agent.testing.publisher import ScriptedPublisher
from agent.testing.publisher_contract import PublisherContract
from agent.testing.site import SimpleSite
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
    def __init__(self, publisher: Publisher, observer: Observer, mosquitto: Mosquitto) -> None:
        self.publisher = publisher
        self._observer, self._mosquitto = observer, mosquitto

    async def received(self, count: int) -> Sequence[tuple[str, bytes]]:
        await eventually(lambda: len(self._observer.on("t/")) >= count)
        return [(message.topic, message.payload) for message in self._observer.on("t/")]

    def cut(self) -> None:
        self._mosquitto.kill()

    async def deliver(self, topic: str, payload: bytes) -> None:
        await self._observer.publish(topic, payload)


class TestScriptedPublisher(PublisherContract):
    @pytest.fixture
    def bench(self) -> ScriptedBench:
        return ScriptedBench()


class MqttContract(PublisherContract):
    version: str

    @pytest.fixture
    async def bench(self, mosquitto: Mosquitto) -> AsyncIterator[MqttBench]:
        config = MqttConfig.model_validate({"type": "mqtt", "url": mosquitto.url, "version": self.version, "window": 5})
        async with observing(mosquitto.port, "#") as observer:
            yield MqttBench(config.build("plant", SimpleSite()), observer, mosquitto)
            await asyncio.sleep(0)


class TestMqtt5(MqttContract):
    version = "5"


class TestMqtt311(MqttContract):
    version = "3.1.1"
