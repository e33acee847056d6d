"""A small site: clock, lines and notes for one collector under test."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from agent.core.clock import Clock, SystemClock
from agent.core.ports import Line


class SimpleSite:
    """Implements `core.ports.Site`. As an async context manager it runs the lines that are asked for while it is open.

        async with SimpleSite() as site:
            collector = config.build("press", site)
            async with collector.open() as samples: ...

    A line that ends or raises fails the site, as its contract says it never does.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        data_dir: Path | None = None,
        agent: str = "test",
        recording: bool = False,
    ) -> None:
        self.agent = agent
        self.clock: Clock = clock if clock is not None else SystemClock()
        self.data_dir = data_dir if data_dir is not None else Path(tempfile.gettempdir())
        self.recording = recording
        self.last_recorded: dict[str, int] = {}  #: by device, as outboxes would say it
        self.lines: dict[str, Line[Any, Any]] = {}
        self.notes: dict[tuple[str, str], object] = {}
        self._group: asyncio.TaskGroup | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def line(self, key: str, make: Callable[[], Line[Any, Any]], /) -> Any:
        if key not in self.lines:
            self.lines[key] = make()
            if self._group is not None:
                self._start(key)
        return self.lines[key]

    def recorded(self, device: str, /) -> int | None:
        return self.last_recorded.get(device)

    def note(self, device: str, key: str, value: object, /) -> None:
        if value is None:
            self.notes.pop((device, key), None)
        else:
            self.notes[device, key] = value

    def _start(self, key: str) -> None:
        assert self._group is not None
        self._tasks.append(self._group.create_task(self.lines[key].run(), name=f"line {key}"))

    async def __aenter__(self) -> Self:
        self._group = await asyncio.TaskGroup().__aenter__()
        for key in self.lines:
            self._start(key)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._group is not None
        group, self._group = self._group, None
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()
        await group.__aexit__(kind, error, trace)
