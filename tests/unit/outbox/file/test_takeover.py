"""A file under a new name: all of it, with its numbers, and never half of it, whenever the process is killed."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from agent.core.errors import PermanentError
from agent.outbox import open_outbox, outbox_path
from agent.outbox.file import takeover
from agent.outbox.orphans import Orphan, orphans
from agent.settings.outbox import OutboxSettings
from agent.testing.clock import ManualClock
from agent.testing.records import TS, backlog, batch, gaps, numbers

SETTINGS = OutboxSettings.model_validate({"min_free_disk": "0B"})


def make(data_dir, name, was=None):
    return open_outbox(data_dir, name=name, settings=SETTINGS, clock=ManualClock(TS), was=was)


async def fill(data_dir, name, count=3):
    """A run that leaves so many records; its epoch."""
    outbox = make(data_dir, name)
    async with outbox.open():
        for number in range(count):
            outbox.append(batch(number=number))
        return outbox.streams()[0].epoch


async def content(data_dir, name, was=None):
    """What waits in it: epoch and numbers of the batches, and the gaps."""
    outbox = make(data_dir, name, was)
    async with outbox.open():
        with outbox.reader() as reader:
            records = await backlog(reader)
    return {record.stream.epoch for record in records if record.seq}, numbers(records), gaps(records)


def leave_log(path: Path) -> None:
    """As a killed agent leaves the file: what was committed last is in its write-ahead log only."""
    other = path.with_name("other")
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA wal_autocheckpoint = 0")
        db.execute("UPDATE meta SET value = '0' WHERE key = 'clean'")
        db.execute("INSERT INTO memo VALUES ('late', x'01')")
        db.commit()
        for suffix in ("", "-wal"):
            other.with_name(other.name + suffix).write_bytes(path.with_name(path.name + suffix).read_bytes())
    db.close()
    for suffix in ("", "-wal"):
        other.with_name(other.name + suffix).rename(path.with_name(path.name + suffix))


async def test_the_new_name_has_epochs_and_numbers_of_the_old(tmp_path):
    """Its backlog, and then the time without an agent; nothing is left under the old name."""
    epoch = await fill(tmp_path, "plant")
    epochs, sent, (gap,) = await content(tmp_path, "main", was="plant")
    assert (epochs, sent) == ({epoch}, [("press-01", n) for n in (1, 2, 3)])
    assert (gap.kind, gap.epoch, gap.to_seq) == ("down", epoch, 3)
    assert {file.name for file in (tmp_path / "outbox").iterdir()} == {
        "main.lock", "main.sqlite", "main.sqlite.ballast",
    }  # fmt: skip
    assert (await content(tmp_path, "main", was="plant"))[1] == sent


@pytest.mark.parametrize("links", [True, False])
async def test_what_only_the_log_knows_comes_along(tmp_path, monkeypatch, links):
    """A killed agent's file, where closing it cannot put the log into it; with and without links on the file system."""
    await fill(tmp_path, "plant")
    leave_log(outbox_path(tmp_path, "plant"))
    monkeypatch.setattr(takeover, "connect", _refuse)
    if not links:
        monkeypatch.setattr(Path, "hardlink_to", _refuse)
    main = make(tmp_path, "main", was="plant")
    async with main.open():
        assert main.memo.get("late") == b"\x01"
        assert main.stats.records == 4
    assert orphans(tmp_path, {"main"}) == []


def _refuse(*_: object) -> None:
    raise sqlite3.OperationalError("database or disk is full") if len(_) > 2 or isinstance(_[-1], str) else OSError(1)


