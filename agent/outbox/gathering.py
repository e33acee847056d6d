"""Waits for the instant of the next transaction (`pace.py` says when that is). Belongs to the event loop.

One event ends whatever is waited for; what it was about is looked up then. So a record that is gathered with others
wakes nobody.
"""

from __future__ import annotations

import asyncio
import time

from agent.core.clock import to_beat
from agent.outbox.pace import ENOUGH_BYTES, CommitPace

#: Acknowledgements and notes travel with the next commit; without one they wait for the first of these beats …
TICK = 0.5
#: … that is so far away, less than a second in all: devices that answer twice a second take them along …
SOONEST = 0.45
#: … and so long past it: what is read on a beat is a record some milliseconds later.
PAST = 0.04


class Gathering:
    """Of one outbox. Its times are those of the timers, which are never injected."""

    def __init__(self) -> None:
        self._pace = CommitPace()
        self._stirred = asyncio.Event()
        self._came = self._enough = self._urgent = False

    def appended(self, waiting: int) -> None:
        """A record has come; so many packed bytes wait now."""
        self._pace.appended(time.monotonic())
        enough = waiting >= ENOUGH_BYTES
        if not self._came or enough:
            self._came, self._enough = True, enough
            self._stirred.set()

    def wake(self) -> None:
        """Whatever is waited for is over."""
        self._urgent = True
        self._stirred.set()

    def begins(self) -> None:
        """A transaction takes all that is there."""
        self._pace.begins(time.monotonic())

    async def over(self, pause: float) -> None:
        """Returns when the next one is due: so many seconds from now at least, unless somebody wakes it."""
        paused = time.monotonic() + pause
        if not (self._came or self._urgent):
            await self._rest(to_beat(time.monotonic() - PAST, TICK, SOONEST))
        while not self._urgent and (rest := paused - time.monotonic()) > 0:
            await self._rest(rest)
        while not (self._enough or self._urgent) and (rest := self._pace.rest(time.monotonic())) > 0:
            await self._rest(rest)
        self._came = self._enough = self._urgent = False

    async def _rest(self, seconds: float) -> None:
        self._stirred.clear()
        timer = asyncio.get_running_loop().call_later(seconds, self._stirred.set)
        try:
            await self._stirred.wait()
        finally:
            timer.cancel()
