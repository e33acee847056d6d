"""What the page costs: the history per reading, and three viewers of a device with 10,000 tags."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path

import psutil

from agent.core.flow import Batch, Reading
from agent.runtime.history.rollup import Minutes
from agent.runtime.history.running import MINUTE
from agent.runtime.history.store import HistoryStore
from tests.bench.pipeline import modbus_plant
from tests.support.agent import AgentProcess
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import eventually

TAGS, DEVICES, WINDOW = 10_000, 1, 10.0
T0 = 1_763_760_000_000


def history() -> None:
    """1,000 tags at 1 Hz, minute by minute: adding, closing the minute, writing it; CPU of all threads."""
    draw, best = random.Random(1), [float("inf")] * 3
    minutes = Minutes("d")
    with tempfile.TemporaryDirectory() as folder:
        store = HistoryStore(Path(folder) / "history.sqlite")
        for minute in range(T0, T0 + 6 * MINUTE, MINUTE):
            batches = [
                Batch("d", at, [Reading(f"tag_{tag:04}", draw.random(), at, "good") for tag in range(1000)])
                for at in range(minute, minute + MINUTE, 1000)
            ]
            marks = [time.process_time()]
            for batch in batches:
                minutes.take(batch)
            marks.append(time.process_time())
            rows = [row for rows in minutes.roll(minute + MINUTE, 500) for row in rows]
            marks.append(time.process_time())
            store.put(rows)
            store.trim(T0, minute + MINUTE, 1 << 30)
            marks.append(time.process_time())
            spent = [(after - before) / (60 * 1000) * 1e6 for before, after in pairwise(marks)]
            best = [min(pair) for pair in zip(best, spent, strict=True)]
        store.close()
    words = f"adding {best[0]:.2f}, closing {best[1]:.2f}, writing {best[2]:.2f}"
    print(f"{'history, 1000 tags @ 1 Hz':34} {sum(best):6.2f} us/reading  ({words})", flush=True)


class _Viewer:
    """Reads as fast as it comes."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.read = 0

    async def run(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(b"GET /api/v1/stream?device=plc-0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        try:
            while data := await reader.read(1 << 20):
                self.read += len(data)
        finally:
            writer.transport.abort()


async def viewers() -> None:
    """One device of 10,000 tags at 1 Hz, without viewers and with three: CPU and memory of the agent."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (port,), _ = await stack.enter_async_context(modbus_plant(DEVICES))
        broker = Mosquitto(folder)
        broker.start()
        stack.callback(broker.stop)
        device = {
            "type": "modbus",
            "url": f"tcp://127.0.0.1:{port}",
            "interval": "1s",
            "tags": {f"register_{at:05}": {"address": f"holding:{at}", "type": "uint16"} for at in range(TAGS)},
        }
        publishers = {"plant": {"type": "mqtt", "url": broker.url}}
        agent = stack.enter_context(AgentProcess(folder, publishers=publishers, devices={"plc-0": device}))
        await agent.start()

        async def online() -> bool:
            return bool((await agent.status())["devices"]["plc-0"]["state"] == "online")

        await eventually(online)
        await asyncio.sleep(4)
        running = psutil.Process(agent.pid)
        before = await _spent(running)
        async with asyncio.TaskGroup() as group:
            watching = [_Viewer(agent.port) for _ in range(3)]
            tasks = [group.create_task(one.run()) for one in watching]
            await asyncio.sleep(2)
            during = await _spent(running)
            sent = sum(one.read for one in watching)
            for task in tasks:
                task.cancel()
        await asyncio.sleep(2)
        after = await _spent(running)
        for name, (cpu, rss) in (("no viewer", before), ("three viewers", during), ("none again", after)):
            print(
                f"{f'10,000 tags @ 1 Hz, {name}':34} {cpu * 100:5.1f} % of a core  RSS {rss / 1e6:5.1f} MB", flush=True
            )
        print(f"{'':34} {sent / 1e6:.1f} MB were read by the three", flush=True)


async def _spent(running: psutil.Process) -> tuple[float, int]:
    begin, at = running.cpu_times(), time.monotonic()
    await asyncio.sleep(WINDOW)
    end = running.cpu_times()
    return (end.user + end.system - begin.user - begin.system) / (time.monotonic() - at), running.memory_info().rss


def main() -> None:
    """Run both."""
    history()
    asyncio.run(viewers())


if __name__ == "__main__":
    main()
