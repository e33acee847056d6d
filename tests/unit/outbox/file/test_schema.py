"""A file written by an older version of the program."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agent.core.errors import PermanentError
from agent.core.flow import ResendRequest
from agent.core.ports import Resent
from agent.outbox import SqliteOutbox
from agent.outbox.file import schema
from agent.outbox.file.transaction import StoredStream
from agent.outbox.operator.protocol import Done, OutboxQuestion, Which
from agent.settings.outbox import OutboxSettings
from agent.testing.clock import ManualClock
from agent.testing.records import TS, again, backlog, batch, gaps, live, numbers

TABLES = schema.TABLES
#: What two later versions would bring.
STEPS = {
    1: ["CREATE TABLE later (id INTEGER PRIMARY KEY)", "INSERT INTO later SELECT id FROM streams"],
    2: ["DROP INDEX records_low", "CREATE INDEX records_low ON records (stream, hold, size, ts)"],
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "route.sqlite"


@pytest.fixture
def make(path):
    def make():
        settings = OutboxSettings.model_validate({"min_free_disk": "0B"})
        return SqliteOutbox(path, name="plant", settings=settings, clock=ManualClock(TS))

    return make


@pytest.fixture
def become(monkeypatch):
    """The program of that version."""

    def become(version):
        monkeypatch.setattr(schema, "TABLES", TABLES if version == 1 else f"{TABLES}{STEPS[1][0]};")
        monkeypatch.setattr(schema, "VERSION", version)
        monkeypatch.setattr(schema, "UPGRADES", STEPS)

    return become


async def written(outbox, count):
    async with outbox.open():
        for number in range(count):
            outbox.append(batch(number=number, readings=200))


async def found(outbox):
    async with outbox.open():
        with outbox.reader() as reader:
            return [seq for _, seq in numbers(await backlog(reader))]


def asked(path, question):
    with closing(sqlite3.connect(path)) as db:
        return db.execute(question).fetchall()


async def test_an_older_file_is_upgraded_step_by_step(make, path, become):
    """What waits in it is delivered; it is said once."""
    become(1)
    await written(make(), 5)
    become(3)
    with capture_logs() as logs:
        assert await found(make()) == [1, 2, 3, 4, 5]
    said = [(line["version"], line["file"]) for line in logs if line["event"] == "outbox.upgraded"]
    assert said == [(2, str(path)), (3, str(path))]
    assert asked(path, "PRAGMA user_version") == [(3,)]
    assert asked(path, "SELECT count(*) FROM later") == [(1,)]
    with capture_logs() as logs:
        assert await found(make()) == [1, 2, 3, 4, 5]
    assert "outbox.upgraded" not in [line["event"] for line in logs]


async def test_a_look_leaves_an_older_file_to_the_version_that_wrote_it(make, path, become):
    """Nothing is said, which would stand in the way of `outbox --json`."""
    become(1)
    await written(make(), 3)
    become(3)
    with capture_logs() as logs, closing(schema.connect(path, "fsync", look=True)) as db:
        assert db.execute("SELECT count(*) FROM later").fetchall() == [(1,)]
    assert logs == []
    assert asked(path, "PRAGMA user_version") == [(1,)]
    become(1)
    assert await found(make()) == [1, 2, 3]


async def test_an_upgrade_that_fails_leaves_the_older_file(make, path, become, monkeypatch):
    """All of a step happens, or nothing: the version that wrote the file still reads it."""
    become(1)
    await written(make(), 3)
    become(2)
    monkeypatch.setattr(schema, "UPGRADES", {1: [*STEPS[1], "UPDATE nowhere SET x = 1"]})
    with pytest.raises(sqlite3.OperationalError), closing(schema.connect(path, "commit")):
        pass
    assert asked(path, "PRAGMA user_version") == [(1,)]
    assert asked(path, "SELECT name FROM sqlite_master WHERE name = 'later'") == []
    become(1)
    assert await found(make()) == [1, 2, 3]


async def test_a_damaged_older_file_is_salvaged_into_the_present_format(make, path, become):
    """Records that can be read come over, whatever their table lacked."""
    become(1)
    await written(make(), 40)
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2 // 4096 * 4096)
        file.write(random.Random(1).randbytes(4096))
    become(3)
    kept = await found(make())
    assert 20 < len(kept) < 40
    assert asked(path, "PRAGMA user_version") == [(3,)]


async def test_the_older_program_refuses_a_newer_file_and_leaves_it_alone(make, path, become, tmp_path):
    """A downgrade says which version knows the file; back on it, all is there."""
    become(3)
    await written(make(), 3)
    become(1)
    before = shutil.copy(path, tmp_path / "before")
    with pytest.raises(PermanentError, match="outbox format 3; this version knows formats up to 1"):
        await found(make())
    assert path.read_bytes() == before.read_bytes()
    become(3)
    assert await found(make()) == [1, 2, 3]


@pytest.fixture
def of_version_1(path):
    """What version 0.1.0 left behind: two runs, acknowledged, quarantined and waiting records, an unsent gap."""
    shutil.copyfile(Path(__file__).with_name("format-1.outbox"), path)
    settings = OutboxSettings.model_validate({"min_free_disk": "0B", "keep_acked": {"age": "30d"}})
    return SqliteOutbox(path, name="plant", settings=settings, clock=ManualClock(TS + 2000))


async def test_a_file_of_version_1_is_taken_over_with_all_that_is_in_it(path, of_version_1):
    """What waits goes out under its epoch and numbers; what is kept and quarantined can be sent once more."""
    outbox = of_version_1
    async with outbox.open():
        assert asked(path, "PRAGMA user_version") == [(2,)]
        with outbox.reader() as reader:
            waiting = await backlog(reader)
            assert numbers(waiting) == [("press-01", 4), ("press-01", 5)]
            assert [gap.kind for gap in gaps(waiting)] == ["quarantined", "down"]
            for record in waiting:
                reader.ack(record)
            await outbox.flush()
            outbox.append(batch())
            (stream,) = [one for one in outbox.streams() if one.epoch == (await live(reader, 1))[0].stream.epoch]
            assert [one.next for one in stream.before] == [6, 6]
            second, first = (one.epoch for one in stream.before)
            assert (await outbox.answer(OutboxQuestion("requeue", Which(epoch=first)))).done == Done(1, 2, 74)
            resent = await outbox.resend(ResendRequest("A", "press-01", first, 1, 9))
            assert resent == Resent(again=4, lost=0)
            resent = await outbox.resend(ResendRequest("B", "press-01", second, 1, 5))
            assert resent == Resent(again=4, lost=0)  # 1 is in quarantine, and its gap was sent
            records = await again(reader, 9)
            assert [(one.stream.epoch, one.seq) for one in records[:5]] == [(first, n) for n in (2, 1, 3, 4, 5)]
            assert [(one.stream.epoch, one.seq) for one in records[5:]] == [(second, n) for n in (2, 3, 4, 5)]
            assert all(one.content.readings for one in records)


async def test_numbers_nobody_has_any_more_are_declared_once(path, of_version_1):
    """Kept in a file of version 1 or not: exactly what is missing, in runs, and never a second time."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("DELETE FROM acked WHERE seq IN (3, 4) AND stream = 1")
        db.commit()
    outbox = of_version_1
    async with outbox.open():
        (old,) = {stream.epoch for stream in asked_streams(path) if stream.next == 6 and stream.id == 1}
        with outbox.reader() as reader:
            await backlog(reader)
            assert await outbox.resend(ResendRequest("A", "press-01", old, 1, 100)) == Resent(again=2, lost=2)
            (gap,) = gaps(await live(reader, 1))
            assert (gap.kind, gap.from_seq, gap.to_seq, gap.records, gap.request) == ("lost", 3, 4, 2, "A")
            assert (gap.from_ts, gap.to_ts, gap.epoch) == (TS, TS, old)
            assert await outbox.resend(ResendRequest("B", "press-01", old, 1, 100)) == Resent(again=0, lost=0)
            insisting = ResendRequest("B2", "press-01", old, 1, 100, insists=True)
            assert await outbox.resend(insisting) == Resent(again=0, lost=3), "their gaps have not arrived"
            assert await outbox.resend(ResendRequest("C", "press-01", "nobody's", 1, 1)) is None
            assert await outbox.resend(ResendRequest("D", "press-02", old, 1, 1)) is None


