"""`disk: on_outage`: what a broker takes at once never sees the disk; what it does not take does."""

from __future__ import annotations

import shutil

import pytest
from pydantic import ValidationError

from agent.outbox import SqliteOutbox
from agent.settings.outbox import OutboxSettings
from agent.testing.clock import ManualClock
from agent.testing.records import backlog, batch, gaps, live, lows, numbers
from tests.support.outbox_file import contents
from tests.support.waiting import eventually

TS = 1_763_760_000_000


@pytest.fixture
def clock():
    return ManualClock(TS)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "outbox" / "plant.sqlite"


def make(path, clock, **settings):
    policy = OutboxSettings.model_validate({"min_free_disk": "0B", "disk": "on_outage", **settings})
    return SqliteOutbox(path, name="plant", settings=policy, clock=clock)


async def warm(outbox, reader):
    """The first record of a stream makes the stream known, on disk."""
    outbox.append(batch())
    (record,) = await live(reader, 1)
    reader.ack(record)
    await outbox.flush()


async def test_nothing_is_written_while_the_broker_takes_everything(path, clock):
    """Numbers count, `low` follows, and the disk sees nothing of it but a note a minute."""
    outbox = make(path, clock)
    async with outbox.open():
        with outbox.reader() as reader:
            await warm(outbox, reader)
            written = outbox.stats.written_bytes
            for number in range(100):
                outbox.append(batch(number=number))
                (record,) = await live(reader, 1)
                assert not record.historical
                reader.ack(record)
            assert (outbox.stats.written_bytes, outbox.stats.records, outbox.stats.bytes) == (written, 0, 0)
            assert contents(path).records == {}
            assert outbox.streams()[0].low == outbox.streams()[0].next == 102
            await clock.advance(61)
            outbox.append(batch())
            (record,) = await live(reader, 1)
            reader.ack(record)
            assert list(contents(path).next.values()) == [103]
    assert list(contents(path).next.values()) == [103]


async def test_what_is_not_acknowledged_in_time_goes_to_the_disk(path, clock):
    """After 5 s, under its row and number; then an acknowledgement deletes it like any other."""
    outbox = make(path, clock)
    async with outbox.open():
        with outbox.reader() as reader:
            await warm(outbox, reader)
            for number in range(4):
                outbox.append(batch(number=number))
            one, *others = await live(reader, 4)
            reader.ack(others[0])
            assert contents(path).records == {}
            await clock.advance(6)
            await eventually(lambda: sorted(key[2] for key in contents(path).records) == [2, 4, 5])
            reader.ack(one)
            assert await lows(outbox) == {"press-01": 4}
            assert sorted(key[2] for key in contents(path).records) == [4, 5]
        with outbox.reader() as reader:
            assert numbers(await backlog(reader)) == [("press-01", 4), ("press-01", 5)]


async def test_at_the_end_of_a_session_everything_goes_to_the_disk(path, clock):
    """And comes as backlog in the next, in order, also what the new session found in memory."""
    outbox = make(path, clock)
    async with outbox.open():
        with outbox.reader() as reader:
            await warm(outbox, reader)
            for number in range(3):
                outbox.append(batch(number=number))
            await live(reader, 3)
        with outbox.reader() as reader:
            assert reader.backlog_left == 3
            outbox.append(batch(number=3))
            records = await backlog(reader)
            assert numbers(records) == [("press-01", seq) for seq in (2, 3, 4)]
            assert numbers(await live(reader, 1)) == [("press-01", 5)]
    assert len(contents(path).records) == 4


async def test_a_refused_record_waits_on_the_disk_and_a_rejected_one_is_quarantined(path, clock):
    """What is tried again comes from the backlog; what is given up is declared."""
    outbox = make(path, clock)
    async with outbox.open():
        with outbox.reader() as reader:
            await warm(outbox, reader)
            for number in range(3):
                outbox.append(batch(number=number))
            one, two, three = await live(reader, 3)
            reader.retry(one)
            reader.reject(two, "no")
            reader.ack(three)
            (again,) = await reader.backlog(5)
            assert (again.seq, again.historical, again.content) == (2, True, one.content)
            reader.ack(again)
            (gap,) = await live(reader, 1)
            reader.ack(gap)
            (declared,) = gaps([gap])
            assert (declared.kind, declared.from_seq) == ("quarantined", 3)
            assert await lows(outbox) == {"press-01": 5}
            assert (outbox.stats.records, outbox.stats.bytes, outbox.stats.quarantined) == (0, 0, 1)


