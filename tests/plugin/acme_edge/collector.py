"""`type: counter`: a device that answers `GET name` with a number, a line each way over TCP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from agent.core.errors import ConnectionLost
from agent.core.flow import Answer, Sample
from agent.core.ports import BuildContext, Collector
from agent.core.quality import BAD_CONFIGURATION_ERROR
from agent.settings import CollectorConfig


class CounterConfig(CollectorConfig):
    """A device that counts."""

    type: Literal["counter"]
    """A device that counts."""
    host: str = "127.0.0.1"
    """Where it is."""
    port: int
    """Its port."""

    def build(self, name: str, context: BuildContext) -> Collector:
        return CounterCollector(self, context)


class CounterCollector:
    """Implements `core.ports.Collector`: every tag, once an interval, in one answer."""

    def __init__(self, config: CounterConfig, context: BuildContext) -> None:
        self._config, self._clock = config, context.clock
        self._names = [name for name, tag in config.tags.items() if tag.enabled]
        # the same tuple on every scan: the normalizer compiles once per tuple
        self._tags = tuple(position for position, tag in enumerate(config.tags.values()) if tag.enabled)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterator[Sample]]:
        config = self._config
        try:
            async with asyncio.timeout(config.timeout):
                reader, writer = await asyncio.open_connection(config.host, config.port)
        except (OSError, TimeoutError) as error:
            raise ConnectionLost(f"cannot reach {config.host}:{config.port}: {error!r}") from error
        try:
            yield self._samples(reader, writer)
        finally:
            writer.close()

    async def _samples(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> AsyncIterator[Sample]:
        tick = self._clock.monotonic()
        while True:
            yield await self._scan(reader, writer)
            tick += self._config.interval
            await self._clock.sleep(max(0.0, tick - self._clock.monotonic()))

    async def _scan(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Sample:
        values: list[object] = []
        status: list[int] = []
        for name in self._names:
            answer = await self._ask(name, reader, writer)
            values.append(int(answer) if answer.isdigit() else None)
            status.append(0 if answer.isdigit() else BAD_CONFIGURATION_ERROR)
        ts = self._clock.now_ms()
        return Sample(ts=ts, answers=[Answer(tags=self._tags, values=values, ts=ts, status=status)])

    async def _ask(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        try:
            async with asyncio.timeout(self._config.timeout):
                writer.write(f"GET {name}\n".encode())
                await writer.drain()
                line = await reader.readline()
        except (OSError, TimeoutError) as error:
            raise ConnectionLost(f"no answer for {name}: {error!r}") from error
        if not line.endswith(b"\n"):
            raise ConnectionLost("the device closed the connection")
        return line.decode(errors="replace").strip()
