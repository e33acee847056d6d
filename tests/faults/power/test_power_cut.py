"""The power goes while an outbox is written: a copy of the disk as it is, caches unwritten, is what a start finds."""

from __future__ import annotations

import json
import logging
import os
import signal
import sqlite3
import sys
from contextlib import closing

import pytest

from agent.core.clock import SystemClock
from agent.core.flow import Batch
from agent.outbox import SqliteOutbox
from agent.outbox.file.pack import unpack
from agent.settings.outbox import OutboxSettings
from agent.testing.records import backlog, gaps
from tests.faults.outbox.test_agent_killed import unaccounted
from tests.support.load import caught_up
from tests.support.loop import Disk, make_disk
from tests.support.outbox_file import contents
from tests.support.processes import process
from tests.support.recorder import Recorder
from tests.support.waiting import eventually, eventually_sync

CUTS = int(os.environ.get("EDGE_POWER_CUTS", "3"))

log = logging.getLogger(__name__)


@pytest.fixture
def disk(tmp_path):
    """A file system of its own, mounted."""
    one = make_disk(tmp_path)
    one.mount()
    yield one
    one.unmount()


def cut(disk, pid, folder):
    """What the machine finds when its power is back. The writer stands still, so that the copy is of one moment."""
    os.kill(pid, signal.SIGSTOP)
    disk.cut(folder / "cut.img")
    found = Disk(folder / "cut.img", folder / "found")
    found.mount()
    return found


def restarted(file):
    """The machine has another boot id now."""
    with closing(sqlite3.connect(file)) as db, db:
        db.execute("UPDATE meta SET value = 'another boot' WHERE key = 'boot'")


@pytest.mark.parametrize("durability", ["commit", "fsync"])
@pytest.mark.timeout(max(120, CUTS * 30))
async def test_power_cut_of_a_writer(disk, tmp_path, durability):
    """`fsync`: all that was said to be safe is there. `commit`: what is missing is a tail, and declared as lost."""
    missing = 0
    for number in range(CUTS):
        file = disk.folder / f"{number}.sqlite"
        with process(sys.executable, "-m", "tests.faults.power.writer", str(file), durability) as writer:
            lines = (number % 5 + 1) * (400 if durability == "commit" else 150)
            eventually_sync(lambda: writer.stdout.count("\n") >= lines, what="the writer writes")  # noqa: B023
            found = cut(disk, writer.pid, tmp_path)
            said = json.loads(writer.stdout.rpartition("\n")[0].splitlines()[-1])
        for left in disk.folder.glob(f"{file.name}*"):
            left.unlink()
        try:
            copy = found.folder / file.name
            inside = contents(copy)
            for (_, device, seq), packed in inside.records.items():
                batch = unpack(packed)
                assert isinstance(batch, Batch)
                assert batch.readings[0].value == (seq - 1) * 3 + "abc".index(device) + 1
            there = {device: inside.next[said["epoch"], device] - 1 for device in said["safe"]}
            missing += sum(max(0, safe - there[device]) for device, safe in said["safe"].items())
            assert len(inside.records) == sum(there.values())
            restarted(copy)
            await look_again(copy, durability, said["epoch"], there)
        finally:
            found.unmount()
    log.warning("%s cuts with %s: %s records missing", CUTS, durability, missing)
    assert missing == 0 or durability == "commit"


async def look_again(file, durability, epoch, there):
    """A start finds all of it, counts in a new epoch, and declares the tail where there may be one."""
    settings = OutboxSettings.model_validate({"durability": durability, "min_free_disk": "0B"})
    outbox = SqliteOutbox(file, name="power", settings=settings, clock=SystemClock())
    async with outbox.open():
        assert {stream.epoch for stream in outbox.streams()} == {epoch}
        with outbox.reader() as reader:
            records = await backlog(reader)
    found = gaps(records)
    assert len(records) - len(found) == sum(there.values())
    assert {gap.device: gap.to_seq for gap in found if gap.kind == "down"} == there
    lost = {gap.device: (gap.from_seq, gap.to_seq, gap.records) for gap in found if gap.kind == "lost"}
    tail = {device: (last + 1, None, None) for device, last in there.items()}
    assert lost == (tail if durability == "commit" else {})


@pytest.mark.parametrize("durability", ["commit", "fsync"])
async def test_power_cut_of_an_agent(mosquitto, disk, tmp_path, start_load, make_agent, durability):
    """After the restart nothing the broker has not acknowledged is missing undeclared, and no key means two things."""
    load = await start_load(2, tags=60, interval_ms=50)
    async with Recorder("127.0.0.1", mosquitto.port) as cable:
        agent = make_agent(load, cable.port, replay={"max_rate": "500/s"}, outbox={"durability": durability})
        document = agent.document
        document["agent"]["data_dir"] = str(disk.folder / "data")
        document["outbox"]["min_free_disk"] = "0B"
        agent.configure(document)
        await agent.start()
        await eventually(lambda: len(cable.acked) > 20)
        await cable.cut()
        await load.goes_on(1)
        await cable.restore()
        await eventually(lambda: len(cable.acked) > 60)
        found = cut(disk, agent.pid, tmp_path)
        try:
            agent.kill()
            file = found.folder / "data" / "outbox" / "plant.sqlite"
            restarted(file)
            if durability == "fsync":
                assert unaccounted(cable, file) == []
            document["agent"]["data_dir"] = str(found.folder / "data")
            agent.configure(document)
            await agent.start()
            await caught_up(agent)
            assert await agent.stop() == 0
            first = min(epoch for epoch, _, _ in cable.published)
            lost = {gap["device"]: gap for gap in cable.gaps.values() if gap["kind"] == "lost"}
            assert set(lost) == (set(load.devices) if durability == "commit" else set())
            missing = unaccounted(cable, file)
            for epoch, device, seq in missing:
                gap = lost[device]
                assert epoch == gap["epoch"] == first
                assert gap["from_seq"] <= seq
                assert gap["to_seq"] is None
                assert gap["from_ts"] <= gap["to_ts"]
            assert cable.two_faced == []
            log.warning("%s: %s published, %s missing", durability, len(cable.published), len(missing))
        finally:
            found.unmount()
