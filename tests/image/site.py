"""A small plant: machines, agent and historian out of one image, and the host's mosquitto between the two."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import yaml

from tests.image.podman import Container
from tests.support.mosquitto import Mosquitto
from tests.support.ports import free_port
from tests.support.processes import ROOT
from tests.support.waiting import eventually_sync

#: What a stock broker keeps for a consumer that is away.
LOSSY = "max_queued_messages 1000"


def slowly(condition: Callable[[], Any], seconds: float, what: str) -> None:
    """Wait for what costs a process to look at: once a second."""
    due = 0.0

    def look() -> Any:
        nonlocal due
        if time.monotonic() < due:
            return None
        found = condition()
        due = time.monotonic() + 1.0
        return found

    eventually_sync(look, seconds, what)


class Site:
    """All of it, running; gone when left. The plant's network is the agent's, so its cable is the agent's way out."""

    def __init__(self, image: str, folder: Path) -> None:
        self._image = image
        self._folder = folder
        self._stack = ExitStack()
        self.plant: Container
        self.agent: Container
        self.historian: Container
        self.broker: Mosquitto

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            plant = ROOT / "configs" / "examples" / "plant.yaml"
            self.plant = stack.enter_context(
                Container(self._image, "plant", f"--volume={plant}:/plant.yaml:ro", command=("simulate", "/plant.yaml"))
            )
            _, host = self.plant.address()
            port = free_port()
            (self._folder / "broker").mkdir()
            self.broker = Mosquitto(self._folder / "broker", f"{LOSSY}\nlistener {port} {host}", persistent=True)
            self.broker.start()
            stack.callback(self.broker.kill)
            url = f"mqtt://{host}:{port}"
            self.agent = stack.enter_context(
                self._part("agent", self._agent(url), "run", f"--network=container:{self.plant.name}")
            )
            self.historian = stack.enter_context(self._part("historian", self._historian(url), "historian"))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _part(self, name: str, document: dict[str, Any], command: str, *options: str) -> Container:
        path = self._folder / f"{name}.yaml"
        path.write_text(json.dumps(document, indent=1))  # JSON is YAML
        inside = f"/etc/edge-agent/{name}.yaml"
        return Container(self._image, name, f"--volume={path}:{inside}:ro", *options, command=(command, "-c", inside))

    @staticmethod
    def _agent(url: str) -> dict[str, Any]:
        document: dict[str, Any] = yaml.safe_load((ROOT / "configs" / "demo.yaml").read_text())
        document["agent"] |= {"id": "gw-image", "data_dir": "/data"}
        document["publishers"]["plant"] |= {"url": url, "replay": {"max_rate": "500/s"}}
        return document

    @staticmethod
    def _historian(url: str) -> dict[str, Any]:
        return {
            "historian": {"id": "hist-image", "data_dir": "/data", "database": "sqlite:///plant.db"},
            "sources": {"plant": {"type": "mqtt", "url": url}},
            "http": {"host": "127.0.0.1", "port": 8080},
        }

    def settle(self, seconds: float = 300) -> None:
        """Every device is read, and the broker has taken all but what is on its way, as the agent's `status` tells."""
        slowly(self._caught_up, seconds, "the agent has caught up")

    def _caught_up(self) -> bool:
        status = self.agent.json("edge-agent", "status", "-c", "/etc/edge-agent/agent.yaml", "--json")
        devices, publishers = status.get("devices", {}).values(), status.get("publishers", {}).values()
        return (
            bool(devices)
            and all(one["state"] == "online" for one in (*devices, *publishers))
            and all(one["records"] < 20 for one in publishers)
        )

    def stored_to_the_end(self) -> None:
        """After the agent's end: the historian has stored its last word, and all it owes."""
        slowly(lambda: self._historian_status().get("agents_online") == 0, 60, "the agent's last word is stored")
        self.complete(60)

    def _historian_status(self) -> dict[str, Any]:
        return self.historian.json("edge-agent", "status", "-c", "/etc/edge-agent/historian.yaml", "--json")

    def missing(self) -> int:
        """Records that the historian knows of and has not got."""
        status = self._historian_status()
        return int(status["missing"]["records"]) if "missing" in status else -1

    def complete(self, seconds: float) -> None:
        """The historian misses nothing, ten times in a row."""
        run = 0

        def calm() -> bool:
            nonlocal run
            run = run + 1 if self.missing() == 0 else 0
            return run >= 10

        slowly(calm, seconds, "nothing is missing")