@pytest.mark.parametrize("step", range(1, 5))
async def test_a_kill_in_between_is_taken_up_by_the_next_start(tmp_path, monkeypatch, step):
    """After each of its steps in turn."""
    await fill(tmp_path, "plant")
    leave_log(outbox_path(tmp_path, "plant"))
    monkeypatch.setattr(takeover, "connect", _refuse)
    done = 0

    def dies(real):
        def step_of(*arguments, **options):
            nonlocal done
            if done == step:
                raise KeyboardInterrupt
            done += 1
            return real(*arguments, **options)

        return step_of

    with monkeypatch.context() as patched:
        patched.setattr(Path, "hardlink_to", dies(Path.hardlink_to))
        patched.setattr(Path, "unlink", dies(Path.unlink))
        with pytest.raises(KeyboardInterrupt):
            takeover.take_over(outbox_path(tmp_path, "plant"), outbox_path(tmp_path, "main"), "commit")
    main = make(tmp_path, "main", was="plant")
    async with main.open():
        assert main.memo.get("late") == b"\x01"
        assert main.stats.records == 4
    assert orphans(tmp_path, {"main"}) == []


async def test_a_log_that_is_nobodys_is_not_applied(tmp_path):
    """Left beside a file that somebody removed: it belongs to another database."""
    await fill(tmp_path, "main")
    leave_log(outbox_path(tmp_path, "main"))
    outbox_path(tmp_path, "main").unlink()
    await fill(tmp_path, "plant")
    main = make(tmp_path, "main", was="plant")
    async with main.open():
        assert main.memo.get("late") is None
        assert main.stats.records == 4


async def test_two_files_are_refused_and_both_left(tmp_path):
    """Nobody can put two histories of one stream of numbers together."""
    await fill(tmp_path, "plant")
    await fill(tmp_path, "main", count=1)
    with pytest.raises(PermanentError, match="under the old name, plant, and under the new one, main"):
        await content(tmp_path, "main", was="plant")
    assert [(one.publisher, one.records) for one in orphans(tmp_path, ())] == [("main", 1), ("plant", 3)]


async def test_a_file_in_use_is_not_taken(tmp_path):
    """The publisher of the old name runs still."""
    plant = make(tmp_path, "plant")
    async with plant.open():
        with pytest.raises(PermanentError, match=r"plant\.sqlite is in use"):
            await content(tmp_path, "main", was="plant")
        plant.append(batch())
        await plant.flush()
    assert (await content(tmp_path, "main", was="plant"))[1] == [("press-01", 1)]


async def test_without_an_old_file_there_is_nothing_to_take(tmp_path):
    """`was` may stay in the configuration for ever."""
    assert await content(tmp_path, "main", was="plant") == (set(), [], [])


async def test_orphans_are_counted_without_being_touched(tmp_path):
    """Also one whose last records are in its log only, one that is no database, an empty one, and none at all."""
    assert orphans(tmp_path, ()) == []
    await fill(tmp_path, "plant")
    await fill(tmp_path, "used")
    path = outbox_path(tmp_path, "plant")
    (tmp_path / "outbox" / "broken.sqlite").write_bytes(b"nonsense" * 200)
    (tmp_path / "outbox" / "plant.sqlite.damaged-1").write_bytes(b"")
    (tmp_path / "outbox" / "empty.sqlite").write_bytes(b"")
    assert [one.records for one in orphans(tmp_path, {"used"})] == [None, 0, 3]
    (tmp_path / "outbox" / "empty.sqlite").unlink()
    before = path.read_bytes()
    expected = Orphan("plant", str(path), 3, 6, orphans(tmp_path, ())[1].bytes, TS, TS)
    assert orphans(tmp_path, {"used"}) == [Orphan("broken", str(path.with_name("broken.sqlite"))), expected]
    assert path.read_bytes() == before
    assert {file.name for file in path.parent.glob("plant.sqlite-*")} == set()
    leave_log(path)
    assert orphans(tmp_path, {"used", "broken"}) == [expected]
    if os.geteuid():  # root may write anywhere
        path.parent.chmod(0o500)
        assert orphans(tmp_path, {"used", "broken"})[0].publisher == "plant"
        path.parent.chmod(0o700)
