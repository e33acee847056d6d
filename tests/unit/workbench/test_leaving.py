"""A visit ends in order however long leaving the device takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress

import pytest

from agent.collectors.modbus.config import ModbusConfig
from agent.core.flow import Answer, Sample
from agent.testing.context import SimpleContext
from agent.workbench import live


class Slow:
    """Answers at once, and takes longer to leave than it may take to answer."""

    left = False

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterator[Sample]]:
        try:
            yield self._samples()
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(0.3):
                    await asyncio.Event().wait()
            self.left = True

    async def _samples(self) -> AsyncIterator[Sample]:
        ts = 1_763_760_000_000
        yield Sample(ts=ts, answers=[Answer(tags=(0,), values=[7], ts=ts)])


async def test_leaving_may_take_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time for an answer does not run while the device is being left (a server that deletes 5,000 items)."""
    monkeypatch.setattr(live, "PATIENCE", 0.0)
    config = {"type": "modbus", "url": "tcp://127.0.0.1", "timeout": "50ms", "tags": {"a": {"address": "holding:0"}}}
    device = ModbusConfig.model_validate(config)
    slow = Slow()
    async with aclosing(live.visits_of("press", device, slow, SimpleContext())) as visits:
        visit = await anext(visits)
    assert visit.good
    assert slow.left
