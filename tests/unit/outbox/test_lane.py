"""A live lane whose broker is slow: on the disk, not in memory, and live all the same."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

import pytest

from agent.core.flow import Batch, Gap, Reading, Record, Stream
from agent.outbox import SqliteOutbox
from agent.outbox.file.store import OutboxStore
from agent.outbox.file.transaction import DiskRefused
from agent.outbox.lanes import Lanes
from agent.outbox.reader import PATIENCE
from agent.outbox.ring import LIVE_BYTES, is_bare
from agent.settings.outbox import OutboxSettings
from agent.testing.clock import ManualClock
from agent.testing.records import TS, backlog, gaps, live, numbers

COUNT = 400


@pytest.fixture(params=["always", "on_outage"])
def outbox(tmp_path, request):
    settings = OutboxSettings.model_validate({"min_free_disk": "0B", "disk": request.param})
    return SqliteOutbox(tmp_path / "route.sqlite", name="route", settings=settings, clock=ManualClock(TS))


def scan(number):
    """Some 2 KiB."""
    return Batch("press-01", TS, [Reading(f"tag_{i:03d}", number + i / 7, TS, "good") for i in range(160)])


async def behind(outbox):
    """Scans nobody has asked for yet, and how much of them is in memory."""
    for number in range(COUNT):
        outbox.append(scan(number))
        if number % 20 == 19 or number == 0:
            await outbox.flush()
    waiting = outbox._state.lanes.live.values()
    return sum(record.size for record in waiting if not is_bare(record.content))


async def test_all_of_it_comes_live_and_whole(outbox):
    """In its order, none historical; in memory is no more than the bound, whatever waits."""
    async with outbox.open():
        with outbox.reader() as reader:
            assert 0 < await behind(outbox) <= LIVE_BYTES
            records = await live(reader, COUNT // 2)
            for record in records:
                reader.ack(record)
            await outbox.flush()
            outbox.append(scan(COUNT))
            await outbox.flush()
            records += await live(reader, COUNT - COUNT // 2 + 1)
            assert reader.backlog_left == 0
    assert numbers(records) == [("press-01", seq) for seq in range(1, COUNT + 2)]
    assert not any(record.historical for record in records)
    assert all(record.content.readings == scan(record.seq - 1).readings for record in records)


def test_what_is_held_is_what_is_there():
    """Whatever comes and goes, gaps among it, nothing is held of an empty lane."""
    stream = Stream("E", "press-01")
    lanes = Lanes(last_row=0, left=0, session=1)
    gap = Gap(id="1", kind="missed", device="press-01", from_ts=1, to_ts=2, reason="overflow")
    for row in range(1, 200):
        content = gap if row % 3 == 0 else scan(row)
        lanes.arrived([Record(row, stream, row, TS, content, historical=False, size=2000)])
    lanes.restore([150, 151], lanes.withdraw([150, 151]))
    assert lanes._held > LIVE_BYTES - 2000
    while lanes.live:
        lanes.take_live(7)
    assert lanes._held == 0


def test_no_more_is_read_back_than_may_be_held():
    """A broker that is slow for a moment does not bring all that waits into memory at once."""
    lanes = Lanes(last_row=0, left=0, session=1)
    for row in range(1, 200):
        lanes.arrived([Record(row, Stream("E", "press-01"), row, TS, scan(row), historical=False, size=20_000)])
    taken: list[Record] = []
    while not taken or not is_bare(taken[0].content):
        taken = lanes.take_live(64)
    assert LIVE_BYTES <= sum(record.size for record in taken) < LIVE_BYTES + 20_000


async def test_many_at_once_stay_live(outbox):
    """A plant whose devices are all read in the same moment: more than memory is to hold, before the first commit."""
    async with outbox.open():
        with outbox.reader() as reader:
            for number in range(COUNT):
                outbox.append(scan(number))
            records = await live(reader, COUNT)
    assert [record.seq for record in records] == list(range(1, COUNT + 1))
    assert not any(record.historical for record in records)
    assert all(record.content.readings == scan(record.seq - 1).readings for record in records)


async def test_what_is_damaged_meanwhile_is_lost_alone(outbox, tmp_path):
    """It is declared with its number; the others come."""
    async with outbox.open():
        with outbox.reader() as reader:
            await behind(outbox)
            with closing(sqlite3.connect(tmp_path / "route.sqlite")) as db, db:
                db.execute("UPDATE records SET content = ? WHERE seq = ?", (b"rubbish", COUNT))
            records = await live(reader, COUNT - 1)
            await outbox.flush()
            records += await live(reader, 1)
    assert [seq for _, seq in numbers(records)] == list(range(1, COUNT))
    (gap,) = gaps(records)
    assert (gap.kind, gap.from_seq, gap.to_seq) == ("lost", COUNT, COUNT)


async def test_what_cannot_be_read_now_becomes_backlog(outbox):
    """The disk refuses to read for a moment: nothing is lost, and what comes later says so."""
    async with outbox.open():
        with outbox.reader() as reader:
            await behind(outbox)
            records = []
            while not is_bare(next(iter(outbox._state.lanes.live.values())).content):
                records += await live(reader, 1)
            fetch = reader._fetch

            async def refuse(*_):
                reader._fetch = fetch
                raise DiskRefused("I/O error")

            reader._fetch = refuse
            records += await live(reader, 10)  # the ten after those that could not be read
            assert not any(record.historical for record in records)
            assert reader.backlog_left == 10
            late = await backlog(reader)
            records += await live(reader, COUNT - 10 - len(records))
    assert all(record.historical for record in late)
    assert sorted(seq for _, seq in numbers([*records, *late])) == list(range(1, COUNT + 1))
    assert all(record.content.readings == scan(record.seq - 1).readings for record in [*records, *late])


async def test_a_sector_that_cannot_be_read_costs_what_is_in_it(tmp_path, monkeypatch):
    """The backlog waits for it a while; then the file is salvaged around it, and the rest comes."""
    clock = ManualClock(TS)
    settings = OutboxSettings.model_validate({"min_free_disk": "0B"})
    outbox = SqliteOutbox(tmp_path / "route.sqlite", name="route", settings=settings, clock=clock)
    fetch = OutboxStore.fetch

    def refuse(self, low, high, limit, max_bytes):
        if not list(tmp_path.glob("*.damaged-*")):
            raise DiskRefused("disk I/O error")
        return fetch(self, low, high, limit, max_bytes)

    async with outbox.open():
        for number in range(10):
            outbox.append(scan(number))
        await outbox.flush()
        monkeypatch.setattr(OutboxStore, "fetch", refuse)
        with outbox.reader() as reader:
            async with asyncio.TaskGroup() as group:
                asked = group.create_task(reader.backlog(100))
                seconds = 0
                async with asyncio.timeout(20):
                    while not asked.done():
                        seconds += not list(tmp_path.glob("*.damaged-*"))
                        await clock.advance(1)
                        await outbox.flush()
                assert seconds >= PATIENCE
            records = [*asked.result(), *await live(reader, 1)]
    assert [seq for _, seq in numbers(records)] == list(range(1, 11))
    (gap,) = gaps(records)
    assert (gap.kind, gap.from_seq, gap.to_seq) == ("lost", 1, 10)


async def test_a_disk_that_refuses_everything_is_not_taken_for_damaged(tmp_path):
    """Neither reading nor writing: it is away, and the file is as it was when it comes back."""
    outbox = SqliteOutbox(tmp_path / "route.sqlite", name="route", settings=OutboxSettings(), clock=ManualClock(TS))
    async with outbox.open():
        writer = outbox._writer
        assert writer is not None
        writer._refusal.reason = "it is away"
        writer.unreadable("disk I/O error")
        outbox.append(scan(0))
        await outbox.flush()
    assert list(tmp_path.glob("*.damaged-*")) == []
