from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import subprocess
from contextlib import closing

import pytest
from structlog.testing import capture_logs

from agent.core.errors import PermanentError
from agent.core.flow import Batch, Gap, Reading, Record
from agent.outbox import SqliteOutbox
from agent.outbox.file.ballast import STEP, free_bytes
from agent.settings.outbox import OutboxSettings
from agent.testing.clock import ManualClock
from agent.testing.records import backlog, batch, gaps, live, numbers
from tests.support.waiting import eventually

TS = 1_763_760_000_000


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 3 MiB."""
    yield from mounted_disk(tmp_path, "3m")


@pytest.fixture
def disk_with_ballast(tmp_path):
    """A file system of 8 MiB."""
    yield from mounted_disk(tmp_path, "8m")


@pytest.fixture
def roomy_disk(tmp_path):
    """A file system of 24 MiB."""
    yield from mounted_disk(tmp_path, "24m")


def mounted_disk(tmp_path, size):
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        if os.geteuid() == 0 and os.environ.get("CI"):
            pytest.fail(mounted.stderr)
        pytest.skip(f"a small file system needs root: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def make(path, clock=None, **settings):
    policy = OutboxSettings.model_validate({"min_free_disk": "0B", **settings})
    return SqliteOutbox(path, name="route", settings=policy, clock=clock or ManualClock(TS))


def noise(number, readings=200):
    dice = random.Random(number)
    return Batch("press-01", TS, [Reading(f"tag_{i:03d}", dice.random(), TS, "good") for i in range(readings)])


def fill(folder, name="filler"):
    """Take every free byte of a file system; the file that does so. Called again, it takes what has come free since."""
    filler = folder / name
    with filler.open("ab", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            pass
    return filler


async def test_a_full_disk_costs_nothing_that_fits_memory(small_disk):
    """While the disk is full nothing is published and nothing lost; when it has room everything is there, in order."""
    clock = ManualClock(TS)
    outbox = make(small_disk / "route.sqlite", clock)
    async with outbox.open():
        with outbox.reader() as reader:
            outbox.append(noise(0))
            assert numbers(await live(reader, 1)) == [("press-01", 1)]
            filler = fill(small_disk)
            for number in range(1, 400):
                outbox.append(noise(number))
            await outbox.flush()
            assert not outbox.stats.committing
            assert outbox.stats.records == 400
            filler.unlink()
            await clock.advance(10)
            outbox.append(noise(400))
            await eventually(lambda: outbox.stats.committing)
            await outbox.flush()
            records = [*await backlog(reader), *await live(reader, 1)]
            while len(numbers(records)) < 400:
                records += await live(reader, 1)
    assert sorted(seq for _, seq in numbers(records)) == list(range(2, 402))
    assert gaps(records) == []
    assert all(record.content.readings == noise(record.seq - 1).readings for record in records)


async def append_until_refused(outbox, clock, first):
    """Into the last free page of the file, when its log is given back too, and fifty more; the next number."""
    number = first
    while outbox.stats.committing:
        while outbox.stats.committing:
            outbox.append(noise(number))
            number += 1
            await outbox.flush()
        for _ in range(50):
            outbox.append(noise(number))
            number += 1
        await clock.advance(10)
        await outbox.flush()
    return number


async def taken_by_a_broker(outbox, clock, count):
    """All that waits, acknowledged a hundred at a time."""
    records: list[Record] = []
    with outbox.reader() as reader:
        while len(records) < count:
            async with asyncio.timeout(10), asyncio.TaskGroup() as group:
                portion = group.create_task(reader.backlog(100))
                while not portion.done():  # what is in memory comes when the disk has been tried again
                    await clock.advance(10)
                    await outbox.flush()
            for record in portion.result():
                reader.ack(record)
                records.append(record)
        await clock.advance(10)
        await outbox.flush()
    return records


async def test_a_broker_empties_a_full_disk(disk_with_ballast):
    """With not a byte free the ballast is given up: what is acknowledged goes, what waits is committed, in order.

    It comes back with what little is free then, so that the same disk, filled up again, is emptied again.
    """
    clock = ManualClock(TS)
    path = disk_with_ballast / "route.sqlite"
    ballast = path.with_name("route.sqlite.ballast")
    outbox = make(path, clock, max_bytes="16 MiB")
    async with outbox.open():
        for number in range(400):
            outbox.append(noise(number))
        await outbox.flush()
        assert ballast.stat().st_blocks * 512 == 1 << 20
        appended = 400
        records: list[Record] = []
        for again in range(2):
            filler = fill(disk_with_ballast, f"filler-{again}")
            appended = await append_until_refused(outbox, clock, appended)
            assert ballast.exists()  # nothing to delete yet: new records do not get it
            records += await taken_by_a_broker(outbox, clock, appended - len(records))
            await clock.advance(10)
            await outbox.flush()
            assert outbox.stats.committing
            assert (outbox.stats.records, filler.exists()) == (0, True)
            assert STEP <= ballast.stat().st_size < 1 << 20
        for filler in disk_with_ballast.glob("filler-*"):
            filler.unlink()
        await clock.advance(10)
        outbox.append(noise(0))
        await outbox.flush()
        assert ballast.stat().st_size == 1 << 20
    assert [seq for _, seq in numbers(records)] == list(range(1, appended + 1))
    assert gaps(records) == []


async def test_a_disk_below_its_floor_is_not_filled_further(roomy_disk):
    """`min_free_disk` belongs to others: the file stops growing, and what has to go is declared."""
    clock = ManualClock(TS)
    path = roomy_disk / "route.sqlite"
    outbox = make(path, clock, max_bytes="64 MiB", min_free_disk="12 MiB")
    async with outbox.open():
        least = free_bytes(path.parent)
        for number in range(4000):
            outbox.append(noise(number))
            if number % 50 == 49:
                await clock.advance(6)
                await outbox.flush()
                least = min(least, free_bytes(path.parent))
        assert outbox.stats.dropped_records > 500
        assert outbox.stats.committing
        assert least > 10 << 20
        with outbox.reader() as reader:
            records = await backlog(reader)
        kept = [seq for _, seq in numbers(records)]
        (gap,) = gaps(records)
        assert (gap.kind, gap.from_seq, gap.to_seq, gap.records) == ("dropped", 1, kept[0] - 1, kept[0] - 1)
        assert kept == list(range(kept[0], 4001))


async def test_what_memory_cannot_hold_is_declared_exactly(small_disk):
    """The ring's overflow is one gap with the right numbers, written when the disk takes writes again."""
    clock = ManualClock(TS)
    outbox = make(small_disk / "route.sqlite", clock)
    outbox._state.ring.max_records = 50
    async with outbox.open():
        outbox.append(noise(0))
        await outbox.flush()
        filler = fill(small_disk)
        with capture_logs() as logs:
            for number in range(1, 301):
                outbox.append(noise(number))
            await outbox.flush()
        assert not outbox.stats.committing
        (line,) = (line for line in logs if line["event"] == "outbox.overflow")
        assert (line["log_level"], line["device"], line["records"]) == ("error", "press-01", 250)
        filler.unlink()
        await clock.advance(10)
        outbox.append(noise(301))
        await eventually(lambda: outbox.stats.committing)
        await outbox.flush()
        with outbox.reader() as reader:
            records = await backlog(reader)
    (gap,) = gaps(records)
    kept = [seq for _, seq in numbers(records)]
    first, last = gap.from_seq or 0, gap.to_seq or 0
    assert (gap.kind, gap.records, gap.readings) == ("overflow", last - first + 1, (last - first + 1) * 200)
    assert sorted([*kept, *range(first, last + 1)]) == list(range(1, 303))


