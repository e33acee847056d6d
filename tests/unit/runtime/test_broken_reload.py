"""A hundred broken configurations under an agent that runs: it goes on, and tells each mistake by file and line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from agent.config.diff import Difference
from agent.config.loader import load
from agent.config.model import Config
from agent.core.image import AgentInfo, Image
from agent.runtime.reloader import Reloader
from agent.runtime.topology import Topology
from agent.testing.clock import ManualClock
from tests.unit.config.broken import BROKEN

GOOD = 'agent: {id: gw}\ndevices: {press: {type: modbus, url: "tcp://192.0.2.1", tags: {a: {address: "holding:0"}}}}\n'


class Untouched:
    """A topology in which nothing may happen."""

    north = SimpleNamespace(routes={})

    def wake(self) -> None:
        """Whoever waits tries again: somebody may have mended something."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"a broken configuration reached the parts: {name}")


async def _settle(_config: Config, _diff: Difference) -> None:
    raise AssertionError


@asynccontextmanager
async def reloading(folder: Path) -> AsyncIterator[Reloader]:
    """The reloader of an agent that runs GOOD."""
    path = folder / "agent.yaml"
    path.write_text(GOOD)
    loaded = load(path)
    image = Image(AgentInfo("gw", "0", loaded.hash))
    topology = cast("Topology", Untouched())
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
        assert "top-secret" not in str(logs)
        assert reloader.effective is before
