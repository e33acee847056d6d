"""The stage of a demo: broker, plant, cable, agent, historian and an independent subscriber, each a real one.

   plant ◀──── agent (process) ────▶ cable ────▶ broker (process) ──┬─▶ subscriber → audit, table
Modbus, OPC UA                      can be cut                      └─▶ historian (process) → SQLite
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from importlib.resources import files
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Self

from agent.consumer.audit import Audit
from agent.consumer.subscriber import Subscriber
from agent.consumer.table import Table
from agent.consumer.target import access_of
from agent.core.errors import PermanentError
from agent.simulator.broker import HOST, EmbeddedBroker
from agent.simulator.description import plant_of
from agent.simulator.plant import Plant
from agent.simulator.proxy import Proxy

AGENT = "demo"
PAGE_PORT = 8080
STOP_WITHIN = 10.0  #: agent and historian promise 8
#: Until the historian listens nothing may be published, seconds.
LISTENS_WITHIN = 30.0

#: What the configuration says, device by device; the plant's real ports take the place of these.
_USUAL = {"press-01": "tcp://127.0.0.1:5020", "meter-01": "tcp://127.0.0.1:5021", "cnc-07": "opc.tcp://127.0.0.1:4840"}
_PLANT = {"press-01": {"kind": "press"}, "meter-01": {"kind": "meter"}, "cnc-07": {"kind": "cnc"}}


def configuration() -> str:
    """The demo's configuration, as it is shipped."""
    return (files("agent.simulator") / "demo.yaml").read_text(encoding="utf-8")


