"""A scripted twin of the Collector port: it yields, waits and fails as told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agent.core.flow import Sample


class ScriptedCollector:
    """`feed` samples or errors; an error fed while nobody is connected fails the next connection attempt."""

    def __init__(self) -> None:
        self._script: asyncio.Queue[Sample | Exception] = asyncio.Queue()
        self.opened = 0  #: connections made
        self.closed = 0  #: connections left
        self.refuse: Exception | None = None  #: what entering raises

    def feed(self, *steps: Sample | Exception) -> None:
        """What the open connection yields or raises next."""
        for step in steps:
            self._script.put_nowait(step)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterator[Sample]]:
        if self.refuse is not None:
            raise self.refuse
        self.opened += 1
        try:
            yield self._samples()
        finally:
            self.closed += 1

    async def _samples(self) -> AsyncIterator[Sample]:
        while True:
            step = await self._script.get()
            if isinstance(step, Exception):
                raise step
            yield step
