"""How much of the event loop visitors may take: half, and strangers a quarter. Devices are read by the same loop.

Who connects, or asks, without a pause would else be most of what it does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager, nullcontext
from types import coroutine
from typing import Any

EACH = 0.0005  #: seconds that a request costs beside what is counted
HANDSHAKE = 0.005  #: seconds of TLS, which happens where it cannot be counted; a busy machine takes as long
STRANGERS = 3  #: their seconds count for so many
MOST_WAIT = 2.0  #: seconds: a machine may have stood still in the middle of an answer
MOST_OWED = 0.05  #: seconds; beyond, new connections wait in the kernel


class VisitorPace:
    """Belongs to the event loop, as seconds that pass while it does nothing else. The clock is injected for tests."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._free = 0.0  #: from when on the next may be answered
        self._next = asyncio.Lock()
        self._strangers = asyncio.Lock()

    async def turn(self, *, stranger: bool = False) -> None:
        """Wait until the loop has had as much time for others as it has spent on visitors: to answer a request.

        One after the other; of strangers only the first stands in line with the rest.
        """
        async with self._strangers if stranger else nullcontext(), self._next:
            await self.room(0.0)
            self.took(EACH, stranger=stranger)

    async def room(self, owed: float = MOST_OWED) -> None:
        """Wait until visitors owe no more seconds than this: to let in one more, which costs little by itself."""
        while (wait := self._free - self._monotonic() - owed) > 0:  # noqa: ASYNC110 - of all who wait one goes on at a time
            await asyncio.sleep(wait)

    @coroutine
    def counted(self, answer: Coroutine[Any, Any, None], /, *, stranger: bool = False) -> Generator[Any, Any, None]:
        """Awaits the answer and counts what it computes; what it waits for takes nothing of the loop."""
        step: Callable[[Any], Any] = answer.send
        given: Any = None
        while True:
            try:
                with self.busy(stranger=stranger):
                    waits = step(given)
            except StopIteration:
                return
            try:
                step, given = answer.send, (yield waits)
            except BaseException as error:  # noqa: BLE001 - cancelled, or what it waited for failed: its matter
                step, given = answer.throw, error

    @contextmanager
    def busy(self, *, stranger: bool = False) -> Iterator[None]:
        """The body is visitors' work, and waits for nothing."""
        before = self._monotonic()
        try:
            yield
        finally:
            self.took(self._monotonic() - before, stranger=stranger)

    def took(self, seconds: float, *, stranger: bool = False) -> None:
        """The loop was, or will be, busy with visitors for so long."""
        now = self._monotonic()
        self._free = min(max(self._free, now) + seconds * (STRANGERS if stranger else 1), now + MOST_WAIT)
