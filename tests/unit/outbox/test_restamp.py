"""Boot without a clock: what was read before it was set gets its right times, unless somebody has been told already."""

from __future__ import annotations

from typing import Any

import pytest

from agent.core.flow import Batch, Reading
from agent.outbox import SqliteOutbox
from agent.outbox.restamp import restamped
from agent.settings.outbox import OutboxSettings
from agent.testing.clock import ManualClock
from agent.testing.records import backlog, live
from tests.support.waiting import eventually

BOOT = 1_600_000_000_000  # 2020: the build date of a gateway without a battery
HOUR = 3600_000


@pytest.fixture
def clock():
    return ManualClock(BOOT, synced=False)


def make(path, clock):
    settings = OutboxSettings.model_validate({"min_free_disk": "0B"})
    return SqliteOutbox(path / "plant.sqlite", name="plant", settings=settings, clock=clock)


def read(clock, number=0, device="press-01"):
    """As the normalizer makes it: the agent's time, and one with a source's."""
    now = clock.now_ms()
    readings = [Reading("a", number, now - 20, "good"), Reading("b", number, 1_763_000_000_000, "good", src=None)]
    return Batch(device, now, readings, clock=None if clock.synced else "unsynced")


def content(record) -> Any:
    """A batch."""
    return record.content


async def set_clock(clock, outbox, seconds):
    clock.step_wall(seconds)
    clock.synced = True
    outbox.append(read(clock, device="wake"))
    await outbox.flush()
    await eventually(lambda: not outbox._state.unset)


async def test_what_nobody_was_told_gets_its_right_times(tmp_path, clock):
    """On disk and in the live lane; by how far the clock was off, whatever its steps before; the mark goes."""
    outbox = make(tmp_path, clock)
    async with outbox.open():
        outbox.append(read(clock, 0))
        await outbox.flush()
        await clock.advance(10)
        outbox.append(read(clock, 1))
        clock.step_wall(-500)  # still not set
        outbox.append(read(clock, 2))
        with outbox.reader() as reader:
            outbox.append(read(clock, 3))
            await outbox.flush()
            await set_clock(clock, outbox, 100_500)
            records = [*await live(reader, 2), *await backlog(reader)]
        by_number = {content(one).readings[0].value: one for one in records if one.stream.device == "press-01"}
    right = {0: BOOT + 100_000_000, 1: BOOT + 100_010_000, 2: BOOT + 100_010_000, 3: BOOT + 100_010_000}
    for number, ts in right.items():
        said = content(by_number[number])
        assert (said.ts, said.clock, by_number[number].ts) == (ts, None, ts)
        assert [reading.ts for reading in said.readings] == [ts - 20, 1_763_000_000_000]
    assert by_number[3].historical is False


async def test_what_was_handed_out_keeps_its_content(tmp_path, clock):
    """It may be with the broker: sent again it is the same, mark and all."""
    outbox = make(tmp_path, clock)
    async with outbox.open():
        with outbox.reader() as reader:
            for number in range(3):
                outbox.append(read(clock, number))
            first = await live(reader, 1)
            before = content(first[0])
            await set_clock(clock, outbox, 1000)
            rest = await live(reader, 3)
            assert [content(one).clock for one in rest] == [None, None, None]
        with outbox.reader() as reader:
            again = await backlog(reader)
        assert content(again[0]) == before
        assert before.clock == "unsynced"
        assert [content(one) for one in again[1:]] == [content(one) for one in rest]
        assert outbox.stats.bytes == sum(one.size for one in again)


async def test_what_is_acknowledged_is_forgotten(tmp_path, clock):
    """Also where its content was given up while it was kept a little: a clock that is never set must cost no memory."""
    outbox = make(tmp_path, clock)
    async with outbox.open():
        with outbox.reader() as reader:
            outbox.append(read(clock))
            (record,) = await live(reader, 1)
            assert outbox._state.unset.told
            record.content = Batch("press-01", 0, [])
            reader.ack(record)
            assert not outbox._state.unset.told


async def test_records_of_an_earlier_run_are_left_alone(tmp_path, clock):
    """How far that run's clock was off nobody knows; and somebody may have been told."""
    outbox = make(tmp_path, clock)
    async with outbox.open():
        outbox.append(read(clock))
    outbox = make(tmp_path, clock)
    async with outbox.open():
        outbox.append(read(clock, 1))
        await set_clock(clock, outbox, 1000)
        with outbox.reader() as reader:
            records = [one for one in await backlog(reader) if one.seq]
    assert [content(one).clock for one in records] == ["unsynced", None, None]


async def test_many_are_put_right_in_portions(tmp_path, clock):
    """None is left out."""
    outbox = make(tmp_path, clock)
    async with outbox.open():
        for number in range(500):
            outbox.append(read(clock, number))
        await set_clock(clock, outbox, 5000)
        with outbox.reader() as reader:
            records = await backlog(reader)
    assert len(records) == 501
    assert {content(one).clock for one in records} == {None}
    assert [content(one).readings[0].value for one in records[:500]] == list(range(500))


def test_times_of_a_source_are_left_alone():
    """Only what is close to the agent's own wrong time is the agent's."""
    times = [BOOT, BOOT - 250, BOOT - 30 * HOUR, BOOT + 100 * HOUR, BOOT + 99 * HOUR]
    old = Batch("d", BOOT, [Reading("t", 1, ts, "good") for ts in times], clock="unsynced")
    new = restamped(old, 100 * HOUR)
    shifted = [BOOT + 100 * HOUR, BOOT - 250 + 100 * HOUR]
    assert [reading.ts for reading in new.readings] == [*shifted, *times[2:]]
    assert (new.ts, new.clock) == (BOOT + 100 * HOUR, None)
    assert [reading.ts for reading in old.readings] == times