def asked_streams(path):
    return [StoredStream(*row) for row in asked(path, "SELECT id, epoch, device, next, ts FROM streams")]


async def test_streams_are_remembered_for_a_while(path):
    """Of a device the newest 8, and none older than 7 days; the counts of their readings and scans with them."""
    settings = OutboxSettings.model_validate({"min_free_disk": "0B"})
    for run in range(12):
        clock = ManualClock(TS + run * 3600_000)
        outbox = SqliteOutbox(path, name="plant", settings=settings, clock=clock)
        async with outbox.open():
            outbox.scanned("press-01", 3, 2, 1)
            outbox.append(batch(readings=run + 1))
            with outbox.reader() as reader:
                for record in await backlog(reader):
                    reader.ack(record)
            await outbox.flush()
            (stream,) = outbox.streams()
    assert [one.readings for one in stream.before] == [11, 10, 9, 8, 7, 6, 5, 4]
    assert {(one.next, one.scans.due, one.scans.done, one.scans.late) for one in stream.before} == {(2, 3, 2, 1)}
    assert (stream.readings, stream.scans.done) == (12, 2)
    clock = ManualClock(TS + 7 * 86_400_000 + 9 * 3600_000)
    outbox = SqliteOutbox(path, name="plant", settings=settings, clock=clock)
    async with outbox.open():
        outbox.append(batch())
        await outbox.flush()
        assert [one.readings for one in outbox.streams()[-1].before] == [12, 11, 10]
