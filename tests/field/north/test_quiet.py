"""Brokers that bill or forbid what is around the readings, and brokers that lose what they retain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.field.north.plant import Plant, topics, values
from tests.support.mqtt_broker import FakeBroker

AROUND = {"edge/agents/gw/status", "edge/hall/d0/status", "edge/hall/d0/tags"}


@pytest.mark.parametrize(
    ("keys", "left"),
    [
        ({"status": False}, {"edge/hall/d0/tags"}),
        ({"catalogue": False}, {"edge/agents/gw/status", "edge/hall/d0/status"}),
        ({"status": False, "catalogue": False}, set()),
    ],
)
async def test_what_is_turned_off_is_not_published(tmp_path: Path, keys: dict[str, Any], left: set[str]) -> None:
    """Neither at a connection nor later, nor at the end; without a status there is no will."""
    async with FakeBroker().serve() as broker:
        plant = Plant(tmp_path, broker.url, 1, **keys)
        async with plant.running():
            plant.read(1)
            await plant.until(lambda: 1 in values(broker, "d0"))
            plant.image.set_state("d0", "offline", now=plant.clock.now_ms())
            await plant.clock.advance(65)
            plant.read(2)
            await plant.until(lambda: 2 in values(broker, "d0"))
            plant.route.leave()
        assert topics(broker.published) - {"edge/hall/d0/readings"} == left
        assert (broker.connects[0].will_topic is None) == ("status" in keys)


async def test_what_is_turned_off_later_is_taken_back(tmp_path: Path) -> None:
    """Nothing retained is left behind that would look current for ever."""
    async with FakeBroker().serve() as broker:
        loud = Plant(tmp_path, broker.url, 1)
        async with loud.running():
            loud.read(1)
            await loud.until(lambda: 1 in values(broker, "d0"))
        broker.published.clear()
        quiet = Plant(tmp_path, broker.url, 1, status=False, catalogue=False)
        async with quiet.running():
            quiet.read(2)
            await quiet.until(lambda: 2 in values(broker, "d0"))
        beside = [one for one in broker.published if not one.topic.endswith(("/readings", "/gaps"))]
        assert {one.topic for one in beside} == AROUND
        assert all(one.payload == b"" and one.retain for one in beside)


async def test_retained_topics_are_published_again_every_ten_minutes(tmp_path: Path) -> None:
    """A broker that lost them has them back before long; nobody had to connect anew."""
    async with FakeBroker().serve() as broker:
        plant = Plant(tmp_path, broker.url, 1)
        async with plant.running():
            await plant.until(lambda: topics(broker.published) >= AROUND)
            broker.published.clear()
            for _ in range(15):  # one device has its turn in the twentieth tick
                await plant.clock.advance(30)
            assert topics(broker.published) <= {"edge/agents/gw/status", "edge/hall/d0/readings"}
            await plant.until(lambda: topics(broker.published) >= AROUND, stride=10)
        assert len(broker.connects) == 1
        assert all(one.retain for one in broker.published if one.topic in AROUND)
