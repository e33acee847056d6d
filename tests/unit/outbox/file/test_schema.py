"""A file written by an older version of the program."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing

import pytest
from structlog.testing import capture_logs

from agent.core.errors import PermanentError
from agent.outbox import SqliteOutbox
from agent.outbox.file import schema
from agent.settings.outbox import OutboxSettings
from agent.testing.clock import ManualClock
from agent.testing.records import TS, backlog, batch, numbers

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
