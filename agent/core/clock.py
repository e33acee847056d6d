"""Time, injected: monotonic for intervals, wall time only to stamp readings."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

#: Wall clocks before this instant (2025-01-01 UTC) were never set: a gateway without RTC boots at its build date.
NEVER_SET_BEFORE_MS = 1_735_689_600_000


class Clock(Protocol):
    """Everything that waits or stamps takes one of these; tests hand in `agent.testing.clock.ManualClock`."""

    def now_ms(self) -> int:
        """Wall clock, epoch milliseconds UTC. May jump."""

    def monotonic(self) -> float:
        """Seconds since some fixed instant. Never jumps."""

    async def sleep(self, seconds: float, /) -> None:
        """Wait; zero or less only yields."""

    @property
    def synced(self) -> bool:
        """False while the wall clock is known not to be set."""


class SystemClock:
    """The machine's clocks and the running loop's sleep."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float, /) -> None:
        await asyncio.sleep(max(0.0, seconds))

    @property
    def synced(self) -> bool:
        return self.now_ms() >= NEVER_SET_BEFORE_MS
