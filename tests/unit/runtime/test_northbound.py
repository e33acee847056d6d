"""Outboxes that open while the agent runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from agent.encoders.json import JsonConfig
from agent.outbox import SqliteOutbox
from tests.unit.runtime.test_topology import Route, _config, stage


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
    async with asyncio.timeout(30), stage() as one, asyncio.TaskGroup() as group:
        await one.to(_config({}, {}))
        reload = group.create_task(one.to(_config({}, {"plant": Route(encoder=JsonConfig())})))
        await opening.wait()
        reload.cancel()
        await asyncio.wait([reload])
        held.set()
    assert not one.topology.north.routes
