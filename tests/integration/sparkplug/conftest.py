from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.core.clock import SystemClock
from agent.core.flow import Batch, Gap, Reading
from agent.core.image import AgentInfo, Image, TagInfo
from agent.core.ports import RouteInfo
from agent.encoders.sparkplug import SparkplugConfig
from agent.outbox import SqliteOutbox
from agent.publishers.mqtt.config import MqttConfig
from agent.runtime.north.route import Route
from agent.settings.outbox import OutboxSettings
from agent.settings.publishers import Replay
from agent.testing.context import SimpleContext
from tests.support.waiting import eventually

PRESS = (
    TagInfo("temperature", "float32", "Cel", "Öltemperatur"),
    TagInfo("count", "uint32"),
    TagInfo("delta", "int16"),
    TagInfo("running", "bool"),
    TagInfo("serial", "string"),
    TagInfo("total", "uint64"),
    TagInfo("offset", "int64"),
    TagInfo("made", "datetime"),
    TagInfo("profile", "float64[]"),
    TagInfo("mystery", None),
)
VALUES: dict[str, Any] = {
    "temperature": 61.5,
    "count": 4_000_000_000,
    "delta": -12,
    "running": True,
    "serial": "SN-Ω-1",
    "total": 2**64 - 1,
    "offset": -(2**62),
    "made": "2026-11-22T07:00:00.123Z",
    "profile": [1.5, -2.0],
    "mystery": 7,
}


class Plant:
    """One route with a real outbox and a real publisher; devices are read by hand."""

    def __init__(self, folder: Path, url: str, *, mqtt: dict[str, Any] | None = None, **encoder: Any) -> None:
        self.clock = SystemClock()
        self.image = Image(AgentInfo("gw-01", "1.2.3", "h"))
        self.outbox = SqliteOutbox(
            folder / "plant.outbox", name="plant", settings=OutboxSettings(), clock=self.clock, max_record_bytes=98304
        )
        keys = {"type": "mqtt", "url": url, "connect_timeout": "3s", **(mqtt or {})}
        config = MqttConfig.model_validate(keys)
        info = RouteInfo(name="plant", agent="gw-01")
        sparkplug = SparkplugConfig.model_validate({"type": "sparkplug_b", "group": "plant", **encoder})
        self.encoder = sparkplug.build(info)
        self.route = Route(
            "plant", config.build("plant", SimpleContext(agent="gw-01")), self.encoder, self.outbox, self.image,
            clock=self.clock, replay=Replay(), wants=info.wants,
        )  # fmt: skip

    def add(self, name: str, tags: tuple[TagInfo, ...] = PRESS, *, online: bool = True) -> None:
        self.image.add(name, location=["hall"], tags=tags, cat=1, now=self.clock.now_ms())
        if online:
            self.online(name)

    def online(self, name: str) -> None:
        self.image.set_state(name, "online", now=self.clock.now_ms())

    def read(self, device: str, *, ts: int | None = None, **values: object) -> None:
        """The device is read: into the image and the outbox."""
        ts = ts or self.clock.now_ms()
        readings = [Reading(tag=tag, value=value, ts=ts, quality="good") for tag, value in values.items()]
        self.take(Batch(device=device, ts=ts, readings=readings))

    def take(self, batch: Batch) -> None:
        self.image.update(batch)
        self.outbox.append(batch)

    def lose(self, device: str) -> None:
        """The device is gone: its tags are bad, as device.py says it."""
        ts = self.clock.now_ms()
        readings = [
            Reading(tag=info.tag, value=None, ts=ts, quality="bad", code="BadNoCommunication", why="offline")
            for info in self.image.devices[device].tags
        ]
        self.take(Batch(device=device, ts=ts, readings=readings, bad=len(readings)))
        self.image.set_state(device, "offline", now=ts, reason="cable")

    def gap(self, device: str) -> None:
        now = self.clock.now_ms()
        self.outbox.append(
            Gap(id=str(now), kind="missed", device=device, from_ts=now - 9, to_ts=now, reason="queue overflow")
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The route runs; it says goodbye at the end."""
        async with self.outbox.open(), asyncio.TaskGroup() as group:
            task = group.create_task(self.route.run())
            try:
                yield
                self.route.leave()
                await asyncio.wait([task], timeout=5)
            finally:
                task.cancel()

    async def settled(self) -> None:
        """Everything appended is with the broker, but for what lingers."""
        await eventually(lambda: self.route.state == "online")
        await self.outbox.flush()


MakePlant = Callable[..., Plant]


@pytest.fixture
def make_plant(tmp_path: Path) -> MakePlant:
    """Plants in folders of their own; `at` names one that is to be found again."""

    def make(url: str, *, at: str = "data", **keys: Any) -> Plant:
        folder = tmp_path / at
        folder.mkdir(exist_ok=True)
        return Plant(folder, url, **keys)

    return make
