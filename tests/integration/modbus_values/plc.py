"""A device whose memory a test changes while it runs, and a clock on which requests take as long as a test says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from agent.core.clock import SystemClock, Timer
from tests.integration.modbus.servers import Ask


class Bench(SystemClock):
    """Sleeping takes no time, but it passes; so do requests, `cost` seconds each. The machine's own time is none."""

    def __init__(self, cost: float = 0.0) -> None:
        self.cost = cost
        self.ahead = 1000.0

    def monotonic(self) -> float:
        return self.ahead

    async def sleep(self, seconds: float, /) -> None:
        self.ahead += max(0.0, seconds)
        await asyncio.sleep(0)

    def call_at(self, instant: float, call: Callable[[], None], /) -> Timer:
        self.ahead += max(0.0, instant - self.monotonic())
        return super().call_at(0, call)


class Plc:
    """Registers hold their own offset, coils are off, where nothing else is said. Use it as the script of a server."""

    def __init__(self, clock: Bench | None = None) -> None:
        self.registers: dict[int, int] = {}
        self.coils: set[int] = set()
        self.missing: set[int] = set()  #: registers: a request that touches one is refused with 02
        self.mute: set[int] = set()  #: registers: a request that touches one is not answered
        self.asked: list[tuple[int, int, int]] = []  #: function, offset, count
        self.clock = clock
        self.silence = 1.0  #: seconds a silence costs on the bench

    def write(self, offset: int, *values: int) -> None:
        self.registers.update(enumerate(values, offset))

    def __call__(self, ask: Ask) -> bytes | None:
        self.asked.append((ask.function, ask.offset, ask.count))
        touched = set(range(ask.offset, ask.offset + ask.count))
        if self.clock is not None:
            self.clock.ahead += self.silence if ask.function > 2 and touched & self.mute else self.clock.cost
        if ask.function <= 2:
            bits = sum((ask.offset + i in self.coils) << i for i in range(ask.count))
            size = (ask.count + 7) // 8
            return ask.frame(bytes((ask.function, size)) + bits.to_bytes(size, "little"))
        if touched & self.mute:
            return None
        if touched & self.missing:
            return ask.exception(2)
        known: Mapping[int, int] = self.registers
        return ask.frame(ask.registers(*(known.get(offset, offset) for offset in sorted(touched))))
