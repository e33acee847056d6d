"""One reload at a time: who asks meanwhile gets the next one, and a bug ends neither the agent nor the reloading."""

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
from agent.core.errors import PermanentError
from agent.core.image import AgentInfo, Image
from agent.runtime.drafts import Draft
from agent.runtime.reload.reloader import Reloader
from agent.runtime.topology import Topology
from agent.testing.clock import ManualClock
from tests.support.waiting import eventually

DEVICE = """
devices:
  press: {{type: modbus, url: "tcp://192.0.2.1", timeout: {}s, tags: {{a: {{address: "holding:0"}}}}}}
"""


class Parts:
    """A topology that notes what is applied, and can be held up or broken."""

    north = SimpleNamespace(routes={})

    def __init__(self) -> None:
        self.applied: list[float] = []
        self.may_open = asyncio.Event()
        self.may_open.set()
        self.opening = 0
        self.bug: Exception | None = None
        self.refuse: Exception | None = None

    def wake(self) -> None:
        """Nobody waits."""

    def look_through(self) -> None:
        """Nothing is left behind."""

    def draft(self, config: Config, diff: Difference) -> Draft:
        if self.refuse is not None:
            raise self.refuse
        return Draft(config, diff)

    async def open(self, _draft: Draft) -> None:
        self.opening += 1
        await self.may_open.wait()

    async def leave(self, _draft: Draft) -> None:
        """Nothing is open."""

    async def begin(self, draft: Draft) -> None:
        if self.bug is not None:
            raise self.bug
        if draft.difference:
            self.applied.append(draft.config.devices["press"].timeout)


class Bench:
    """A reloader, its file and its parts."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "agent.yaml"
        self.write(1)
        self.parts = Parts()
        loaded = load(self.path)
        self.image = Image(AgentInfo("gw", "0", loaded.hash))
        self.reloader = Reloader(
            self.path, loaded, cast("Topology", self.parts), image=self.image, clock=ManualClock(), settle=self._settle
        )

    def write(self, seconds: object) -> None:
        self.path.write_text(f"agent: {{id: gw}}{DEVICE.format(seconds)}")

    async def _settle(self, _config: Config, _diff: Difference) -> None:
        """Nothing else to apply."""


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """With the reloader running."""
    async with running(Bench(tmp_path)) as made:
        yield made


@asynccontextmanager
async def running(made: Bench) -> AsyncIterator[Bench]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(made.reloader.run())
        yield made
        task.cancel()


async def test_who_asks_meanwhile_gets_the_next_one(bench: Bench) -> None:
    """The second one waits for the first, reads the files again and is measured against what the first left."""
    bench.parts.may_open.clear()
    async with asyncio.TaskGroup() as group:
        bench.write(2)
        first = group.create_task(bench.reloader.reload("first"))
        await eventually(lambda: bench.parts.opening == 1, what="the first is under way")
        bench.write(3)
        second = group.create_task(bench.reloader.reload("second"))
        third = group.create_task(bench.reloader.reload("third"))
        await asyncio.sleep(0)
        bench.parts.may_open.set()
    assert bench.parts.applied == [2.0, 3.0]
    assert [task.result().result for task in (first, second, third)] == ["applied", "applied", "applied"]
    changes: Any = second.result().difference.devices_changed["press"].changes
    assert [(change.old, change.new) for change in changes] == [(2.0, 3.0)]


async def test_what_was_read_and_is_old_by_now_is_not_applied(bench: Bench) -> None:
    """Asked again while the files are read: only what they say in the end comes into force."""
    drafted: list[float] = []
    draft = bench.parts.draft

    def slow(config: Config, diff: Difference) -> Draft:
        drafted.append(config.devices["press"].timeout)
        if len(drafted) == 1:
            bench.write(3)
            loop.call_soon_threadsafe(bench.reloader.request, "again")
            asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result()
        return draft(config, diff)

    loop = asyncio.get_running_loop()
    bench.parts.draft = slow  # type: ignore[method-assign]
    bench.write(2)
    outcome = await bench.reloader.reload("first")
    assert drafted == [2.0, 3.0]
    assert bench.parts.applied == [3.0]
    assert outcome.result == "applied"


async def test_a_part_that_cannot_be_built_refuses_all_of_it(bench: Bench) -> None:
    """Nothing is applied, the status tells why; the next reload is as if nothing had been."""
    bench.parts.refuse = PermanentError("no such library", "install it")
    bench.write(2)
    with capture_logs() as logs:
        outcome = await bench.reloader.reload("test")
    assert (outcome.result, outcome.mistakes) == ("refused", ("no such library -> install it",))
    assert [line["event"] for line in logs] == ["config.rejected"]
    assert bench.image.agent.error == "no such library -> install it"
    assert bench.image.agent.attempted == outcome.hash != bench.image.agent.config
    bench.parts.refuse = None
    assert (await bench.reloader.reload("test")).result == "applied"
    after = bench.reloader
    assert (after.error, after.mistakes) == (None, ())


async def test_a_bug_while_applying_ends_nothing(bench: Bench) -> None:
    """Logged once with its traceback; the next reload works, and the status goes on telling what may be missing."""
    bench.parts.bug = ZeroDivisionError("oops")
    bench.write(2)
    with capture_logs() as logs:
        await bench.reloader.reload("test")
    assert [line["component"] for line in logs if line["event"] == "component.bug"] == ["reload"]
    assert "ZeroDivisionError" in (bench.image.agent.error or "")
    bench.parts.bug = None
    bench.write(3)
    assert (await bench.reloader.reload("test")).result == "applied"
    assert "a part may be missing until it is restarted" in (bench.image.agent.error or "")


async def test_the_same_again_changes_nothing(bench: Bench) -> None:
    """However often it is delivered, and written otherwise."""
    for seconds in ("1", "1.0", "1"):
        bench.write(seconds)
        assert (await bench.reloader.reload("test")).result == "nothing"
    assert bench.parts.applied == []


async def test_files_that_are_missing_are_an_error_until_they_are_back(bench: Bench) -> None:
    """What runs stays in force; who put the file back, or had it read again, ends it; an older mistake stays."""
    gone = "missing: agent.yaml; what was read before runs on"
    effective = bench.image.agent.config
    for back in (lambda: bench.reloader.files_missing(()), None):
        bench.reloader.files_missing(["agent.yaml"])
        assert (bench.image.agent.error, bench.image.agent.config) == (gone, effective)
        if back is None:
            assert (await bench.reloader.reload("test")).result == "nothing"
        else:
            back()
        assert bench.image.agent.error is None
    bench.write("soon")
    assert (await bench.reloader.reload("test")).result == "refused"
    refused = bench.image.agent.error
    assert refused is not None
    bench.reloader.files_missing(["agent.yaml"])
    assert bench.image.agent.error == gone
    bench.reloader.files_missing(())
    assert bench.image.agent.error == refused
