"""One thread for one file. What is begun is finished, and its outcome known, even when the caller is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def _end(over: asyncio.Future[None]) -> None:
    if not over.done():  # nobody waits any more
        over.set_result(None)


class Worker:
    """Runs functions one after the other."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)

    def submit(self, function: Callable[[], T]) -> Future[T]:
        """Begin; the result is in the future."""
        return self._executor.submit(function)

    async def finished(self, future: Future[T]) -> None:
        """Wait for the end of it, however it ends. Cancelling the wait does not cancel the work."""
        loop = asyncio.get_running_loop()
        over = loop.create_future()

        def tell(_: object) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(_end, over)

        future.add_done_callback(tell)
        await over

    async def call(self, function: Callable[[], T]) -> T:
        """Run and wait."""
        future = self.submit(function)
        await self.finished(future)
        return future.result()

    def close(self) -> None:
        """Wait for what is under way and end the thread."""
        self._executor.shutdown(wait=True)
