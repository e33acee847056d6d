"""The wall clock of a running agent jumps, or was never set: readings are marked, nothing else is disturbed."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from typing import Any

import pytest

from agent.simulator.proxy import Proxy
from tests.support.consumer import consuming
from tests.support.faketime import FakeTime
from tests.support.load import SCAN, all_arrived, caught_up, offline
from tests.support.waiting import eventually

HOUR = 3600


@pytest.fixture
def faketime(tmp_path, monkeypatch):
    """The clock of every process the test starts."""
    fake = FakeTime(tmp_path)
    for name, value in fake.environment.items():
        monkeypatch.setenv(name, value)
    return fake


def kept(consumer):
    """All messages of readings that come, whole."""
    messages: list[dict[str, Any]] = []
    feed = consumer.audit.feed

    def keep(topic, payload, **options):
        if topic.endswith("/readings"):
            messages.append(json.loads(payload))
        return feed(topic, payload, **options)

    consumer.audit.feed = keep
    return messages


@pytest.mark.parametrize("step", [pytest.param(+HOUR, marks=pytest.mark.soak), -HOUR])
async def test_clock_jumps(mosquitto, start_load, make_agent, faketime, step):
    """No scan is skipped or doubled, nothing expires, order holds; it is said, and the pace stays the pace."""
    load = await start_load(2, tags=20, interval_ms=100)
    async with consuming(mosquitto.url) as consumer, Proxy("127.0.0.1", mosquitto.port) as cable:
        agent = make_agent(
            load, cable.port, replay={"max_rate": "200/s"}, outbox={"max_age": "10m", "keep_acked": {"age": "10m"}}
        )
        await agent.start()
        await consumer.heard(5, *load.devices)
        await cable.cut()
        await load.goes_on(1)
        asked, at = load.scans, time.monotonic()
        faketime.set(step)
        await eventually(lambda: agent.events("agent.clock_stepped"))
        await load.goes_on(1)
        pace = (load.scans - asked) / (time.monotonic() - at)
        assert pace < 2 * 10 * 1.5  # two devices, ten times a second
        await cable.restore()
        await consumer.heard(10, *load.devices)
        await caught_up(agent)
        (said,) = agent.events("agent.clock_stepped")
        assert abs(said["seconds"] - step) < 5
        assert await agent.stop() == 0
        await consumer.check()
        assert consumer.lost_scans(SCAN) == []
        assert consumer.gaps == []
        for device in load.devices:
            live = [said.ts for said in consumer.of(device) if not said.historical]
            assert max(live) - min(live) > HOUR * 900 or step < 0


async def test_clock_set_back_while_all_is_well(mosquitto, start_load, make_agent, faketime):
    """The session ends, and the next says everything for the time it was read: nothing stands still for an hour."""
    load = await start_load(2, tags=20, interval_ms=100)
    async with consuming(mosquitto.url) as consumer:
        messages = kept(consumer)
        agent = make_agent(load, mosquitto.port)
        await agent.start()
        await consumer.heard(10, *load.devices)
        faketime.set(-HOUR)
        await eventually(lambda: agent.events("agent.clock_stepped"))
        before = len(messages)
        await eventually(lambda: len(agent.events("publisher.online")) == 2)
        await consumer.heard(10, *load.devices)
        now = time.time() * 1000 - HOUR * 1000
        await all_arrived(agent, consumer)
        assert consumer.gaps == []
        assert len(consumer.epochs) == 1
        live = [message for message in messages if not message.get("historical")]
        newest: dict[tuple[str, str], int] = {}
        for message in live:
            for reading in message["readings"]:
                tag = (message["device"], reading["tag"])
                fresh = tag not in newest or (message.get("snapshot") and message["ts"] < newest[tag])
                assert fresh or reading["ts"] >= newest[tag]
                newest[tag] = reading["ts"]
        after = [message for message in messages[before:] if not message.get("historical")]
        assert len(after) >= 20
        for message in after:
            assert now - 20_000 < message["ts"] < now + 5_000
            assert all(now - 20_000 < reading["ts"] < now + 5_000 for reading in message["readings"])


async def test_boot_without_a_set_clock(mosquitto, start_load, make_agent, faketime):
    """What went out is marked; what waited is put right, in order; what comes after is as ever."""
    load = await start_load(2, tags=20, interval_ms=100)
    faketime.set(-6 * 365 * 24 * HOUR)
    async with consuming(mosquitto.url) as consumer, Proxy("127.0.0.1", mosquitto.port) as cable:
        messages = kept(consumer)
        agent = make_agent(load, cable.port, replay={"max_rate": "200/s"})
        await agent.start()
        await consumer.heard(5, *load.devices)
        assert all(message["clock"] == "unsynced" for message in messages)
        await cable.cut()
        await offline(agent)
        await load.goes_on(1)
        faketime.set(0)
        await eventually(lambda: agent.events("outbox.restamped"))
        now = time.time() * 1000
        before = len(messages)
        await cable.restore()
        await consumer.heard(10, *load.devices)
        await all_arrived(agent, consumer)
        waited = [message for message in messages[before:] if message.get("historical")]
        assert len(waited) >= 20
        marked = [message for message in waited if "clock" in message]
        assert len(marked) <= 20  # a window was under way when the cable was cut
        right = [message for message in waited if "clock" not in message]
        for message in right:
            assert now - 20_000 < message["ts"] < now + 20_000
            assert all(now - 20_000 < reading["ts"] < now + 20_000 for reading in message["readings"])
        for device in load.devices:
            own = [message for message in right if message["device"] == device]
            for one, other in pairwise(own):
                assert one["seq"] < other["seq"]
                assert one["ts"] <= other["ts"]
        live = [message for message in messages[before:] if not message.get("historical")]
        assert not any("clock" in message for message in live)
