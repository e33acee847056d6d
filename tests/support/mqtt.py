"""An independent observer of a broker: a plain subscriber on paho's own thread, sharing nothing with our publisher."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.subscribeoptions import SubscribeOptions

from tests.support.waiting import eventually

_PROTOCOLS = {"5": MQTTProtocolVersion.MQTTv5, "3.1.1": MQTTProtocolVersion.MQTTv311}


@dataclass
class Seen:
    """One message as it arrived."""

    topic: str
    payload: bytes
    retain: bool
    qos: int
    content_type: str | None = None
    properties: dict[str, str] = field(default_factory=dict)


class Observer:
    """Everything that arrived, in order. Retained flags are as published (MQTT 5)."""

    def __init__(self, version: str) -> None:
        self.five = version == "5"
        self.seen: list[Seen] = []
        self.ready = False
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2, "observer", protocol=_PROTOCOLS[version], reconnect_on_failure=False
        )
        self.client.on_message = self._on_message
        self.client.on_subscribe = self._on_subscribe

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        found = message.properties
        self.seen.append(
            Seen(
                message.topic, bytes(message.payload), message.retain, message.qos,
                getattr(found, "ContentType", None), dict(getattr(found, "UserProperty", [])),
            )
        )  # fmt: skip

    def _on_subscribe(self, *_: Any) -> None:
        self.ready = True

    def on(self, prefix: str) -> list[Seen]:
        """What arrived on topics that begin so."""
        return [one for one in list(self.seen) if one.topic.startswith(prefix)]

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish and wait for the acknowledgement."""
        info = self.client.publish(topic, payload, qos=1, retain=retain)
        await eventually(info.is_published)


@asynccontextmanager
async def observing(port: int, *filters: str, version: str = "5") -> AsyncIterator[Observer]:
    """Subscribe before the body runs."""
    observer = Observer(version)
    await asyncio.to_thread(observer.client.connect, "127.0.0.1", port)
    observer.client.loop_start()
    try:
        options: Any = SubscribeOptions(qos=1, retainAsPublished=True) if observer.five else 1
        await eventually(observer.client.is_connected)
        observer.client.subscribe([(one, options) for one in filters])
        await eventually(lambda: observer.ready)
        yield observer
    finally:
        observer.client.disconnect()
        await asyncio.to_thread(observer.client.loop_stop)
        # the pair that wakes its thread: collected before its client, such a socket warns that nobody closed it
        observer.client._reset_sockets()
