"""A broker that keeps nothing on disk is killed: what it lost after accepting it is named, and comes back."""

from __future__ import annotations

import asyncio
import re
import signal
from contextlib import asynccontextmanager
from typing import Any

from agent.simulator.proxy import Proxy
from tests.support.consumer import consuming
from tests.support.load import caught_up, offline
from tests.support.processes import agent_command, process, run_process
from tests.support.waiting import eventually

FINDING = re.compile(
    r"^unheard gw-test/(?P<device>\S+) epoch (?P<epoch>\S+) seq (?P<first>\d+)(-(?P<last>\d+))?:", re.MULTILINE
)


async def edge_agent(*arguments):
    """A command beside the running agent: what it prints."""
    done = await asyncio.to_thread(run_process, *agent_command(*arguments))
    assert done.returncode == 0, done.stderr
    return done.stdout


@asynccontextmanager
async def verifying(port, books):
    """`edge-agent verify --state` while the body runs, ended by Ctrl-C; its exit code and output are left in `said`."""
    with process(*agent_command("verify", "--url", f"mqtt://127.0.0.1:{port}", "--state", str(books))) as audit:
        await eventually(lambda: "listening to" in audit.stderr)
        said: list[Any] = []
        yield said
        audit.signal(signal.SIGINT)
        said[:] = [await audit.wait(), audit.stdout]


async def test_what_a_broker_lost_is_named_and_comes_back(mosquitto, start_load, make_agent, tmp_path):
    """`verify` names each device's numbers (exit 1), `outbox resend` sends them, and the books are clean (exit 0)."""
    load = await start_load(2, tags=20, interval_ms=50)
    agent = make_agent(load, mosquitto.port, outbox={"keep_acked": {"age": "10m"}}, replay={"max_rate": "500/s"})
    books = tmp_path / "books"
    async with consuming(mosquitto.url) as witness, Proxy("127.0.0.1", mosquitto.port) as ear:
        async with verifying(ear.port, books) as said:
            await agent.start()
            await witness.heard(5, *load.devices)
            await ear.cut()  # from now on the broker keeps for this subscriber what it accepts, in memory
            await witness.heard(20, *load.devices)
            mosquitto.kill()
            await offline(agent)
            mosquitto.start()
            connections = ear.connections
            await ear.restore()
            await eventually(lambda: ear.connections > connections and witness.interruptions)
            await witness.heard(10, *load.devices)
            await caught_up(agent)
        code, report = said
        found = [match.groupdict() for match in FINDING.finditer(report)]
        assert code == 1
        assert "missing=0" in report
        assert {one["device"] for one in found} == set(load.devices), report
        lost = sum(int(one["last"] or one["first"]) - int(one["first"]) + 1 for one in found)
        assert lost >= 30
        async with verifying(mosquitto.port, books) as said:
            for one in found:
                numbers = ("--from", one["first"], "--to", one["last"] or one["first"])
                order = ("resend", "--device", one["device"], "--epoch", one["epoch"], *numbers)
                await edge_agent("outbox", "-c", str(agent.config), *order)
            await witness.heard(10, *load.devices)
            await caught_up(agent)
        code, report = said
        assert code == 0, report
        assert "missing=0" in report
        assert "unheard=0" in report
        assert "disorder=0" in report
        assert "conflicts=0" in report
        assert await agent.stop() == 0
        assert witness.two_faced == []
        assert witness.disorder() == []
        assert len(agent.events("outbox.ordered")) == len(found)
