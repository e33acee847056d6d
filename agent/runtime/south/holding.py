"""Batches of one device that wait to become larger (`batch.max_delay`)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from agent.core.clock import Clock
from agent.core.flow import MAX_BATCH_READINGS, Batch
from agent.core.smallevent import SmallEvent


class Holding:
    """Gathers batches for at most `max_delay` seconds, then hands them on as one; 0: hands each on at once."""

    def __init__(self, name: str, max_delay: float, hand_on: Callable[[Batch], None], clock: Clock) -> None:
        self._name = name
        self._max_delay = max_delay
        self._hand_on = hand_on
        self._clock = clock
        self._held: Batch | None = None
        self._filled = SmallEvent()

    def put(self, batch: Batch, *, wait: bool) -> None:
        """Hand it on when its time has come; without `wait` at once, after what is held."""
        if not self._max_delay or not wait:
            if self._held is not None:
                self.release()
            self._hand_on(batch)
            return
        held = self._held
        if held is not None and (
            held.cat != batch.cat
            or held.clock != batch.clock
            or len(held.readings) + len(batch.readings) > MAX_BATCH_READINGS
        ):
            self.release()
            held = None
        if held is None:  # ours alone until it is released, so that it may grow
            held = self._held = Batch(device=batch.device, ts=batch.ts, readings=[], cat=batch.cat, clock=batch.clock)
            self._filled.set()
        held.ts = batch.ts
        held.readings.extend(batch.readings)
        held.bad += batch.bad
        held.uncertain += batch.uncertain
        if len(held.readings) >= MAX_BATCH_READINGS:
            self.release()

    def release(self) -> None:
        """Hand on what is held, now."""
        batch, self._held = self._held, None
        self._filled.clear()
        if batch is not None:
            self._hand_on(batch)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """While the device is read; at the end nothing is held."""
        if not self._max_delay:
            yield
            return
        try:
            async with asyncio.TaskGroup() as group:
                releaser = group.create_task(self._release_late(), name=f"batches of {self._name}")
                yield
                releaser.cancel()
        finally:
            self.release()

    async def _release_late(self) -> None:
        while True:
            await self._filled.wait()
            await self._clock.sleep(self._max_delay)
            self.release()
