"""A backlog beside live data: how fast it is worked off without a limit, and whether live data keep their pace.

The broker is away for a while; afterwards records of 1,000 readings, and of 100, come as fast as they go, while the
devices are read as before. A subscriber counts both.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec

from tests.bench.figures import cpu_of, keep
from tests.bench.pipeline import broker_of_its_own, modbus_plant, subscribed
from tests.support.agent import AgentProcess
from tests.support.waiting import eventually

OUTAGE = float(os.environ.get("BENCH_OUTAGE", "30"))  #: seconds


class _Message(msgspec.Struct):
    """What is looked at of a message of readings."""

    device: str
    ts: int
    readings: list[msgspec.Raw]
    historical: bool = False
    snapshot: bool = False


class Heard:
    """What the subscriber has counted."""

    def __init__(self) -> None:
        self.backlog = self.live = 0
        self.first = self.last = 0.0  #: of the backlog, monotonic
        self.ages: list[float] = []  #: of live readings, seconds
        self._decode = msgspec.json.Decoder(_Message).decode

    def __call__(self, topic: str, payload: bytes, *, retained: bool) -> None:
        if not topic.endswith("/readings"):
            return
        message, now = self._decode(payload), time.monotonic()
        if message.historical:
            self.first, self.last = self.first or now, now
            self.backlog += len(message.readings)
        elif self.first and not message.snapshot:
            self.live += len(message.readings)
            self.ages.append(time.time() - message.ts / 1000)


async def _replay(count: int, of: int) -> None:
    """Print what the backlog and the live data of so many devices with so many tags get."""
    async with AsyncExitStack() as stack:
        ports, _ = await stack.enter_async_context(modbus_plant(count))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = stack.enter_context(broker_of_its_own())
        tags = {f"float_{at:04}": {"address": f"holding:{at * 2}", "type": "float32"} for at in range(of)}
        devices = {
            f"plc-{number}": {"type": "modbus", "url": f"tcp://127.0.0.1:{port}", "interval": "1s", "tags": tags}
            for number, port in enumerate(ports)
        }
        publisher = {"type": "mqtt", "url": broker.url, "replay": {"max_rate": "100000/s"}}
        agent = stack.enter_context(AgentProcess(folder, publishers={"plant": publisher}, devices=devices))
        agent.configure(agent.document | {"history": None})
        await agent.start()
        broker.stop()
        await asyncio.sleep(OUTAGE)
        broker.start()
        heard = Heard()
        await stack.enter_async_context(subscribed(broker.url, heard))
        await eventually(lambda: heard.first, 60, "the backlog")
        before = cpu_of(agent.pid)
        expected = int(count * of * OUTAGE * 0.9)
        await eventually(lambda: heard.backlog > expected and time.monotonic() - heard.last > 1, 120, "all of it")
        after = cpu_of(agent.pid)
        took, beside, ages = heard.last - heard.first, time.monotonic() - heard.first, sorted(heard.ages)
        cpu = after - before
        keep(f"replay, {count} x {of}", {"readings": heard.backlog, "seconds": took, "cpu": cpu, "ages": ages})
        print(
            f"replay, {count} x {of}: {heard.backlog:,} readings, {heard.backlog / took:,.0f} readings/s,"
            f" {cpu:.1f} s CPU;"
            f" live meanwhile {heard.live / beside:,.0f} of {count * of:,} readings/s,"
            f" age p50/p99 {ages[len(ages) // 2] * 1000:.0f}/{ages[len(ages) * 99 // 100] * 1000:.0f} ms",
            flush=True,
        )
        await agent.stop()


async def main() -> None:
    """Two sizes of a record."""
    await _replay(10, 1000)
    await _replay(100, 100)


if __name__ == "__main__":
    asyncio.run(main())
