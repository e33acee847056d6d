"""Work that runs beside the body of an `async with`, and ends with it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self


class Background:
    """A task group for work that reports its failures by itself: leaving cancels what still runs and waits for it.

    An error of the body passes through as it is, not wrapped in a group.
    """

    def __init__(self) -> None:
        self._group = asyncio.TaskGroup()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run `work` until it ends or the body does."""
        self._tasks.append(self._group.create_task(work, name=name))

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        if isinstance(error, Exception | GeneratorExit):
            kind = error = trace = None  # the group would wrap it; returning None lets it pass
        await self._group.__aexit__(kind, error, trace)
