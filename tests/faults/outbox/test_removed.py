"""The outbox file is removed or replaced under a running agent."""

from __future__ import annotations

import shutil

import pytest
from structlog.testing import capture_logs

from agent.core.errors import PermanentError
from agent.outbox import SqliteOutbox
from agent.settings.outbox import OutboxSettings
from agent.testing.clock import ManualClock
from agent.testing.records import backlog, batch, numbers

TS = 1_763_760_000_000


def make(path, clock):
    return SqliteOutbox(path, name="plant", settings=OutboxSettings(), clock=clock)


@pytest.mark.parametrize("what", ["folder", "file", "file, another put there"])
async def test_a_file_that_is_removed_in_use_is_written_anew(tmp_path, what):
    """What waited and what comes is there after a kill, under its numbers; the file still has one owner."""
    clock, path = ManualClock(TS), tmp_path / "outbox" / "route.sqlite"
    outbox = make(path, clock)
    async with outbox.open():
        for _ in range(3):
            outbox.append(batch())
        await outbox.flush()
        if what == "folder":
            shutil.rmtree(path.parent)
        else:
            path.unlink()
        if "another" in what:
            path.write_bytes(b"somebody's backup")
        await clock.advance(10)
        with capture_logs() as logs:
            outbox.append(batch())
            await outbox.flush()
        outbox.append(batch())
        await outbox.flush()
        assert [line["event"] for line in logs] == ["outbox.file_removed"]
        with pytest.raises(PermanentError):
            async with make(path, clock).open():
                pass
        kept = [one.read_bytes() for one in path.parent.glob("route.sqlite.found-*")]
        assert kept == ([b"somebody's backup"] if "another" in what else [])
        shutil.copytree(path.parent, tmp_path / "killed")
    killed = make(tmp_path / "killed" / path.name, clock)
    async with killed.open():
        with killed.reader() as reader:
            assert [seq for _, seq in numbers(await backlog(reader))] == [1, 2, 3, 4, 5]