async def test_a_crash_costs_what_was_in_memory_and_says_so(path, clock, tmp_path):
    """The next start declares a loss from the last number the disk knew on; no number means two things."""
    outbox = make(path, clock)
    async with outbox.open():
        with outbox.reader() as reader:
            await warm(outbox, reader)
            for number in range(3):
                outbox.append(batch(number=number))
            await live(reader, 3)
            shutil.copytree(path.parent, tmp_path / "crashed")
            epoch = outbox.streams()[0].epoch
    crashed = make(tmp_path / "crashed" / path.name, clock)
    async with crashed.open():
        with crashed.reader() as reader:
            records = await backlog(reader)
            crashed.append(batch())
            (new,) = await live(reader, 1)
    assert numbers(records) == []
    (lost,) = [gap for gap in gaps(records) if gap.kind == "lost"]
    assert (lost.epoch, lost.from_seq, lost.to_seq, lost.records) == (epoch, 2, None, None)
    assert lost.reason == "ended while records were in memory only"
    assert new.stream.epoch != epoch


async def test_a_clean_end_loses_nothing(path, clock):
    """Everything is on disk, and no loss is declared."""
    outbox = make(path, clock)
    async with outbox.open():
        with outbox.reader() as reader:
            await warm(outbox, reader)
            outbox.append(batch(number=1))
            await live(reader, 1)
    outbox = make(path, clock)
    async with outbox.open():
        with outbox.reader() as reader:
            records = await backlog(reader)
    assert numbers(records) == [("press-01", 2)]
    assert [gap.kind for gap in gaps(records)] == ["down"]


def test_what_is_never_on_disk_cannot_be_kept():
    """keep_acked and on_outage contradict each other."""
    with pytest.raises(ValidationError, match="leave out one of the two"):
        OutboxSettings.model_validate({"disk": "on_outage", "keep_acked": {}})


async def test_an_acknowledgement_of_what_is_on_disk_takes_nothing_along(path, clock):
    """The broker answers after the next scan, as it does on any real line: still nothing more is written."""
    outbox = make(path, clock)
    async with outbox.open():
        with outbox.reader() as reader:
            outbox.append(batch())  # makes the stream known, so it goes to the disk, and its acknowledgement too
            (before,) = await live(reader, 1)
            written = outbox.stats.written_bytes
            for number in range(1, 50):
                outbox.append(batch(number=number))
                (record,) = await live(reader, 1)
                reader.ack(before)
                before = record
                outbox._writer.wake()
                await clock.advance(0)
            assert outbox.stats.written_bytes == written
            assert [seq for _, _, seq in contents(path).records] == []
            assert outbox.stats.records == 1
            (noted,) = contents(path).next.values()
            assert noted <= before.seq  # a crash now would declare what comes from there on
            await clock.advance(6)
            await eventually(lambda: [seq for _, _, seq in contents(path).records] == [50])


async def test_a_cut_between_an_acknowledgement_and_a_spill_hands_everything_out_once(path, clock):
    """What was in memory only at the cut is the next session's backlog, in its place."""
    outbox = make(path, clock)
    async with outbox.open():
        with outbox.reader() as reader:
            outbox.append(batch())
            (first,) = await live(reader, 1)
            outbox.append(batch(number=1))
            await live(reader, 1)
            reader.ack(first)
            outbox._writer.wake()
            await eventually(lambda: contents(path).records == {})
        outbox.append(batch(number=2))
        with outbox.reader() as reader:
            outbox.append(batch(number=3))
            assert numbers(await backlog(reader)) == [("press-01", 2), ("press-01", 3)]
            assert numbers(await live(reader, 1)) == [("press-01", 4)]
            assert reader.backlog_left == 0
    assert [seq for _, _, seq in contents(path).records] == [2, 3, 4]
