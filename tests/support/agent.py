"""The agent as its user runs it: a process of its own, from a configuration file, with its log to look at."""

from __future__ import annotations

import json
import os
import signal
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import httpx

from tests.support.ports import free_port
from tests.support.processes import Running, popen
from tests.support.waiting import eventually

REPOSITORY = Path(__file__).resolve().parents[2]

#: Made once: reading all authorities of the machine would be most of what a request costs.
TRUST = ssl.create_default_context()


class AgentProcess:
    """`edge-agent run` on a configuration. As a context manager: killed at the end if it still lives.

    `module` is what is started, where it is not the agent as it is; `tree`: of which checkout.

    with AgentProcess(tmp_path, publishers=..., devices=...) as agent:
        await agent.start()
        ...
        assert await agent.stop() == 0
    """

    def __init__(
        self,
        folder: Path,
        *,
        publishers: dict[str, Any],
        devices: dict[str, Any],
        agent: dict[str, Any] | None = None,
        outbox: dict[str, Any] | None = None,
        log: dict[str, Any] | None = None,
        module: str = "agent",
        tree: Path = REPOSITORY,
    ) -> None:
        self.folder = folder
        self._module = module
        self._tree = tree
        self.data_dir = folder / "data"
        self.log_path = folder / "agent.log"
        self.port = free_port()
        self.config = folder / "agent.yaml"
        self._process: Running | None = None
        document = {
            "agent": {"id": "gw-test", "location": ["plant", "hall"], "data_dir": str(self.data_dir)} | (agent or {}),
            "http": {"port": self.port},
            "publishers": publishers,
            "devices": devices,
        }
        if outbox is not None:
            document["outbox"] = outbox
        if log is not None:
            document["log"] = log
        self._logged: list[dict[str, Any]] = []
        self._read_up_to = 0
        self.configure(document)

    def configure(self, document: dict[str, Any]) -> None:
        """Write the configuration (JSON is YAML); takes effect at the next start."""
        self.document = document
        self.config.write_text(json.dumps(document, indent=1), encoding="utf-8")

    async def start(self, *, ready: bool = True) -> None:
        """Start; return when it is ready. The loop runs on meanwhile: the servers of a test may live on it."""
        self._process = await self._spawn()
        if ready:
            await eventually(self._is_ready, what="the agent is ready")

    async def _spawn(self) -> Running:
        with self.log_path.open("ab") as log:
            return popen(self._argv, stdout=log.fileno(), stderr=log.fileno(), cwd=self._tree, env=self._env)

    @property
    def _argv(self) -> Sequence[str]:
        return (sys.executable, "-m", self._module, "run", "-c", str(self.config))

    @property
    def _env(self) -> dict[str, str]:
        return os.environ | {"PYTHONUNBUFFERED": "1"}

    async def reload(self, document: dict[str, Any] | None = None) -> dict[str, Any]:
        """SIGHUP, after writing another configuration if there is one; what the log tells of it."""
        if document is not None:
            self.configure(document)
        before = len(self._reloads())
        os.kill(self.pid, signal.SIGHUP)
        return (await eventually(lambda: self._reloads()[before:], what="the configuration was read again"))[0]

    def _reloads(self) -> list[dict[str, Any]]:
        names = ("config.reloaded", "config.unchanged", "config.rejected")
        return [line for line in self._lines() if line.get("event") in names]

    def _lines(self) -> list[dict[str, Any]]:
        """All of them so far; what was read before is not read again."""
        if self.log_path.exists():
            with self.log_path.open("rb") as log:
                log.seek(self._read_up_to)
                for line in log:
                    if not line.endswith(b"\n"):
                        break
                    self._read_up_to += len(line)
                    if line.startswith(b"{"):
                        self._logged.append(json.loads(line))
        return self._logged

    async def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"the agent ended:\n{self.log_text[-3000:]}"
        try:
            return (await self._get("/readyz")).status_code == 200
        except httpx.TransportError:
            return False

    async def _get(self, path: str) -> httpx.Response:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=30, verify=TRUST) as client:
            return await client.get(path)

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None
        return self._process.pid

    async def stop(self, within: float = 8.0) -> int:
        """SIGTERM; the exit code. Fails where stopping takes longer than the contract's 8 s."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return await self.ended(within)

    async def ended(self, within: float) -> int:
        """Wait for its end; the exit code."""
        assert self._process is not None
        process = self._process
        await eventually(lambda: process.poll() is not None, within, "the agent ended")
        code = process.poll()
        assert code is not None
        return code

    def kill(self) -> None:
        """Kill -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(timeout=30)

    async def status(self) -> dict[str, Any]:
        """What /api/v1/status says."""
        answer: dict[str, Any] = (await self._get("/api/v1/status")).json()
        return answer

    async def metrics(self) -> str:
        """What /metrics says."""
        return (await self._get("/metrics")).text

    @property
    def log_text(self) -> str:
        """All it has logged, over all runs."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def events(self, name: str) -> list[dict[str, Any]]:
        """Logged events of that name, over all runs."""
        return [line for line in self._lines() if line.get("event") == name]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()
