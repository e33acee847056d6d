"""How long the event loop did not run at a stretch: what a callback, a collection of garbage or the machine held up.

A timer of the loop's own looks every 25 ms; by how much it is late is how long something else kept the loop, less the
part of it before the timer was due. So a block is seen whole or up to 25 ms short, and none above that is missed. A
loop that hardly computes is looked at every 200 ms only, as each look wakes it (docs/decisions/064).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

#: Between two looks at a loop that works, seconds.
STEP = 0.025
#: At one that does not.
IDLE_STEP = 0.2
#: Where its thread computes for less than this part of the time, no computing can have held it for long.
BUSY = 0.05


def step_for(share: float) -> float:
    """Seconds between two looks at a loop whose thread computed for this share of the last second."""
    return STEP if share >= BUSY else IDLE_STEP


class LoopBlocks:
    """Watches the loop it is opened on. Real time, not an injected clock: it is the loop that is measured."""

    def __init__(self) -> None:
        self._longest = 0.0
        self._due = 0.0
        self._step = STEP
        self._since = (0.0, 0.0)  # real time and the thread's time of computing, when this was asked last
        self._timer: asyncio.TimerHandle | None = None

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look for as long as this is open."""
        self._since = (time.perf_counter(), time.thread_time())
        self._arm(asyncio.get_running_loop())
        try:
            yield
        finally:
            if self._timer is not None:
                self._timer.cancel()

    def take(self) -> float:
        """The longest block since this was asked last, seconds; one that has not ended counts up to now."""
        now, computed = time.perf_counter(), time.thread_time()
        before, computed_before = self._since
        self._since = (now, computed)
        self._step = step_for((computed - computed_before) / max(now - before, STEP))
        longest, self._longest = max(self._longest, now - self._due), 0.0
        return longest

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due = time.perf_counter() + self._step
        self._timer = loop.call_later(self._step, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._longest = max(self._longest, time.perf_counter() - self._due)
        self._arm(loop)
