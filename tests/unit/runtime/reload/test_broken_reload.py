"""A hundred broken configurations under an agent that runs: it goes on, and tells each mistake by file and line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from agent.config.diff import Difference
from agent.config.loader import load
from agent.config.model import Config
from agent.core.errors import PermanentError
from agent.core.image import AgentInfo, Image
from agent.runtime.drafts import Draft
from agent.runtime.reload.reloader import Reloader
from agent.runtime.topology import Topology
from agent.testing.clock import ManualClock
from tests.unit.config.broken import BROKEN

GOOD = 'agent: {id: gw}\ndevices: {press: {type: modbus, url: "tcp://192.0.2.1", tags: {a: {address: "holding:0"}}}}\n'


class Untouched:
    """A topology in which nothing may happen."""

    north = SimpleNamespace(routes={})

    def wake(self) -> None:
        """Whoever waits tries again: somebody may have mended something."""

    def look_through(self) -> None:
        """Nothing has ended."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"a broken configuration reached the parts: {name}")


async def _settle(_config: Config, _diff: Difference) -> None:
    """Neither device nor publisher: nothing here."""


@asynccontextmanager
async def reloading(folder: Path, parts: object = None) -> AsyncIterator[Reloader]:
    """The reloader of an agent that runs GOOD."""
    path = folder / "agent.yaml"
    path.write_text(GOOD)
    loaded = load(path)
    image = Image(AgentInfo("gw", "0", loaded.hash))
    topology = cast("Topology", parts or Untouched())
    made = Reloader(path, loaded, topology, image=image, clock=ManualClock(), settle=_settle)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(made.run())
        yield made
        task.cancel()


async def test_whatever_is_wrong_the_old_configuration_runs_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused, logged with file and line, `attempted` and `error` in the agent's status; in force is what was."""
    monkeypatch.setenv("EDGE_TEXT", "top-secret")
    async with reloading(tmp_path) as reloader:
        await _refuses_all(reloader)


async def _refuses_all(reloader: Reloader) -> None:
    before, image = reloader.effective, reloader._image
    for broken in BROKEN:
        reloader.path.write_text(broken.text, encoding="utf-8")
        with capture_logs() as logs:
            outcome = await reloader.reload("test")
        place = f"{reloader.path}:{broken.line}: "
        told = [mistake for mistake in outcome.mistakes if mistake.startswith(place) and broken.word in mistake]
        assert told, f"{broken}: {outcome.mistakes}"
        assert outcome.result == "refused"
        assert [log["mistakes"] for log in logs if log["event"] == "config.rejected"] == [list(outcome.mistakes)]
        about = image.agent
        assert (about.config, about.attempted) == (before.hash, outcome.hash)
        assert outcome.hash != before.hash
        assert about.error is not None
        assert str(reloader.path) in about.error
        more = len(outcome.mistakes) - 1
        assert (f"(and {more} more)" in about.error.partition(" -> ")[0]) == (more > 0), "what to do stands behind it"
        assert "top-secret" not in str(logs)
        assert reloader.effective is before


class Stormy:
    """A topology that takes everything; whoever asks for reloads asks again each time one has been read."""

    north = SimpleNamespace(routes={})

    def __init__(self) -> None:
        self.again: Callable[[], object] = lambda: None
        self.applied: list[Draft] = []
        self.bug: Exception | None = None

    def look_through(self) -> None:
        """Nothing is left behind."""

    def draft(self, config: Config, diff: Difference) -> Draft:
        """In the thread that reads."""
        self.again()
        return Draft(config, diff)

    async def open(self, _draft: Draft) -> None:
        """Nothing to open."""

    async def leave(self, _draft: Draft) -> None:
        """Nothing is open."""

    async def begin(self, draft: Draft) -> None:
        """It is in force now."""
        self.applied.append(draft)
        if self.bug is not None:
            raise self.bug

    def wake(self) -> None:
        """Nobody waits."""


async def test_who_asks_all_the_time_is_answered(tmp_path: Path) -> None:
    """What was read is applied although somebody has asked again, while it was read, each time."""
    topology = Stormy()
    async with reloading(tmp_path, topology) as reloader:
        loop = asyncio.get_running_loop()
        topology.again = lambda: loop.call_soon_threadsafe(reloader.request, "SIGHUP")
        reloader.path.write_text(GOOD.replace("press", "saw"))
        async with asyncio.timeout(30):
            assert (await reloader.reload("command")).result == "applied"
    assert list(topology.applied[0].config.devices) == ["saw"]


async def test_a_part_that_may_be_missing_is_not_forgotten(tmp_path: Path) -> None:
    """A bug cut a reload short: the same files, read again, change nothing, and the status goes on telling of it."""
    topology = Stormy()
    async with reloading(tmp_path, topology) as reloader:
        reloader.path.write_text(GOOD.replace("press", "saw"))
        topology.bug = ValueError("cut short")
        await reloader.reload("command")
        topology.bug = None
        assert (await reloader.reload("command")).result == "nothing"
        assert "cut short" in str(reloader._image.agent.error)


async def test_what_cannot_be_built_is_refused_by_name(tmp_path: Path) -> None:
    """The part is named, with what to do; of a bug the traceback is in the log."""
    unbuilt = {"publisher plant": PermanentError("no library", "install it"), "device press": KeyError("odd")}
    parts = SimpleNamespace(
        north=Untouched.north,
        wake=lambda: None,
        look_through=lambda: None,
        draft=lambda _config, _diff: SimpleNamespace(unbuilt=unbuilt),
    )
    async with reloading(tmp_path, parts) as reloader:
        reloader.path.write_text(GOOD.replace("holding:0", "holding:1"))
        with capture_logs() as logs:
            outcome = await reloader.reload("test")
    assert outcome.mistakes[0] == "publisher plant: no library -> install it"
    assert outcome.mistakes[1].startswith("device press: KeyError: 'odd' -> this is a bug")
    assert [log["component"] for log in logs if log["event"] == "component.bug"] == ["device press"]