async def test_a_disk_that_is_full_at_start_is_no_reason_not_to_start(small_disk):
    """The outbox opens without its file, holds on in memory, and finds the file later."""
    clock = ManualClock(TS)
    filler = fill(small_disk)
    outbox = make(small_disk / "deep" / "route.sqlite", clock)
    async with outbox.open():
        with outbox.reader() as reader:
            outbox.append(batch())
            await outbox.flush()
            assert not outbox.stats.committing
            filler.unlink()
            await clock.advance(10)
            assert numbers(await live(reader, 1)) == [("press-01", 1)]


async def test_a_file_of_a_newer_version_that_turns_up_later_ends_nothing(tmp_path):
    """Where the folder was not there at start: the outbox stays in memory and says what to do, until that is done."""
    outside = tmp_path / "outside"
    _newer(outside)
    clock, folder = ManualClock(TS), tmp_path / "disk"
    folder.symlink_to(tmp_path / "nowhere" / "yet", target_is_directory=True)
    outbox = make(folder / "route.sqlite", clock)
    with capture_logs() as logs:
        async with outbox.open():
            with outbox.reader() as reader:
                outbox.append(batch())
                folder.unlink()
                folder.symlink_to(outside, target_is_directory=True)
                await clock.advance(10)
                await outbox.flush()
                assert not outbox.stats.committing
                (outside / "route.sqlite").unlink()
                await clock.advance(10)
                assert numbers(await live(reader, 1)) == [("press-01", 1)]
    said = [log for log in logs if log["event"] == "outbox.disk_refused"]
    assert any("outbox format 99" in log["reason"] and "version that wrote it" in log["hint"] for log in said)


