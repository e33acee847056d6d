"""One agent process under load, from real servers to a real broker: CPU microseconds per reading, and memory.

The servers and the broker are processes of their own, so that only the agent is counted. The figure is user + system
time of the agent over a window, divided by the readings it made in that window.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.support.agent import AgentProcess
from tests.support.mosquitto import Mosquitto
from tests.support.ports import accepts, free_port
from tests.support.processes import process
from tests.support.waiting import eventually

#: Seconds that are measured, and seconds before that are not.
WINDOW = float(os.environ.get("BENCH_SECONDS", "8"))
WARM_UP = 3.0


@dataclass
class Load:
    """What was measured."""

    readings: int
    cpu: float  #: seconds
    wall: float  #: seconds
    rss: int  #: bytes

    def line(self, name: str) -> str:
        per_reading = f"{self.cpu / self.readings * 1e6:6.2f} us/reading" if self.readings else "no readings"
        return (
            f"{name:34} {per_reading}  {self.readings / self.wall:9.0f} readings/s"
            f"  {self.cpu / self.wall * 100:5.1f} % of a core  RSS {self.rss / 1e6:5.1f} MB"
        )


@asynccontextmanager
async def modbus_plant(devices: int, registers: int) -> AsyncIterator[list[int]]:
    """Ports of pymodbus servers with that many holding registers each, in one process of their own."""
    ports = [free_port() for _ in range(devices)]
    description = {
        f"raw-{number}": {"kind": "registers", "port": port, "holding": {0: list(range(registers))}}
        for number, port in enumerate(ports)
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "plant.yaml"
        file.write_text(repr({"devices": description}), encoding="utf-8")
        with process(sys.executable, "-m", "agent", "simulate", str(file)):
            await eventually(lambda: all(accepts(port) for port in ports), 20)
            yield ports


@asynccontextmanager
async def opcua_plant(nodes: int, *, every: float) -> AsyncIterator[int]:
    """Port of an asyncua server in a process of its own; all nodes change `every` seconds (0: never)."""
    port = free_port()
    with process(sys.executable, "-m", "tests.bench.opcua_server", str(port), str(nodes), str(every)):
        await eventually(lambda: accepts(port), 30)
        yield port


async def measure(devices: dict[str, Any], *, window: float = WINDOW, warm_up: float = WARM_UP) -> Load:
    """Run an agent on `devices` with a mosquitto of its own."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = Mosquitto(folder)
        broker.start()
        stack.callback(broker.stop)
        publishers = {"plant": {"type": "mqtt", "url": broker.url}}
        agent = stack.enter_context(AgentProcess(folder, publishers=publishers, devices=devices))
        await agent.start()
        await eventually(lambda: _all_online(agent, len(devices)), 60, "all devices online")
        await asyncio.sleep(warm_up)
        running = psutil.Process(agent.pid)
        loop = asyncio.get_running_loop()
        before, began, made = running.cpu_times(), loop.time(), await _readings(agent)
        await asyncio.sleep(window)
        after, ended, made_after = running.cpu_times(), loop.time(), await _readings(agent)
        load = Load(
            readings=made_after - made,
            cpu=(after.user - before.user) + (after.system - before.system),
            wall=ended - began,
            rss=running.memory_info().rss,
        )
        await agent.stop()
        return load


async def _all_online(agent: AgentProcess, count: int) -> bool:
    status = await agent.status()
    return bool(sum(device["state"] != "offline" for device in status["devices"].values()) == count)


async def _readings(agent: AgentProcess) -> int:
    total = 0.0
    for line in (await agent.metrics()).splitlines():
        if line.startswith("edge_agent_readings_total{"):
            total += float(line.rpartition(" ")[2])
    return int(total)
