"""What the service manager is told, and when the watchdog goes hungry."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agent.runtime.service import LONGEST_TURN, ServiceManager
from agent.testing.clock import ManualClock
from tests.support.processes import agent_command, process
from tests.support.waiting import eventually


@contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """A service manager's end of the socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as notify:
        notify.bind(str(path))
        yield notify


def told(notify: socket.socket) -> list[str]:
    """What has come since."""
    found = []
    while True:
        try:
            found.append(notify.recv(100).decode())
        except BlockingIOError:
            return found


async def test_a_writer_that_hangs_is_not_fed_for(tmp_path: Path) -> None:
    """Three times in its interval while all writers come round; not while one hangs, which is logged once."""
    clock, turns = ManualClock(), {"plant": 0.2, "cloud": 0.3}
    with listening(tmp_path / "notify") as notify:
        environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "60000000"}
        service = ServiceManager(lambda: turns, clock, environ)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(service.run())
            await clock.advance(59)
            assert told(notify) == ["WATCHDOG=1"] * 3
            turns["cloud"] = LONGEST_TURN + 1
            with capture_logs() as logs:
                await clock.advance(60)
            assert told(notify) == []
            assert [(line["event"], line["publisher"]) for line in logs] == [("agent.writer_stuck", "cloud")]
            turns["cloud"] = 0.1
            await clock.advance(20)
            assert told(notify) == ["WATCHDOG=1"]
            task.cancel()


@pytest.mark.parametrize(
    "environ",
    [{}, {"WATCHDOG_USEC": "60000000"}, {"NOTIFY_SOCKET": "/nowhere/notify"},
     {"NOTIFY_SOCKET": "/nowhere/notify", "WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}],
)  # fmt: skip
async def test_nobody_listens(environ: dict[str, str]) -> None:
    """Without a socket, with one that is gone, or a watchdog that is another process's: nothing happens."""
    service = ServiceManager(dict, ManualClock(), environ)
    service.ready()
    await service.run()
    service.stopping()


async def test_as_a_service(tmp_path: Path) -> None:
    """The agent as systemd starts it: ready when it has started, fed while it runs, stopping at SIGTERM."""
    (tmp_path / "agent.yaml").write_text(
        "agent: {id: gw, data_dir: data}\nhttp: null\npublishers: {plant: {type: mqtt, url: 'mqtt://127.0.0.1:1'}}\n"
        "devices: {d: {type: modbus, url: 'tcp://127.0.0.1:1', tags: {a: {address: 'coil:0'}}}}\n"
    )
    name = f"@edge-test-{os.getpid()}"
    heard: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as notify:
        notify.bind(f"\0{name[1:]}")
        env = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "300000"}
        with process(*agent_command("run", "-c", "agent.yaml"), cwd=tmp_path, env=env) as agent:

            def has(what: str, times: int) -> bool:
                heard.extend(told(notify))
                return heard.count(what) >= times

            await eventually(lambda: has("WATCHDOG=1", 3) and has("READY=1", 1), what="it is ready and fed")
            agent.terminate()
            assert await agent.wait() == 0, agent.tail()
            assert has("STOPPING=1", 1)
    assert heard.count("READY=1") == 1
