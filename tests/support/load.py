"""Machines that count how often they are asked, and an agent that reads them."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack

import pytest

from agent.simulator.modbus import ModbusServer, Unit
from agent.simulator.points import Memory
from tests.support.agent import AgentProcess
from tests.support.waiting import PATIENCE, eventually

#: The tag whose value is the number of the scan that read it.
SCAN = "r000"


class CountingMemory(Memory):
    """Every register says how often this unit has been asked, plus its own address: a scan that is lost shows."""

    def __init__(self):
        super().__init__()
        self.asked = [0]  #: when it was asked the nth time, epoch milliseconds; from the first one on

    @property
    def scans(self):
        return len(self.asked) - 1

    def read(self, area, address, count):
        self.asked.append(time.time_ns() // 1_000_000)
        return [(self.scans + place) & 0xFFFF for place in range(address, address + count)]


class Load:
    """Devices under steady load: one request, one record a scan."""

    def __init__(self, servers, memories, *, tags, interval_ms):
        self._memories = memories
        self._interval_ms = interval_ms
        self.rate = len(servers) * tags * 1000 / interval_ms  #: readings a second
        self.devices = {
            f"dev-{number}": {
                "type": "modbus",
                "url": server.url,
                "interval": f"{interval_ms}ms",
                "timeout": "5s",
                "tags": {f"r{tag:03}": {"address": f"holding:{tag}"} for tag in range(tags)},
            }
            for number, server in enumerate(servers, 1)
        }

    @property
    def scans(self):
        return sum(memory.scans for memory in self._memories)

    @property
    def asked(self):
        """By device, when it was asked the nth time."""
        return dict(zip(self.devices, (memory.asked for memory in self._memories), strict=True))

    async def goes_on(self, seconds):
        """Wait until so many seconds' worth of scans have been asked of the devices."""
        goal = self.scans + len(self._memories) * seconds * 1000 / self._interval_ms
        await eventually(lambda: self.scans >= goal, 10 * seconds + PATIENCE, f"{seconds} s of load")


@pytest.fixture
async def start_load():
    """Starts devices; they are gone after the test."""
    async with AsyncExitStack() as stack:

        async def start(devices=4, *, tags=60, interval_ms=100):
            memories = [CountingMemory() for _ in range(devices)]
            servers = [await stack.enter_async_context(ModbusServer({1: Unit(memory=memory)})) for memory in memories]
            return Load(servers, memories, tags=tags, interval_ms=interval_ms)

        yield start


@pytest.fixture
def make_agent(tmp_path):
    """Makes agents that publish to `port`; killed after the test."""
    made: list[AgentProcess] = []

    def make(load, port, *, name="gw-test", replay=None, outbox=None, publisher="plant", folder=None, **options):
        home = tmp_path / (folder or f"agent-{len(made)}")
        home.mkdir(exist_ok=True)
        settings = {"type": "mqtt", "url": f"mqtt://127.0.0.1:{port}", "encoder": {"type": "json"}} | options
        if replay is not None:
            settings["replay"] = replay
        agent = AgentProcess(
            home, publishers={publisher: settings}, devices=load.devices, agent={"id": name}, outbox=outbox
        )
        made.append(agent)
        return agent

    yield make
    for agent in made:
        agent.__exit__()


async def route_of(agent, name="plant"):
    """What the agent says of its route."""
    return (await agent.status())["publishers"][name]


async def caught_up(agent, name="plant", timeout=PATIENCE):
    """Wait until the agent is connected, has no backlog, and nothing to send once more."""

    async def done():
        route = await route_of(agent, name)
        return route["state"] == "online" and not (route["outbox"]["backlog"] or route["outbox"]["again"])

    await eventually(done, timeout, "the backlog is delivered")


async def all_arrived(agent, consumer):
    """The backlog is delivered, the agent stops in order, and the consumer has every scan as the contract says."""
    await caught_up(agent)
    assert await agent.stop() == 0
    await consumer.check()
    assert consumer.lost_scans(SCAN) == []


async def offline(agent, name="plant"):
    """Wait until the agent has noticed that its broker is away."""

    async def gone():
        return (await route_of(agent, name))["state"] == "offline"

    await eventually(gone, what="the agent has noticed")
