"""The real broker: mosquitto from the distribution, on loopback, one process per instance.

    def test_x(mosquitto): ...                  a plain broker that is running: mosquitto.port, mosquitto.url
    def test_y(start_mosquitto):
        broker = start_mosquitto("max_packet_size 2000", listener="require_certificate true", persistent=True)
        broker.kill(); broker.start()           the same port, the same store

Without mosquitto such a test is left out at a desk and fails where CI=true.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from tests.support.certs import Certs
from tests.support.ports import accepts, free_port
from tests.support.waiting import eventually_sync

MISSING = "mosquitto is not installed: apt-get install mosquitto, or make test as root"


def find_mosquitto() -> str:
    """Path of the broker; skips the test where it is missing, fails it where CI=true."""
    path = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin")
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    return path


class Mosquitto:
    """One broker process. `start`, `stop` (SIGTERM), `kill` (-9) and `restart` block until it is so (about 50 ms)."""

    host = "127.0.0.1"

    def __init__(
        self, folder: Path, config: str = "", *, listener: str = "", tls: Certs | None = None,
        persistent: bool = False, anonymous: bool = True,
    ) -> None:  # fmt: skip
        self._binary = find_mosquitto()
        self.folder, self.tls = folder, tls
        self._config, self._listener = config, listener
        self._persistent, self._anonymous = persistent, anonymous
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        """What stands under `url:` of a publisher."""
        return f"{'mqtts' if self.tls else 'mqtt'}://{self.host}:{self.port}"

    @property
    def log(self) -> str:
        """All the broker has said so far."""
        path = self.folder / "mosquitto.log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def running(self) -> bool:
        """Whether its process is alive."""
        return self._process is not None and self._process.poll() is None

    def _write_config(self) -> Path:
        lines = [
            "log_dest stderr",
            "log_type all",
            "persistence false",
            "max_queued_messages 100000",  # more than a slow consumer is behind; 0 makes it hang up on what it refuses
            f"allow_anonymous {'true' if self._anonymous else 'false'}",
            *(["user root"] if os.geteuid() == 0 else []),  # else it drops to a user that cannot read the test's folder
        ]
        if self._persistent:
            lines[2:3] = ["persistence true", f"persistence_location {self.folder}/", "autosave_interval 1"]
        lines += [self._config, f"listener {self.port} {self.host}", self._listener]
        if self.tls:
            lines += [
                f"cafile {self.tls.ca}",
                f"certfile {self.tls.server_cert}",
                f"keyfile {self.tls.server_key}",
            ]
        path = self.folder / "mosquitto.conf"
        path.write_text("\n".join(line for line in lines if line) + "\n")
        return path

    def start(self) -> None:
        """Start and wait until it accepts connections; on another port if this one has been taken meanwhile."""
        self.kill()
        for attempt in range(3):
            with (self.folder / "mosquitto.log").open("ab") as log:
                self._process = subprocess.Popen(
                    [self._binary, "-c", str(self._write_config())], stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )
            eventually_sync(lambda: not self.running or accepts(self.port), what=f"mosquitto on port {self.port}")
            if self.running:
                return
            if attempt == 2 or "Address already in use" not in self.log:
                break
            self.port = free_port()
        raise AssertionError(f"mosquitto did not start:\n{self.log}")

    def stop(self) -> None:
        """End it in order: it says goodbye and, if persistent, writes its store."""
        process = self._process
        if process is not None:

            def ended() -> bool:
                process.terminate()  # again and again: one that comes before its loop begins is forgotten
                return process.poll() is not None

            eventually_sync(ended, what="mosquitto has stopped")

    def kill(self) -> None:
        """Kill -9: what it has not written is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)

    def restart(self) -> None:
        """Stop and start on the same port."""
        self.stop()
        self.start()


class StartMosquitto(Protocol):
    """What the fixture `start_mosquitto` gives."""

    def __call__(
        self, config: str = "", *, listener: str = "", tls: Certs | None = None, persistent: bool = False,
        anonymous: bool = True,
    ) -> Mosquitto: ...  # fmt: skip


@pytest.fixture
def start_mosquitto(tmp_path: Path) -> Iterator[StartMosquitto]:
    """Starts brokers; `config` are global lines, `listener` those of the listener. All are gone after the test."""
    started: list[Mosquitto] = []

    def start(
        config: str = "", *, listener: str = "", tls: Certs | None = None, persistent: bool = False,
        anonymous: bool = True,
    ) -> Mosquitto:  # fmt: skip
        folder = tmp_path / f"mosquitto-{len(started)}"
        folder.mkdir()
        broker = Mosquitto(folder, config, listener=listener, tls=tls, persistent=persistent, anonymous=anonymous)
        started.append(broker)
        broker.start()
        return broker

    yield start
    for broker in started:
        broker.kill()


@pytest.fixture
def mosquitto(start_mosquitto: Callable[[], Mosquitto]) -> Mosquitto:
    """A plain broker that is running."""
    return start_mosquitto()
