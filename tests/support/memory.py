"""Resident memory of a process while a test goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil
import pytest


@pytest.fixture
def own_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Agents are started, not forked (tests/support/nursery.py): what is measured must be all their own."""
    monkeypatch.setenv("EDGE_OWN_MEMORY", "1")


class Memory:
    """Resident memory of a process, above what it was at first: the most in each plight, MB."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._first = self._process.memory_info().rss
        self.first_mb = self._first / 1e6
        self.most: dict[str, float] = {}

    @asynccontextmanager
    async def through(self, plight: str) -> AsyncIterator[None]:
        """Watch while the body runs."""

        async def watch() -> None:
            while True:
                grown = (self._process.memory_info().rss - self._first) / 1e6
                self.most[plight] = max(self.most.get(plight, grown), grown)
                await asyncio.sleep(0.1)

        async with asyncio.TaskGroup() as group:
            watching = group.create_task(watch())
            try:
                yield
            finally:
                watching.cancel()
