"""A clock that stands until it is moved."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable

from agent.core.clock import Timer


class ManualClock:
    """Wall and monotonic time move only by :meth:`advance`; sleepers wake in the order of their instants."""

    def __init__(self, now_ms: int = 1_763_760_000_000, *, synced: bool = True) -> None:
        self._wall_ms = float(now_ms)
        self._monotonic = 1000.0
        self._sleepers: list[tuple[float, int, _Sleeper]] = []
        self._order = itertools.count()
        self.synced = synced

    def now_ms(self) -> int:
        return int(self._wall_ms)

    def monotonic(self) -> float:
        return self._monotonic

    @property
    def sleepers(self) -> int:
        """How many wait for this clock."""
        return sum(sleeper.call is not None for _, _, sleeper in self._sleepers)

    async def sleep(self, seconds: float, /) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        awake = asyncio.Event()
        timer = self.call_at(self._monotonic + seconds, awake.set)
        try:
            await awake.wait()
        finally:
            timer.cancel()

    def call_at(self, instant: float, call: Callable[[], None], /) -> Timer:
        if instant <= self._monotonic:
            return asyncio.get_running_loop().call_soon(call)
        sleeper = _Sleeper(call)
        heapq.heappush(self._sleepers, (instant, next(self._order), sleeper))
        return sleeper

    def step_wall(self, seconds: float) -> None:
        """Jump the wall clock only, as an NTP step does."""
        self._wall_ms += seconds * 1000

    async def advance(self, seconds: float) -> None:
        """Move both clocks, waking sleepers at their own instants and letting them run in between."""
        end = self._monotonic + seconds
        await _settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            instant, _, sleeper = heapq.heappop(self._sleepers)
            self._move_to(max(instant, self._monotonic))
            if sleeper.call is not None:
                sleeper.call()
                await _settle()
        self._move_to(end)
        await _settle()

    def _move_to(self, instant: float) -> None:
        self._wall_ms += (instant - self._monotonic) * 1000
        self._monotonic = instant


class _Sleeper:
    """What is called at an instant of the clock, unless it was cancelled."""

    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        self.call = None


async def _settle() -> None:
    """Let every task that can run do so; bounded, so that a busy loop cannot hang a test."""
    for _ in range(20):
        await asyncio.sleep(0)
