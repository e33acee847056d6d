"""One agent process under load, from real servers to a real broker: CPU microseconds per reading, and memory.

The servers and the broker are processes of their own, so that only the agent is counted. The figure is user + system
time of the agent over a window, divided by the readings it made in that window.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from agent.consumer.subscriber import OnMessage, Subscriber
from agent.consumer.target import access_of
from tests.bench.figures import TURNS, cpu_of, keep
from tests.support.agent import REPOSITORY, AgentProcess
from tests.support.mosquitto import Mosquitto
from tests.support.ports import accepts, free_port
from tests.support.processes import process
from tests.support.waiting import eventually

#: Seconds that are measured, and seconds before that are not.
WINDOW = float(os.environ.get("BENCH_SECONDS", "8"))
WARM_UP = 10.0  # an agent learns of its devices and fits its slots for that long: 100 x 20 cost 28 us before, 16 after
MODBUS_SERVER = Path(__file__).with_name("modbus_server.c")

# Agents are started, not forked (tests/support/nursery.py): what is measured must be all their own, and of their tree.
os.environ["EDGE_OWN_MEMORY"] = "1"


@dataclass
class Load:
    """What was measured."""

    readings: int
    cpu: float  #: seconds
    wall: float  #: seconds
    rss: int  #: bytes
    skipped: int  #: polling cycles

    @property
    def per_reading(self) -> float:
        """Microseconds of CPU; NaN where there was none."""
        return self.cpu / self.readings * 1e6 if self.readings else float("nan")

    def line(self, name: str) -> str:
        return (
            f"{name:34} {self.per_reading:6.2f} us/reading  {self.readings / self.wall:9.0f} readings/s"
            f"  {self.cpu / self.wall * 100:5.1f} % of a core  RSS {self.rss / 1e6:5.1f} MB"
        )


async def measure_turns(name: str, measured: Callable[[], Awaitable[Load]]) -> None:
    """Measure TURNS times; print the one in the middle, and from what to what they were."""
    loads = sorted([await measured() for _ in range(TURNS)], key=lambda load: load.per_reading)
    keep(name, [asdict(load) for load in loads])
    spread = f"({loads[0].per_reading:.2f} to {loads[-1].per_reading:.2f})"
    print(f"{loads[len(loads) // 2].line(name)}  {spread}", flush=True)


class ModbusPlant(NamedTuple):
    """Devices of modbus_server.c."""

    ports: list[int]
    epoch: int  #: ms; what a register tells is counted from here


@asynccontextmanager
async def modbus_plant(devices: int, *, still: int = 0) -> AsyncIterator[ModbusPlant]:
    """That many devices of modbus_server.c, in one process of their own. `still`: see there."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "modbus-server"
        includes = ("-I/usr/include/modbus", "-I/usr/local/include/modbus")
        subprocess.run(["gcc", "-O2", *includes, "-o", str(program), str(MODBUS_SERVER), "-lmodbus"], check=True)
        with process(str(program), str(devices), str(still)) as server:
            await eventually(lambda: server.stdout.endswith("\n"), what="the Modbus devices")
            _, epoch, *ports = server.stdout.split()
            yield ModbusPlant([int(port) for port in ports], int(epoch))


@asynccontextmanager
async def opcua_plant(nodes: int, *, every: float) -> AsyncIterator[int]:
    """Port of an asyncua server in a process of its own; all nodes change `every` seconds (0: never)."""
    port = free_port()
    with process(sys.executable, "-m", "tests.bench.opcua_server", str(port), str(nodes), str(every)):
        await eventually(lambda: accepts(port))
        yield port


@contextmanager
def broker_of_its_own() -> Iterator[Mosquitto]:
    """A mosquitto that runs, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        broker = Mosquitto(Path(folder))
        broker.start()
        try:
            yield broker
        finally:
            broker.stop()


async def measure(
    devices: dict[str, Any],
    *,
    window: float = WINDOW,
    warm_up: float = WARM_UP,
    hear: OnMessage | None = None,
    tree: Path = REPOSITORY,
    history: bool = False,
) -> Load:
    """Run the agent of `tree` on `devices` with a mosquitto of its own. `hear` is told all that arrives there."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = stack.enter_context(broker_of_its_own())
        if hear is not None:
            await stack.enter_async_context(subscribed(broker.url, hear))
        publishers = {"plant": {"type": "mqtt", "url": broker.url}}
        agent = stack.enter_context(AgentProcess(folder, publishers=publishers, devices=devices, tree=tree))
        if not history and (tree / "agent/runtime/history").exists():  # an older commit has no such key
            agent.configure(agent.document | {"history": None})
        await agent.start()
        await eventually(lambda: _all_online(agent, len(devices)), what="all devices online")
        await asyncio.sleep(warm_up)
        running = psutil.Process(agent.pid)
        loop = asyncio.get_running_loop()
        asked = loop.time()
        made = await agent.metrics()  # with many devices that costs as much as a second of work: not in the window
        before, began = cpu_of(agent.pid), loop.time()
        await asyncio.sleep(window)
        after, ended = cpu_of(agent.pid), loop.time()
        made_after = await agent.metrics()
        share = (ended - began) / (ended - asked)  # what was made while it told is none of the window's
        load = Load(
            readings=round((_total(made_after, "readings") - _total(made, "readings")) * share),
            cpu=after - before,
            wall=ended - began,
            rss=running.memory_info().rss,
            skipped=_total(made_after, "scans_skipped") - _total(made, "scans_skipped"),
        )
        await agent.stop()
        return load


class Started(NamedTuple):
    """What a start took."""

    cpu: float  #: seconds, from exec to the first good reading of every device at the broker
    rss: int  #: bytes, one cycle later


async def start(devices: dict[str, Any], *, tree: Path = REPOSITORY) -> Started:
    """Start the agent of `tree` on `devices` and stop it when each of them was heard of."""
    silent, heard = set(devices), asyncio.Event()
    cpu = 0.0

    def hear(topic: str, payload: bytes, *, retained: bool) -> None:
        nonlocal cpu
        if not topic.endswith("/readings") or b'"good"' not in payload:
            return
        silent.discard(topic.split("/")[-2])
        if not silent and not heard.is_set():
            cpu = cpu_of(agent.pid)
            heard.set()

    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = stack.enter_context(broker_of_its_own())
        await stack.enter_async_context(subscribed(broker.url, hear))
        publishers = {"plant": {"type": "mqtt", "url": broker.url}}
        agent = stack.enter_context(AgentProcess(folder, publishers=publishers, devices=devices, tree=tree))
        await agent.start(ready=False)
        async with asyncio.timeout(120):
            await heard.wait()
        await asyncio.sleep(2)
        rss = psutil.Process(agent.pid).memory_info().rss
        await agent.stop()
    return Started(cpu, rss)


@asynccontextmanager
async def subscribed(url: str, hear: OnMessage, topics: str = "edge/#") -> AsyncIterator[None]:
    """`hear` is told all that arrives there."""
    subscriber = Subscriber(access_of(url), [topics], hear, on_interrupted=_fail)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(subscriber.run())
        await subscriber.subscribed.wait()
        yield
        running.cancel()


def _fail() -> None:
    raise AssertionError("the broker forgot its subscriber")


async def _all_online(agent: AgentProcess, count: int) -> bool:
    status = await agent.status()
    return bool(sum(device["state"] != "offline" for device in status["devices"].values()) == count)


def _total(metrics: str, name: str) -> int:
    lines = [line for line in metrics.splitlines() if line.startswith(f"edge_agent_{name}_total{{")]
    return int(sum(float(line.rpartition(" ")[2]) for line in lines))
