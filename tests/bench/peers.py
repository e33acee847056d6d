"""`make bench-peers`: the agent, thingsboard-gateway and modpoll on the same server and broker, one after the other.

CPU of the whole process tree, divided by the fresh good readings that an independent subscriber saw at the broker: a
value that was seen before is none. The age of a reading is told by its value (modbus_server.c). Each peer runs from
its own virtual environment, whose folder is the argument; a peer that is not there is left out.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import psutil
from paho.mqtt import publish

from tests.bench.figures import TURNS, cpu_of
from tests.bench.floor import floor
from tests.bench.peers_config import Modbus, Opcua, devices, modpoll, thingsboard_gateway
from tests.bench.pipeline import WINDOW, modbus_plant, opcua_plant, subscribed
from tests.support.agent import AgentProcess
from tests.support.mosquitto import Mosquitto
from tests.support.processes import process
from tests.support.waiting import eventually

WARM_UP = 10.0  #: seconds after the first reading of each tag

#: (device, tag, value) of what is good in a message.
Good = Iterator[tuple[str, str, object]]


def of_agent(topic: str, message: Any) -> Good:
    if topic.endswith("/readings"):
        for reading in message["readings"]:
            if reading["quality"] == "good":
                yield message["device"], reading["tag"], reading["value"]


def of_thingsboard(topic: str, message: Any) -> Good:
    if topic == "v1/gateway/telemetry":
        for device, batches in message.items():
            for batch in batches:
                for tag, value in batch["values"].items():
                    yield device, tag, value


def of_modpoll(topic: str, message: Any) -> Good:
    if topic.endswith("/data"):
        for tag, value in message.items():
            if value is not None:
                yield topic.split("/")[1], tag, value


class Seen:
    """What arrived at the broker."""

    def __init__(self, read: Callable[[str, Any], Good], epoch: int | None) -> None:
        self._read, self._epoch = read, epoch
        self._last: dict[tuple[str, str], object] = {}
        self.fresh = 0
        self.ages: list[float] = []  #: ms, one a message

    def hear(self, topic: str, payload: bytes, *, retained: bool) -> None:
        if retained or not payload.startswith(b"{"):
            return
        value: object = None
        for device, tag, value in self._read(topic, json.loads(payload)):
            if self._last.get((device, tag)) != value:
                self._last[device, tag] = value
                self.fresh += 1
        if self._epoch is not None and isinstance(value, float):
            self.ages.append(time.time() * 1000 - self._epoch - value * 8)

    @property
    def tags(self) -> int:
        return len(self._last)


class Cost(NamedTuple):
    """Of one run."""

    cpu: float  #: us a fresh good reading
    rss: float  #: MB
    rate: float  #: fresh good readings a second
    p50: float  #: ms
    p99: float


def _tree(pid: int) -> tuple[float, int]:
    """CPU seconds and bytes of a process and all it has started, those that ended too."""
    alive = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    over = [one.cpu_times() for one in alive]
    cpu = sum(cpu_of(one.pid) for one in alive) + sum(one.children_user + one.children_system for one in over)
    return cpu, sum(one.memory_info().rss for one in alive)


@asynccontextmanager
async def _agent(case: Modbus | Opcua, folder: Path, broker: Mosquitto, _: Path) -> AsyncIterator[int]:
    publishers = {"plant": {"type": "mqtt", "url": broker.url}}
    with AgentProcess(folder, publishers=publishers, devices=devices(case)) as agent:
        agent.configure(agent.document | {"history": None})
        await agent.start(ready=False)
        yield agent.pid
        await agent.stop()


def _floor(case: Modbus, _: Path, broker: Mosquitto, __: Path) -> AbstractAsyncContextManager[int]:
    return floor(broker, case.tags, case.ports)


@asynccontextmanager
async def _thingsboard(case: Modbus | Opcua, folder: Path, broker: Mosquitto, where: Path) -> AsyncIterator[int]:
    """With what its platform must do for it: tell the limits of a session, of which there are none."""
    thingsboard_gateway(case, folder, broker.port)
    program = where / "thingsboard-gateway" / "bin"
    env = {"TB_GW_CONFIG_DIR": f"{folder}/", "PYTHONPATH": ""}

    def answer(topic: str, payload: bytes, *, retained: bool) -> None:
        if b"getSessionLimits" in payload:
            limits = {"maxPayloadSize": 65536, "maxInflightMessages": 100, "rateLimits": {}, "gatewayRateLimits": {}}
            reply = topic.replace("request", "response")
            publish.single(reply, json.dumps(limits), port=broker.port, hostname=broker.host)

    async with subscribed(broker.url, answer, "v1/devices/me/rpc/request/+"):
        with process(str(program / "python"), "-m", "thingsboard_gateway.tb_gateway", env=env, cwd=folder) as running:
            yield running.pid


@asynccontextmanager
async def _modpoll(case: Modbus, folder: Path, broker: Mosquitto, where: Path) -> AsyncIterator[int]:
    arguments = modpoll(case, folder, broker.port)
    with process(str(where / "modpoll" / "bin" / "modpoll"), *arguments, env={"PYTHONPATH": ""}, cwd=folder) as running:
        yield running.pid


PEERS: dict[str, tuple[Any, Callable[[str, Any], Good]]] = {
    "edge-agent": (_agent, of_agent),
    "the floor": (_floor, of_agent),
    "thingsboard-gateway": (_thingsboard, of_thingsboard),
    "modpoll": (_modpoll, of_modpoll),
}


async def _cost(case: Modbus | Opcua, tags: int, epoch: int | None, where: Path, peer: str) -> Cost:
    run, read = PEERS[peer]
    seen = Seen(read, epoch)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = Mosquitto(folder)
        broker.start()
        stack.callback(broker.stop)
        await stack.enter_async_context(subscribed(broker.url, seen.hear, "#"))
        pid = await stack.enter_async_context(run(case, folder, broker, where))
        await eventually(lambda: seen.tags == tags, 120, f"{tags} tags of {peer}, not {seen.tags}")
        await asyncio.sleep(WARM_UP)
        before, _ = _tree(pid)
        fresh, began = seen.fresh, time.monotonic()
        seen.ages.clear()
        await asyncio.sleep(WINDOW)
        after, rss = _tree(pid)
        fresh, wall = seen.fresh - fresh, time.monotonic() - began
        ages = sorted(seen.ages) or [0.0]
    return Cost((after - before) / fresh * 1e6, rss / 1e6, fresh / wall, median(ages), ages[len(ages) * 99 // 100])


async def _run(name: str, peers: list[str], cost: Callable[[str], Awaitable[Cost]]) -> dict[str, list[Cost]]:
    """TURNS of each, every second turn the other way round; prints a line a peer."""
    runs: dict[str, list[Cost]] = {peer: [] for peer in peers}
    for turn in range(TURNS):
        for peer in reversed(peers) if turn % 2 else peers:
            runs[peer].append(await cost(peer))
    for peer, costs in runs.items():
        cpu, rss, rate, p50, p99 = (median(column) for column in zip(*costs, strict=True))
        spread = f"{min(one.cpu for one in costs):.1f} to {max(one.cpu for one in costs):.1f}"
        age = f"  age p50 {p50:.0f}, p99 {p99:.0f} ms" if p50 else ""
        print(f"{name:26} {peer:20} {cpu:6.1f} us ({spread})  {rss:5.1f} MB  {rate:6.0f}/s{age}", flush=True)
    return runs


async def main(where: Path, words: list[str]) -> None:
    """Print a line for each case and peer; BENCH_JSON names a file for all figures."""
    peers = [name for name in PEERS if name in ("edge-agent", "the floor") or (where / name).is_dir()]
    figures = {}
    for name, count, tags in (("modbus 10 x 1,000", 10, 1000), ("modbus 100 x 20", 100, 20)):
        if not words or any(word in name for word in words):
            async with modbus_plant(count) as plant:
                case = Modbus(plant.ports, tags)
                figures[name] = await _run(name, peers, partial(_cost, case, count * tags, plant.epoch, where))
    name = "opcua poll 1,000"
    if not words or any(word in name for word in words):
        async with opcua_plant(1000, every=0.5) as port:
            able = [peer for peer in peers if peer not in ("the floor", "modpoll")]
            figures[name] = await _run(name, able, partial(_cost, Opcua(port, 1000), 1000, None, where))
    if (file := os.environ.get("BENCH_JSON")) is not None:
        found = {
            name: {peer: [cost._asdict() for cost in costs] for peer, costs in runs.items()}
            for name, runs in figures.items()
        }
        Path(file).write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    if not sys.argv[1:]:
        sys.exit("where are the peers? python -m tests.bench.peers FOLDER [WORD...]")
    asyncio.run(main(Path(sys.argv[1]).resolve(), sys.argv[2:]))