def _newer(folder):
    folder.mkdir()
    with closing(sqlite3.connect(folder / "route.sqlite")) as db:
        db.execute("PRAGMA user_version = 99")


async def _write(path, count):
    outbox = make(path)
    async with outbox.open():
        for number in range(count):
            outbox.append(noise(number))
        await outbox.flush()
        return outbox.streams()[0].epoch


async def _opened_again(path):
    outbox = make(path)
    async with outbox.open():
        with outbox.reader() as reader:
            old = await backlog(reader)
            outbox.append(batch())
            await outbox.flush()
            new: list[Record] = []
            while len(numbers(new)) < 1:
                new += await live(reader, 1)
    return old, new


async def test_a_file_of_garbage_is_moved_aside(tmp_path):
    """The agent starts, and every device hears that something unknown was lost before it speaks again."""
    path = tmp_path / "route.sqlite"
    path.write_bytes(random.Random(1).randbytes(50_000))
    old, new = await _opened_again(path)
    assert old == []
    (gap,) = gaps(new)
    assert (gap.kind, gap.device, gap.records, gap.from_seq) == ("lost", "press-01", None, None)
    assert len(list(tmp_path.glob("route.sqlite.damaged-*"))) >= 1


async def test_a_directory_in_place_of_the_file_is_moved_aside(tmp_path):
    """With all that is in it; however often that happens, none of it is thrown away."""
    path = tmp_path / "route.sqlite"
    for number in range(5):
        path.mkdir()
        (path / "somebody's").write_text(str(number))
        assert await _write(path, 1)
        path.unlink()
    kept = sorted(tmp_path.glob("route.sqlite.damaged-*/somebody's"))
    assert sorted(one.read_text() for one in kept) == list("01234")


async def test_a_file_in_place_of_the_folder_is_named(tmp_path):
    """Nobody can put that right but the one who put it there."""
    (tmp_path / "outbox").write_text("")
    with pytest.raises(PermanentError, match=r"outbox is no directory.*move away"):
        async with make(tmp_path / "outbox" / "route.sqlite").open():
            pass


async def test_a_failing_disk_is_not_filled_with_copies(tmp_path):
    """Only the newest damaged files are kept."""
    path = tmp_path / "route.sqlite"
    for number in range(5):
        path.write_bytes(random.Random(number).randbytes(5000))
        await _write(path, 1)
    kept = [one for one in tmp_path.glob("route.sqlite.damaged-*") if not one.name.endswith(("-wal", "-shm"))]
    assert len(kept) == 3
    assert random.Random(4).randbytes(5000) in [one.read_bytes() for one in kept]


