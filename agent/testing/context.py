"""A small BuildContext: clock, buses and notes for one collector under test."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from agent.core.clock import Clock, SystemClock
from agent.core.ports import Bus


class SimpleContext:
    """Implements `core.ports.BuildContext`. Entered, it runs the buses that are asked for.

        async with SimpleContext() as context:
            collector = config.build("press", context)
            async with collector.open() as samples: ...

    A bus that ends or raises fails the context, as its contract says it never does.
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
        self.devices = 1
        self.last_recorded: dict[str, int] = {}  #: by device, as outboxes would say it
        self.largest = sys.maxsize  #: bytes of a value that routes carry
        self.buses: dict[str, Bus] = {}
        self.notes: dict[tuple[str, str], object] = {}
        self.undo: list[Callable[[], None]] = []  #: of what collectors have registered
        self._group: asyncio.TaskGroup | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def bus(self, key: str, make: Callable[[], Bus], /) -> Any:
        if key not in self.buses:
            self.buses[key] = make()
            if self._group is not None:
                self._start(key)
        return self.buses[key]

    def recorded(self, device: str, /) -> int | None:
        return self.last_recorded.get(device)

    def room(self, _device: str, /) -> int:
        return self.largest

    def note(self, device: str, key: str, value: object, /) -> None:
        if value is None:
            self.notes.pop((device, key), None)
        else:
            self.notes[device, key] = value

    def while_running(self, register: Callable[[], Callable[[], None]], /) -> None:
        self.undo.append(register())

    def _start(self, key: str) -> None:
        assert self._group is not None
        self._tasks.append(self._group.create_task(self.buses[key].run(), name=f"bus {key}"))

    async def __aenter__(self) -> Self:
        self._group = await asyncio.TaskGroup().__aenter__()
        for key in self.buses:
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
