"""A disk that turns read-only, or fails, under a running agent, and is well again later."""

from __future__ import annotations

import errno
import os

import pytest

from tests.support.consumer import consuming
from tests.support.load import all_arrived, caught_up, route_of
from tests.support.refusing import RefusingDisk
from tests.support.waiting import eventually

#: What the ring holds in the second test; its own bound is minutes of load away.
RING = 50


@pytest.fixture
def disk(tmp_path, monkeypatch):
    """Below the data directory of the agent the test starts."""
    one = RefusingDisk(tmp_path, tmp_path / "agent-0" / "data")
    for name, value in one.environment.items():
        monkeypatch.setenv(name, value)
    return one


@pytest.fixture
def small_ring(tmp_path, monkeypatch):
    """The agent the test starts has one."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        f"from agent.outbox.ring import Ring\nRing.__init__.__kwdefaults__['max_records'] = {RING}\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(folder))


async def committing(agent, expected):
    """Wait until the outbox says so."""

    async def says_so():
        return (await route_of(agent))["outbox"]["committing"] == expected

    await eventually(says_so, what=f"committing: {expected}")


@pytest.mark.parametrize("number", [errno.EROFS, errno.EIO, errno.EFBIG])
async def test_nothing_is_lost_that_fits_the_memory(mosquitto, disk, start_load, make_agent, number):
    """It is said once, with what to do; the devices are read on; all of it comes when the disk is writable again."""
    load = await start_load(2, tags=60, interval_ms=100)
    async with consuming(mosquitto.url) as consumer:
        agent = make_agent(load, mosquitto.port)
        await agent.start()
        await consumer.heard(5, *load.devices)
        disk.refuse(number)
        await committing(agent, expected=False)
        heard = len(consumer.records)
        await load.goes_on(2)
        states = {device["state"] for device in (await agent.status())["devices"].values()}
        assert states <= {"online", "degraded"}  # at ten scans a second a busy machine makes it degraded
        assert len(consumer.records) - heard <= 2 * 20  # committed before, and on their way
        disk.accept()
        await committing(agent, expected=True)
        await consumer.heard(10, *load.devices)
        await all_arrived(agent, consumer)
        assert consumer.gaps == []
        assert len(consumer.epochs) == 1
        (refused,) = agent.events("outbox.disk_refused")
        (well,) = agent.events("outbox.disk_ok")
        assert refused["ts"] < well["ts"]
        assert os.strerror(number) in refused["reason"]
        assert refused["hint"]
        assert agent.events("component.bug") == []


async def test_what_does_not_fit_the_memory_is_declared(
    mosquitto, disk, small_ring, start_load, make_agent
):  # fmt: skip
    """The consumer is told of each number that went, and of no other."""
    load = await start_load(2, tags=60, interval_ms=100)
    async with consuming(mosquitto.url) as consumer:
        agent = make_agent(load, mosquitto.port)
        await agent.start()
        await consumer.heard(5, *load.devices)
        disk.refuse()

        async def overflows():
            return (await route_of(agent))["outbox"]["dropped_records"] > 2 * RING

        await eventually(overflows, what="more is lost than the memory holds")
        disk.accept()
        await committing(agent, expected=True)
        await consumer.heard(10, *load.devices)
        await caught_up(agent)
        dropped = (await route_of(agent))["outbox"]["dropped_records"]
        assert await agent.stop() == 0
        await consumer.check()
        assert {gap["kind"] for gap in consumer.gaps} == {"overflow"}
        assert sorted(gap["device"] for gap in consumer.gaps) == sorted(load.devices)
        assert sum(gap["records"] for gap in consumer.gaps) == dropped
        for gap in consumer.gaps:
            numbers = range(gap["from_seq"], gap["to_seq"] + 1)
            assert gap["records"] == len(numbers)
            assert gap["readings"] == 60 * len(numbers)
            came = consumer.of(gap["device"])
            assert {said.seq for said in came}.isdisjoint(numbers)
            before = max(said.ts for said in came if said.seq < gap["from_seq"])
            after = min(said.ts for said in came if said.seq > gap["to_seq"])
            assert before <= gap["from_ts"] <= gap["to_ts"] <= after
        assert len(agent.events("outbox.disk_refused")) == len(agent.events("outbox.disk_ok")) == 1
