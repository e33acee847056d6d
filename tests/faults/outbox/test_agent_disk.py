"""The disk under a running agent: full, read-only, its file damaged. The agent starts, runs, and says what is lost."""

from __future__ import annotations

import random

import pytest

from agent.simulator.proxy import Proxy
from tests.faults.outbox.test_disk import fill
from tests.support.consumer import consuming
from tests.support.load import SCAN, all_arrived, caught_up, offline, route_of
from tests.support.loop import make_disk
from tests.support.waiting import eventually


@pytest.fixture
def disk(tmp_path):
    """A small file system of its own, mounted."""
    one = make_disk(tmp_path, "12M")
    one.mount()
    yield one
    one.unmount()


def on_disk(agent, disk):
    """Let an agent keep its data there."""
    document = agent.document
    document["agent"]["data_dir"] = str(disk.folder / "data")
    agent.configure(document)
    agent.data_dir = disk.folder / "data"
    return agent


async def refuses(agent, full=None):
    """Wait until the outbox has noticed; a disk that is `full` stays so, whatever the outbox gives up meanwhile."""

    async def noticed():
        if full is not None:
            fill(full.folder)
        return not (await route_of(agent))["outbox"]["committing"]

    await eventually(noticed, what="the disk refuses")


async def accepts(agent):
    """Wait until it is over."""

    async def over():
        return (await route_of(agent))["outbox"]["committing"]

    await eventually(over, what="the disk accepts")


async def test_full_disk_under_an_agent(mosquitto, disk, start_load, make_agent):
    """Nothing is lost that fits the memory: it is written when the disk has room again, and published in its order."""
    load = await start_load(2, tags=60, interval_ms=100)
    async with consuming(mosquitto.url) as consumer, Proxy("127.0.0.1", mosquitto.port) as cable:
        agent = on_disk(make_agent(load, cable.port, outbox={"min_free_disk": "0B"}), disk)
        await agent.start()
        await consumer.heard(5, *load.devices)
        await cable.cut()
        await offline(agent)
        filler = fill(disk.folder)
        await load.goes_on(1)
        await refuses(agent, full=disk)
        await load.goes_on(1)
        filler.unlink()
        await accepts(agent)
        await cable.restore()
        await consumer.heard(10, *load.devices)
        assert len(agent.events("outbox.disk_refused")) == len(agent.events("outbox.disk_ok")) == 1
        await all_arrived(agent, consumer)
        assert consumer.gaps == []


async def test_data_flows_through_a_full_disk(mosquitto, disk, start_load, make_agent):
    """Somebody else's files take every byte: what the broker takes goes out all the same, also after a cut."""
    load = await start_load(2, tags=60, interval_ms=100)
    async with consuming(mosquitto.url) as consumer, Proxy("127.0.0.1", mosquitto.port) as cable:
        agent = on_disk(make_agent(load, cable.port, outbox={"min_free_disk": "0B"}), disk)
        await agent.start()
        await consumer.heard(5, *load.devices)
        filler = fill(disk.folder)
        await consumer.heard(50, *load.devices)
        await cable.cut()
        await offline(agent)
        fill(disk.folder, "more")
        await load.goes_on(2)
        await cable.restore()
        await consumer.heard(10, *load.devices)
        await caught_up(agent)
        assert filler.exists()
        assert await agent.stop() == 0
        await consumer.check()
        assert consumer.lost_scans(SCAN) == []
        assert consumer.gaps == []


async def test_disk_that_turns_read_only_under_an_agent(mosquitto, disk, start_load, make_agent):
    """It is said once, the agent stays up and stops in time; the next start on a sound disk counts in a new epoch."""
    load = await start_load(2, tags=60, interval_ms=100)
    async with consuming(mosquitto.url) as consumer:
        agent = on_disk(make_agent(load, mosquitto.port, outbox={"min_free_disk": "0B"}), disk)
        await agent.start()
        await consumer.heard(5, *load.devices)
        disk.remount("abort")  # what ext4 does when the medium fails
        await refuses(agent)
        await load.goes_on(2)
        status = await agent.status()
        # at ten scans a second a busy machine makes it degraded
        assert {device["state"] for device in status["devices"].values()} <= {"online", "degraded"}
        assert await agent.stop() == 0
        refused = agent.events("outbox.disk_refused")
        assert 1 <= len(refused) <= 2  # and once when it is closed
        assert "Read-only file system" in refused[0]["reason"]
        assert "restart the agent" in refused[0]["hint"]
        assert agent.events("component.bug") == []
        await agent.start()  # whoever restarts it before the medium is replaced gets no crash loop
        await refuses(agent)
        assert (await agent.status())["devices"].keys() == load.devices.keys()
        assert await agent.stop() == 0
        disk.unmount()
        disk.mount()
        await agent.start()
        await consumer.heard(5, *load.devices)
        await caught_up(agent)
        assert await agent.stop() == 0
        assert consumer.two_faced == []
        assert consumer.disorder() == []
        assert len(consumer.epochs) == 2
        assert {device for device, _ in consumer.down()} == set(load.devices)


@pytest.mark.parametrize("damage", ["a page in the middle", pytest.param("truncated", marks=pytest.mark.soak)])
async def test_damaged_file_under_an_agent(mosquitto, start_load, make_agent, damage):
    """The agent starts, delivers what can be read, and declares what may be lost; no key means two things."""
    load = await start_load(2, tags=60, interval_ms=50)
    async with consuming(mosquitto.url) as consumer, Proxy("127.0.0.1", mosquitto.port) as cable:
        agent = make_agent(load, cable.port, replay={"max_rate": "500/s"})
        await agent.start()
        await consumer.heard(3, *load.devices)
        await cable.cut()
        await load.goes_on(4)
        assert await agent.stop() == 0
        left = agent.events("agent.stopped")[0]["left"]
        spoil(agent.data_dir / "outbox" / "plant.sqlite", damage)
        await agent.start()
        await cable.restore()
        heard = len(consumer.records)
        await consumer.heard(5, *load.devices)
        await caught_up(agent)
        assert await agent.stop() == 0
        (salvaged,) = agent.events("outbox.salvaged")
        assert left / 4 < salvaged["records"] < left
        first = consumer.epochs[0]
        came = [said for said in consumer.records[heard:] if said.epoch == first]
        assert len(came) >= left / 4
        lost = {(gap["device"], gap["epoch"]) for gap in consumer.gaps if gap["kind"] == "lost"}
        assert lost == {(device, first) for device in load.devices}
        await consumer.complete()
        assert consumer.two_faced == []
        assert consumer.disorder() == []
        assert "missing=0" in consumer.audit.line()


def spoil(file, damage):
    """As a failing medium does."""
    with file.open("r+b") as content:
        size = file.stat().st_size // 4096
        assert size > 20
        if damage == "truncated":
            content.truncate(size * 2 // 3 * 4096)
            return
        for page in range(size // 2, size // 2 + 4):
            content.seek(page * 4096)
            content.write(random.Random(page).randbytes(4096))
