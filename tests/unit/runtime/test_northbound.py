"""Outboxes that open and close while the agent runs, and sessions that follow one another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from structlog.testing import capture_logs

from agent.config.model import Config
from agent.core.errors import PermanentError
from agent.core.ports import OutboxStats
from agent.encoders.json import JsonConfig
from agent.outbox import SqliteOutbox
from agent.runtime import ending, northbound
from agent.testing.publisher import ScriptedPublisher, ScriptedSession
from tests.support.waiting import eventually
from tests.unit.runtime.test_topology import Route, _config, stage


@asynccontextmanager
async def let_go(event: asyncio.Event) -> AsyncIterator[None]:
    """What hangs goes on when the test is over, however it ends: a failure shows, and not a time-out."""
    try:
        yield
    finally:
        event.set()


async def test_an_outbox_nobody_waits_for_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent stops while a reload opens an outbox that takes its time: it is closed once it is open."""
    opening, held = asyncio.Event(), asyncio.Event()
    really = SqliteOutbox.open

    @asynccontextmanager
    async def slowly(self: SqliteOutbox) -> AsyncIterator[None]:
        opening.set()
        await held.wait()
        async with really(self):
            yield

    monkeypatch.setattr(SqliteOutbox, "open", slowly)
    async with asyncio.timeout(30), stage() as one, asyncio.TaskGroup() as group, let_go(held):
        await one.to(_config({}, {}))
        reload = group.create_task(one.to(_config({}, {"plant": Route(encoder=JsonConfig())})))
        await opening.wait()
        reload.cancel()
        await asyncio.wait([reload])
        held.set()
    assert not one.topology.north.routes


def _publishers(*names: str, root: str = "edge") -> Config:
    return _config({}, {name: Route(encoder=JsonConfig(), root=root) for name in names})


async def test_a_disk_that_hangs_holds_up_no_reload(monkeypatch: pytest.MonkeyPatch) -> None:
    """The removed publisher is gone in time, and its name is refused until its outbox is closed; then it is free."""
    hangs, really = asyncio.Event(), SqliteOutbox.open

    @asynccontextmanager
    async def open_hanging(self: SqliteOutbox) -> AsyncIterator[None]:
        async with really(self):
            try:
                yield
            finally:
                await hangs.wait()

    async def never(self: SqliteOutbox) -> None:
        del self
        await asyncio.Event().wait()

    monkeypatch.setattr(northbound, "CLOSE_WITHIN", 0.05)
    async with asyncio.timeout(30), stage() as one, let_go(hangs):
        with monkeypatch.context() as hanging:
            hanging.setattr(SqliteOutbox, "open", open_hanging)
            await one.to(_publishers("plant", "cloud"))
            hanging.setattr(SqliteOutbox, "flush", never)
            with capture_logs() as logs:
                await one.topology.north.remove(["plant"])
        one.config = _publishers("cloud")
        named = [(line["event"], line.get("component")) for line in logs]
        assert named == [("component.stop_slow", "outbox plant"), ("publisher.removed", "publisher")]
        assert list(one.topology.north.routes) == ["cloud"]
        with pytest.raises(PermanentError, match="the outbox of `plant` is not closed yet"):
            await one.to(_publishers("plant", "cloud"))
        hangs.set()
        await eventually(lambda: all(task.done() for task in one.topology.north._closing.values()))
        await one.to(_publishers("plant", "cloud"))
        assert one.topology.north.routes["plant"].state == "online"


async def test_what_a_disk_refuses_keeps_its_publisher(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records are in memory only: a reload that removes their publisher is refused, and says what to do first."""
    async with asyncio.timeout(30), stage() as one:
        await one.to(_publishers("plant", "cloud"))
        with monkeypatch.context() as full:
            stats = OutboxStats(records=3, committing=False, refusal="disk full -> free disk space")
            full.setattr(SqliteOutbox, "stats", stats)
            with pytest.raises(
                PermanentError, match="would be lost with it: disk full -> free disk space; then reload"
            ):
                await one.to(_publishers("cloud"))
        assert one.topology.north.routes.keys() == {"plant", "cloud"}
        await one.to(_publishers("cloud"))
        assert one.topology.north.routes.keys() == {"cloud"}


async def test_a_session_that_does_not_end_is_not_joined_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its successor says why it waits, and begins when the former session has ended."""
    ends, really = asyncio.Event(), ScriptedPublisher.open
    opened: list[ScriptedPublisher] = []

    @asynccontextmanager
    async def stubborn(self: ScriptedPublisher, *arguments: Any) -> AsyncIterator[ScriptedSession]:
        opened.append(self)
        async with really(self, *arguments) as session:
            try:
                yield session
            finally:
                while not ends.is_set():
                    with suppress(asyncio.CancelledError):
                        await ends.wait()

    monkeypatch.setattr(ScriptedPublisher, "open", stubborn)
    monkeypatch.setattr(northbound, "SAY_GOODBYE_WITHIN", 0.05)
    monkeypatch.setattr(ending, "GRACE", 0.05)
    async with asyncio.timeout(30), stage() as one, asyncio.TaskGroup() as group, let_go(ends):
        await one.to(_publishers("plant"))
        reload = group.create_task(one.to(_publishers("plant", root="other")))
        north = one.topology.north
        await eventually(
            lambda: [route.reason for route in north.running()] == ["the former session has not ended yet"]
        )
        assert len(opened) == 1
        ends.set()
        await reload
        assert len(opened) == 2
        assert north.routes["plant"].state == "online"
