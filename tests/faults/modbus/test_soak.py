"""Bad weather for a while: nothing but the truth gets through. `make soak` runs it longer (SOAK_SECONDS)."""

from __future__ import annotations

import asyncio
import os
import random
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from agent.collectors.modbus.config import ModbusConfig
from agent.core.clock import SystemClock
from agent.core.errors import TransientError
from agent.core.flow import Sample
from agent.testing.context import SimpleContext
from tests.faults.modbus.media import MEDIA, Ask, Medium, medium
from tests.integration.modbus.servers import device

SECONDS = float(os.environ.get("SOAK_SECONDS", "10"))
TIMEOUT = 0.06
UNITS = (1, 2, 3)
OFFSETS = tuple(range(0, 1600, 200))  # eight blocks of one form, so that only their content tells them apart
INTERVAL = "400ms"  # 3 units x 8 blocks / 0.4 s: 60 requests a second and medium
_CLOCK = SystemClock()
_BEGAN = _CLOCK.now_ms()


def encoded(unit: int, offset: int) -> tuple[int, ...]:
    """Four registers: offset, unit and now."""
    return struct.unpack(">4H", struct.pack(">HB", offset, unit) + (_CLOCK.now_ms() - _BEGAN).to_bytes(5, "big"))


@dataclass
class Weather:
    """Answers truly, then delays, doubles, cuts, turns bits, holds back and lets out in another order.

    Without numbers a unit on one connection answers in the order it was asked: nothing else is possible on a bus. What
    is still on its way when it answers something newer, never comes.
    """

    peer: Medium
    rng: random.Random
    held: list[tuple[int, Callable[[], bytes]]] = field(default_factory=list)  #: connection, frame where it may come
    newest: dict[tuple[int, int], int] = field(default_factory=dict)  #: connection and unit: the newest answered
    faults: int = 0

    @property
    def latest(self) -> float:
        """How late in time-outs. Without numbers answers keep their order: they come before the unit is asked again."""
        return 8.0 if self.peer.url.startswith(("tcp:", "rtu+", "ascii+")) else 1.9

    def __call__(self, ask: Ask) -> None:
        truth = ask.frame(ask.registers(*encoded(ask.unit, ask.offset)[: ask.count]))
        channel = self.peer.channel()
        where, number = (self.peer.opened, ask.unit), len(self.peer.asked)

        def due(frame: bytes = truth) -> bytes:
            if ask.framing != "tcp" and number < self.newest.get(where, 0):
                return b""
            self.newest[where] = number
            return frame

        def say(frame: bytes = truth) -> None:
            channel(due(frame))

        roll = self.rng.random()
        if roll < 0.8:
            self._later(self.rng.uniform(0, TIMEOUT / 4), say)
            return
        self.faults += 1
        if roll < 0.85:  # too late
            self._later(self.rng.uniform(1.1, self.latest) * TIMEOUT, say)
        elif roll < 0.88:
            say(truth + truth)
        elif roll < 0.91:
            say(truth[: self.rng.randrange(1, len(truth))])
        elif roll < 0.94 and ask.framing != "tcp":  # its checksum is the network's
            at = self.rng.randrange(len(truth))
            say(truth[:at] + bytes([truth[at] ^ 1 << self.rng.randrange(8)]) + truth[at + 1 :])
        elif roll < 0.97:
            self.held.append((self.peer.opened, due))
            asyncio.get_running_loop().call_later(self.latest * TIMEOUT, self._forget, (self.peer.opened, due))
        else:
            earlier = b"".join(frame() for opened, frame in self.held if opened == self.peer.opened)
            self.held.clear()
            say(earlier + truth)

    def _later(self, seconds: float, say: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(seconds, say)

    def _forget(self, what: tuple[int, Callable[[], bytes]]) -> None:
        if what in self.held:
            self.held.remove(what)


@dataclass
class Record:
    """What one device said: every good value is checked."""

    unit: int
    newest: dict[int, int] = field(default_factory=dict)  #: when the newest value of each tag arrived
    good: int = 0
    bad: int = 0

    def take(self, sample: Sample) -> None:
        """An address is its own, and a value was made after the one before it had arrived: never an old one again."""
        for answer in sample.answers:
            for tag, found in zip(answer.tags, answer.values, strict=True):
                if found is None:
                    self.bad += 1
                    continue
                raw = struct.pack(">Q", found)
                offset, unit = struct.unpack(">HB", raw[:3])
                made = int.from_bytes(raw[3:], "big") + _BEGAN
                assert (offset, unit) == (OFFSETS[tag], self.unit), f"{OFFSETS[tag]} of {self.unit} got {raw.hex()}"
                assert self.newest.get(tag, 0) - 1 <= made <= answer.ts, f"{OFFSETS[tag]}: an old value as new"
                self.newest[tag] = answer.ts
                self.good += 1


async def soak(name: str, context: SimpleContext, until: float) -> tuple[int, int, int, int]:
    """Three devices over one medium; good and bad values, requests and faults."""
    async with medium(name) as peer:
        weather = Weather(peer, random.Random(name))
        peer.script = weather
        records = [Record(unit) for unit in UNITS]
        tags: dict[str, object] = {f"o{at}": {"address": f"holding:{at}", "type": "uint64"} for at in OFFSETS}
        keys = {"interval": INTERVAL, "timeout": f"{TIMEOUT * 1000:.0f}ms"} | peer.keys
        async with asyncio.TaskGroup() as group:
            for record in records:
                config = device(peer.url, tags, unit_id=record.unit, **keys)
                group.create_task(watch(config, f"{name} {record.unit}", record, context, until))
    return sum(one.good for one in records), sum(one.bad for one in records), len(peer.asked), weather.faults


async def watch(config: ModbusConfig, name: str, record: Record, context: SimpleContext, until: float) -> None:
    """Read a device as the supervisor does, only without patience."""
    collector = config.build(name, context)
    loop = asyncio.get_running_loop()
    while loop.time() < until:
        try:
            async with asyncio.timeout_at(until), collector.open() as samples:
                async for sample in samples:
                    record.take(sample)
        except TimeoutError:
            return
        except TransientError:
            await asyncio.sleep(0)


@pytest.mark.timeout(SECONDS + 60)
async def test_nothing_but_the_truth_gets_through(capsys: pytest.CaptureFixture[str]) -> None:
    """Over every medium at once: each good value carries the address it was asked by, and is no older than that."""
    until = asyncio.get_running_loop().time() + SECONDS
    async with SimpleContext() as context, asyncio.TaskGroup() as group:
        tasks = {name: group.create_task(soak(name, context, until)) for name in MEDIA}
    with capsys.disabled():
        for name, task in tasks.items():
            good, bad, asked, faults = task.result()
            sys.stdout.write(f"\n  {name}: {asked / SECONDS:.0f} requests/s, {faults} faults, {good} good, {bad} bad")
            assert good > 0
            assert faults > 0
