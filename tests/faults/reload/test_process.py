"""What a reload does to the process: its signal, its port, its log, and what only one may have."""

from __future__ import annotations

import asyncio
import copy
import os
import signal
import socket
from pathlib import Path
from typing import Any

import httpx

from tests.faults.modbus.media import medium
from tests.faults.southbound.conftest import modbus
from tests.support.agent import AgentProcess
from tests.support.ports import free_port
from tests.support.processes import agent_command, run_process
from tests.support.waiting import eventually


def agent_of(folder: Path, devices: dict[str, Any] | None = None, **keys: Any) -> AgentProcess:
    """An agent without publishers."""
    return AgentProcess(folder, publishers={}, devices=devices or {}, **keys)


async def listens(agent: AgentProcess, times: int) -> None:
    """For devices that dial in, so many times since it started."""
    await eventually(lambda: len(agent.events("modbus.listening")) == times, what="it listens")


async def test_sighup_never_ends_the_process(tmp_path: Path) -> None:
    """Neither while it starts, nor while it runs, nor while it stops; what came too early is heard afterwards."""
    with agent_of(tmp_path, {"press": modbus(f"tcp://127.0.0.1:{free_port()}")}) as agent:
        await agent.start(ready=False)
        await eventually(lambda: agent.events("config.loaded"), what="it starts")
        os.kill(agent.pid, signal.SIGHUP)
        await eventually(lambda: agent.events("config.unchanged"), what="it reads its configuration again")
        for _ in range(20):
            os.kill(agent.pid, signal.SIGHUP)
        await agent.reload()
        os.kill(agent.pid, signal.SIGTERM)
        os.kill(agent.pid, signal.SIGHUP)
        await eventually(lambda: agent.events("agent.stopping"), what="it stops")
        os.kill(agent.pid, signal.SIGHUP)
        assert await agent.ended(8.0) == 0
    assert not agent.events("component.bug")


async def test_the_port_and_the_log_change_in_place(tmp_path: Path) -> None:
    """Pages are served on the new port and no longer on the old one; lines of another level are written."""
    with agent_of(tmp_path) as agent:
        await agent.start()
        old = agent.port
        document = copy.deepcopy(agent.document)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            agent.configure(document | {"http": {"port": taken.getsockname()[1]}})
            command = agent_command("reload", "-c", str(agent.config), "--wait", "1s")
            done = await asyncio.to_thread(run_process, *command)
            assert (done.returncode, "http is not back: " in done.stderr) == (1, True)
            await eventually(lambda: agent.events("component.failed"), what="the port could not be opened")
            done = await asyncio.to_thread(run_process, *agent_command("status", "-c", str(agent.config)))
            assert "health are not served" in done.stdout
        document["http"] = {"port": free_port()}
        document["log"] = {"level": "warning"}
        agent.configure(document)
        os.kill(agent.pid, signal.SIGHUP)
        agent.port = document["http"]["port"]
        await eventually(agent._is_ready, what="the new port answers")
        async with httpx.AsyncClient() as client:
            try:
                await client.get(f"http://127.0.0.1:{old}/healthz")
            except httpx.TransportError:
                gone = True
            else:
                gone = False
        assert gone
        heard = len(agent.log_text)
        assert await agent.stop() == 0
        assert len(agent.log_text) == heard, "information is not logged any more"


async def test_what_only_one_may_have_is_let_go_first(tmp_path: Path) -> None:
    """A port on which units dial in: its successor listens there, and was not refused it for a moment.

    The same where the successor is of another kind: the device listens where the page was, then they change places.
    """
    port = free_port()
    device = modbus(f"tcp-listen://127.0.0.1:{port}")
    with agent_of(tmp_path, {"far": device}) as agent:
        await agent.start()
        await listens(agent, 1)
        document = copy.deepcopy(agent.document)
        document["devices"]["far"]["dtu"] = {"registration": "unit-7"}
        line = await agent.reload(document)
        assert line["devices_replaced"] == ["far"]
        await listens(agent, 2)
        assert not agent.events("component.retry")
        first, second = agent.port, free_port()
        for times, (page, units) in enumerate(((second, first), (first, second)), 3):
            document["http"]["port"] = agent.port = page
            document["devices"]["far"]["url"] = f"tcp-listen://127.0.0.1:{units}"
            await agent.reload(document)
            await listens(agent, times)
            await eventually(agent._is_ready, what="so does the page")
        assert not agent.events("component.retry") + agent.events("component.failed")
        del document["devices"]["far"]
        await agent.reload(document)
        metrics = await agent.metrics()
        assert await agent.stop() == 0
    assert f"{port}" not in metrics


async def test_a_serial_port_is_closed_before_its_successor_opens_it(tmp_path: Path) -> None:
    """Another speed is another bus on the same port, which is locked: both units are read on, nobody was refused."""
    async with medium("serial rtu") as bus:
        devices = {
            f"unit-{number}": modbus(bus.url, registers=2, unit_id=number, interval="500ms") for number in (1, 2)
        }
        with agent_of(tmp_path, devices) as agent:
            await agent.start()
            for speed in ("115200", "9600", "19200"):
                if speed not in bus.url:
                    document = copy.deepcopy(agent.document)
                    for device in document["devices"].values():
                        device["url"] = bus.url.replace("115200", speed)
                    line = await agent.reload(document)
                    assert line.get("devices_replaced") == ["unit-1", "unit-2"], line
                bus.asked.clear()
                await eventually(lambda: {ask.unit for ask in bus.asked[-4:]} == {1, 2}, what=f"read at {speed}")
            assert len(agent.events("modbus.connected")) == 3

            async def online() -> bool:
                return all(one["state"] != "offline" for one in (await agent.status())["devices"].values())

            await eventually(online, what="both units are online")
            assert await agent.stop() == 0
        assert "another program" not in agent.log_text
        for event in ("component.retry", "component.failed", "device.offline"):
            assert not agent.events(event)
