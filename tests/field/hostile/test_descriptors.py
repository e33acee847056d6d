"""A process that has no descriptor left, whoever took them: nothing ends for good, nothing spins, all comes back."""

from __future__ import annotations

import asyncio
import resource
from pathlib import Path

from agent.simulator.modbus import ModbusServer, Unit
from tests.support.agent import AgentProcess
from tests.support.certs import make_certs
from tests.support.load import CountingMemory
from tests.support.mosquitto import StartMosquitto
from tests.support.waiting import eventually


def _limit(pid: int, descriptors: int) -> None:
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (descriptors, hard))


async def test_without_descriptors_all_waits_and_comes_back(tmp_path: Path, start_mosquitto: StartMosquitto) -> None:
    """Password and certificates cannot be read, no socket opened, nobody let in at the port; the device is read on."""
    certs = make_certs(tmp_path)
    broker = start_mosquitto(tls=certs)
    (tmp_path / "password").write_text("secret", encoding="utf-8")
    publisher = {
        "type": "mqtt", "url": broker.url, "username": "gw", "password_file": str(tmp_path / "password"),
        "tls": {"ca_file": str(certs.ca), "server_name": "localhost"},
    }  # fmt: skip
    memory = CountingMemory()
    async with ModbusServer({1: Unit(memory=memory)}) as server:
        device = {
            "type": "modbus", "url": f"tcp://127.0.0.1:{server.port}", "interval": "200ms",
            "tags": {"r000": {"address": "holding:0", "type": "uint16"}},
        }  # fmt: skip
        with AgentProcess(tmp_path, publishers={"plant": publisher}, devices={"press": device}) as agent:
            await agent.start()
            await eventually(lambda: agent.events("publisher.online") and memory.scans > 5)
            before = resource.prlimit(agent.pid, resource.RLIMIT_NOFILE)[0]
            _limit(agent.pid, 3)  # what is open stays open
            broker.kill()
            await eventually(lambda: "Too many open files" in str(agent.events("publisher.offline")))
            _, waiting = await asyncio.open_connection("127.0.0.1", agent.port)
            await eventually(lambda: agent.events("http.exhausted"))
            scans = memory.scans
            await eventually(lambda: memory.scans > scans + 10)
            broker.start()
            _limit(agent.pid, before)
            await eventually(lambda: len(agent.events("publisher.online")) == 2)
            await eventually(agent.status)
            waiting.close()
            assert await agent.stop() == 0
        assert not agent.events("component.failed")
        assert not agent.events("component.bug")
        assert not agent.events("device.offline")
        assert len(agent.log_text.splitlines()) < 100