def page_port() -> int:
    """A free port of loopback for the page: the usual one where nobody has it."""
    for port in (PAGE_PORT, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return int(probe.getsockname()[1])
    raise PermanentError("no port of this machine's loopback is free")


def configured(urls: dict[str, str], port: int = 0) -> str:
    """The same with other addresses: `urls` by device, and "broker"; the page on `port`."""
    replacements = {_USUAL[name]: url for name, url in urls.items() if name in _USUAL}
    replacements |= {"mqtt://127.0.0.1:1883": urls["broker"], "port: 8080": f"port: {port}"}
    text = configuration()
    for old, new in replacements.items():
        if text.count(old) != 1:
            raise ValueError(f"the shipped configuration says {old!r} {text.count(old)} times, not once")
        text = text.replace(old, new)
    return text


class Stage:
    """Everything a demo needs, set up on entering and torn down on leaving. `say` is told of every step."""

    devices = tuple(_PLANT)

    def __init__(self, say: Callable[[str, str], None]) -> None:
        self._say = say
        self._stack = AsyncExitStack()
        self._process: asyncio.subprocess.Process | None = None
        self._historian: asyncio.subprocess.Process | None = None
        self.folder = Path(mkdtemp(prefix="edge-agent-demo-"))
        self.audit = Audit()
        self.table = Table()
        self.plant: Plant = plant_of({"seed": 7, "devices": _PLANT})
        self.cable: Proxy | None = None

    @property
    def agent_log(self) -> Path:
        """What the agent says."""
        return self.folder / "agent.log"

    @property
    def database(self) -> Path:
        """Where the historian writes."""
        return self.folder / "historian" / "plant.db"

    @property
    def agent_pid(self) -> int | None:
        """The agent's process; None once it ended."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    @property
    def agent_online(self) -> bool:
        """Whether the agent says so, as the subscriber heard it."""
        status = self.table.agents.get(AGENT)
        return status is not None and status.state == "online"

    @property
    def complete(self) -> bool:
        """Every device has been heard of with something good."""
        heard = {
            device.device
            for device in self.table.devices.values()
            if any(row.quality == "good" for row in device.rows.values())
        }
        return heard >= set(self.devices)

    async def __aenter__(self) -> Self:
        try:
            await self._set_up()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._stack.aclose()

    async def _set_up(self) -> None:
        port = page_port()
        self._say("page", f"http://{HOST}:{port}/ (as soon as the agent runs)")
        broker = EmbeddedBroker()
        self._stack.callback(broker.stop)
        await asyncio.to_thread(broker.start)
        self._say("broker", f"{broker.url} (MQTT 5), {broker.url_311} (3.1.1)")
        await self._stack.enter_async_context(self.plant)
        for name, device in self.plant.devices.items():
            self._say(name, device.url)
        self.cable = await self._stack.enter_async_context(Proxy(HOST, broker.port))
        group = await self._stack.enter_async_context(_Background())
        subscriber = Subscriber(
            access_of(broker.url), ["edge/#"], self._heard, on_interrupted=self.audit.interrupted, name="edge-demo"
        )
        group.start(subscriber.run())
        async with asyncio.timeout(10):
            await subscriber.subscribed.wait()
        self._say("subscriber", f"edge/# at {broker.url}, on its own connection")
        await self._start_historian(broker.url)
        urls = {name: device.url for name, device in self.plant.devices.items()}
        await self._start_agent(configured(urls | {"broker": f"mqtt://{HOST}:{self.cable.port}"}, port))

    def _heard(self, topic: str, payload: bytes, *, retained: bool) -> None:
        self.table.apply(self.audit.feed(topic, payload, retained=retained), topic)

    async def _start_agent(self, text: str) -> None:
        path = self.folder / "demo.yaml"
        path.write_text(text, encoding="utf-8")
        self._process = await self._child(self.agent_log, "run", "-c", str(path))
        self._stack.push_async_callback(self.stop_agent)
        self._say("agent", f"edge-agent run -c {path}")
        self._say("its log", str(self.agent_log))

    async def _start_historian(self, url: str) -> None:
        path, log = self.folder / "historian.yaml", self.folder / "historian.log"
        settings = {
            "historian": {"id": "demo", "data_dir": str(self.database.parent), "database": "sqlite:///plant.db"},
            "sources": {"plant": {"type": "mqtt", "url": url}},
            "http": None,
        }
        path.write_text(json.dumps(settings), encoding="utf-8")
        self._historian = await self._child(log, "historian", "-c", str(path))
        self._stack.push_async_callback(self.stop_historian)
        self._say("historian", f"edge-agent historian -c {path}")
        deadline = asyncio.get_running_loop().time() + LISTENS_WITHIN
        while "historian.source_online" not in log.read_text(errors="replace"):
            if self._historian.returncode is not None or asyncio.get_running_loop().time() > deadline:
                raise PermanentError(f"the historian does not listen: {log.read_text(errors='replace')[-500:]}")
            await asyncio.sleep(0.05)
        self._say("its database", str(self.database))

    async def _child(self, log: Path, *arguments: str) -> asyncio.subprocess.Process:
        with log.open("wb") as file:
            return await asyncio.create_subprocess_exec(
                sys.executable, "-m", "agent.simulator.agent_child", *arguments,
                stdin=asyncio.subprocess.PIPE, stdout=file, stderr=file,
                start_new_session=True,  # Ctrl-C is the demo's: it stops them in order
            )  # fmt: skip

    async def stop_agent(self) -> int:
        """SIGTERM, and its exit code; killed where it does not end in time."""
        return await self._stop(self._process)

    async def stop_historian(self) -> int:
        """The same of the historian."""
        return await self._stop(self._historian)

    @staticmethod
    async def _stop(process: asyncio.subprocess.Process | None) -> int:
        if process is None:
            return 1
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(STOP_WITHIN):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        return process.returncode if process.returncode is not None else 1

    def last_words(self) -> str:
        """The end of the agent's log."""
        lines = self.agent_log.read_text(errors="replace").splitlines() if self.agent_log.exists() else []
        return "\n".join(lines[-5:])

    def remove(self) -> None:
        """Take the demo's folder away."""
        shutil.rmtree(self.folder, ignore_errors=True)


class _Background:
    """Tasks that live as long as a stage; the first that fails cancels the stage's own task."""

    def __init__(self) -> None:
        self._group = asyncio.TaskGroup()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(self._group.create_task(coroutine))

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        for task in self._tasks:
            task.cancel()
        await self._group.__aexit__(None, None, None)


def cpu_seconds(pid: int) -> float | None:
    """CPU time a process has used; None where the system does not tell (only Linux does)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int | None:
    """Memory a process holds; None where the system does not tell."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