async def test_a_truncated_file_gives_what_is_left(tmp_path):
    """Records on the pages that are left are delivered, the stream's losses are declared."""
    path = tmp_path / "route.sqlite"
    epoch = await _write(path, 120)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size * 2 // 3 // 4096 * 4096)
    old, _ = await _opened_again(path)
    kept = [record for record in old if record.seq]
    assert 20 < len(kept) < 120
    assert all(record.content.readings == noise(record.seq - 1).readings for record in kept)
    assert {"down", "lost"} <= {gap.kind for gap in gaps(old)}
    lost = next(gap for gap in gaps(old) if gap.kind == "lost")
    assert (lost.epoch, lost.from_seq, lost.to_seq, lost.records) == (epoch, 1, 120, None)


async def test_damage_met_in_mid_run_is_salvaged_and_declared(tmp_path):
    """The writer goes on with a new file under the same epoch; what may be lost is declared, no number comes twice."""
    path = tmp_path / "route.sqlite"
    outbox = make(path)
    async with outbox.open():
        for number in range(60):
            outbox.append(noise(number))
        await outbox.flush()
        writer = outbox._writer
        assert writer is not None
        async with writer.lock:
            await writer._worker.call(writer._store.relieve)
            with path.open("r+b") as file:
                file.seek(path.stat().st_size // 2)
                file.write(bytes(8192))
        writer.damaged("a page is not what was written")
        await outbox.flush()
        outbox.append(noise(60))
        await outbox.flush()
        with outbox.reader() as reader:
            records = await backlog(reader)
            for record in records:
                reader.ack(record)
            await outbox.flush()
        stats, (stream,) = outbox.stats, outbox.streams()
    kept = numbers(records)
    assert 30 < len(kept) <= 61
    assert kept[-1] == ("press-01", 61)
    assert len(set(kept)) == len(kept)
    (gap,) = gaps(records)
    assert (gap.kind, gap.from_seq, gap.to_seq, gap.epoch) == ("lost", 1, 60, stream.epoch)
    assert (stats.records, stats.bytes, stream.low) == (0, 0, 62)


async def test_a_record_damaged_on_disk_is_lost_alone(tmp_path):
    """A flipped byte in one record costs that record, declared with its number; the others are delivered."""
    path = tmp_path / "route.sqlite"
    await _write(path, 5)
    with sqlite3.connect(path) as db:
        (packed,) = db.execute("SELECT content FROM records WHERE seq = 3").fetchone()
        spoilt = packed[:100] + bytes([packed[100] ^ 1]) + packed[101:]
        db.execute("UPDATE records SET content = ? WHERE seq = 3", (spoilt,))
    db.close()
    outbox = make(path)
    async with outbox.open():
        with outbox.reader() as reader:
            old = await backlog(reader)
            await outbox.flush()
            (declared,) = await live(reader, 1)
    assert [seq for _, seq in numbers(old)] == [1, 2, 4, 5]
    assert isinstance(declared.content, Gap)
    assert (declared.content.kind, declared.content.from_seq, declared.content.to_seq) == ("lost", 3, 3)
    assert declared.content.readings == 200


async def test_a_newer_format_is_refused_with_what_to_do(tmp_path):
    """The file of a later version is not touched."""
    path = tmp_path / "route.sqlite"
    await _write(path, 1)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(PermanentError, match="outbox format 99"):
        async with make(path).open():
            pass


async def test_a_file_has_one_owner(tmp_path):
    """A second agent on the same data_dir is told so."""
    path = tmp_path / "route.sqlite"
    async with make(path).open():
        with pytest.raises(PermanentError, match="in use by another process"):
            async with make(path).open():
                pass
