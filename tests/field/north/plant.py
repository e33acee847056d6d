"""A route with many devices whose broker is a real socket away; its clock is moved by hand, a second at a time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from agent.core.flow import Batch, Reading
from agent.core.image import AgentInfo, Image, TagInfo
from agent.core.ports import RouteInfo
from agent.encoders.json import JsonConfig
from agent.outbox import SqliteOutbox
from agent.publishers.mqtt.config import MqttConfig
from agent.runtime.north.route import Route
from agent.settings.outbox import OutboxSettings
from agent.settings.publishers import EncoderConfig, Replay
from agent.testing.clock import ManualClock
from agent.testing.context import SimpleContext
from tests.support.mqtt_broker import FakeBroker, Publish
from tests.support.waiting import eventually


class Plant:
    """Devices `d0`, `d1`, … with one tag each, and one publisher."""

    def __init__(
        self, folder: Path, url: str, devices: int = 2, *, encoder: EncoderConfig | None = None,
        tags: Mapping[str, Sequence[str]] | None = None, **keys: object,
    ) -> None:  # fmt: skip
        self.clock = ManualClock()
        self.devices = [f"d{number}" for number in range(devices)]
        self.image = Image(AgentInfo("gw", "0", "h"))
        for name in self.devices:
            self.image.add(
                name,
                location=["hall"],
                tags=[TagInfo(tag, "uint16") for tag in (tags or {}).get(name, ["a"])],
                cat=1,
                now=0,
            )
            self.image.set_state(name, "online", now=0)
        config = MqttConfig.model_validate({"type": "mqtt", "url": url, "connect_timeout": "5s", **keys})
        self.outbox = SqliteOutbox(
            folder / "plant.outbox", name="plant", settings=OutboxSettings(), clock=self.clock, max_record_bytes=98304
        )
        info = config.route("plant", "gw")
        info = RouteInfo(**{name: getattr(info, name) for name in info.__struct_fields__} | {"clock": self.clock})
        self.route = Route(
            "plant", config.build("plant", SimpleContext(agent="gw", clock=self.clock)),
            (encoder or JsonConfig()).build(info), self.outbox, self.image, clock=self.clock, replay=Replay(),
            wants=info.wants,
        )  # fmt: skip

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Plant]:
        async with self.outbox.open(), asyncio.TaskGroup() as group:
            task = group.create_task(self.route.run())
            yield self
            task.cancel()

    def read(self, value: int, *devices: str) -> None:
        """Each device is read: into the image and the outbox, as device.py does it."""
        for device in devices or self.devices:
            reading = Reading(tag="a", value=value, ts=self.clock.now_ms(), quality="good")
            batch = Batch(device=device, ts=reading.ts, readings=[reading])
            self.image.update(batch)
            self.outbox.append(batch)

    async def until(self, condition: Callable[[], object], seconds: float = 20.0, stride: float = 1.0) -> None:
        """Move the clock until the condition holds. Every step leaves the wire time to answer."""

        async def step() -> object:
            await self.clock.advance(stride)
            return condition()

        await eventually(step, seconds)


def values(broker: FakeBroker, device: str) -> list[object]:
    """What a consumer has of a device, in the order of arrival."""
    found: list[object] = []
    for one in broker.published:
        if one.topic == f"edge/hall/{device}/readings":
            found += [reading["value"] for reading in json.loads(one.payload)["readings"]]
    return found


def topics(published: list[Publish]) -> set[str]:
    return {one.topic for one in published}


def lines(logs: list[Any], event: str) -> list[Any]:
    return [log for log in logs if log["event"] == event]
