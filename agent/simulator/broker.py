"""The embedded broker: iotcore (rumqttd in a wheel), on loopback only, in a process of its own. Extra `demo`.

    with EmbeddedBroker() as broker:          # or await asyncio.to_thread(broker.start)
        broker.url, broker.url_311

One listener speaks MQTT 5 (`port`), another 3.1.1 (`port_311`); a client that speaks the wrong one is closed without a
CONNACK. There is no console and no metrics listener: nothing listens but these two.

What it does and does not, as seen with iotcore 0.4.0:

- CONNACK announces a Topic Alias Maximum only: no Receive Maximum, no Maximum Packet Size (65,535 and no limit, then).
- A packet over `MAX_PAYLOAD` closes the connection without a reason. User properties and the content type pass.
- Every QoS 1 PUBLISH is acknowledged with Success, also when nobody subscribes (never 0x10).
- Retained messages reach new subscribers with their retain flag and are cleared by an empty payload.
- The will is published after a broken connection and after a take-over by the same client id, not after DISCONNECT.
- It keeps nothing over a restart, neither sessions nor retained messages: the demo interrupts the way to it instead.
"""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from agent.core.errors import PermanentError
from agent.telemetry.logging import get_logger

log = get_logger("simulator")

HOST = "127.0.0.1"
USUAL_PORT = 1883
MAX_PAYLOAD = 1 << 20

_CONFIGURATION = """\
id = 0

[router]
id = 0
max_connections = 200
max_outgoing_packet_count = 200
max_segment_size = 10485760
max_segment_count = 10

[v5.1]
name = "v5"
listen = "{host}:{port}"
next_connection_delay_ms = 1
[v5.1.connections]
connection_timeout_ms = 10000
max_payload_size = {payload}
max_inflight_count = 200

[v4.1]
name = "v311"
listen = "{host}:{port_311}"
next_connection_delay_ms = 1
[v4.1.connections]
connection_timeout_ms = 10000
max_payload_size = {payload}
max_inflight_count = 200
"""


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of loopback."""
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _accepts(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=0.2):
            return True
    except OSError:
        return False


class EmbeddedBroker:
    """One broker process, at the usual port where that is free, else at any.

    Raises PermanentError where iotcore is not installed, or when it does not start.
    """

    def __init__(self) -> None:
        self.port = self.port_311 = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: TemporaryDirectory[str] | None = None

    @property
    def url(self) -> str:
        """For MQTT 5."""
        return f"mqtt://{HOST}:{self.port}"

    @property
    def url_311(self) -> str:
        """For MQTT 3.1.1."""
        return f"mqtt://{HOST}:{self.port_311}"

    @property
    def pid(self) -> int | None:
        """Its process; None while it does not run."""
        return self._process.pid if self._process is not None else None

    def start(self, within: float = 15.0) -> None:
        """Start and return once both listeners accept. Blocks for about 150 ms."""
        if self._process is not None:
            return
        if importlib.util.find_spec("iotcore") is None:
            raise PermanentError("the embedded broker is not installed", "pip install iotcore")
        for last in (False, False, True):
            try:
                self._start(within)
            except PermanentError:
                if last:  # a port that was free a moment ago may be somebody else's now: another one
                    raise
            else:
                log.info("broker.listening", url=self.url, url_311=self.url_311)
                return

    def _start(self, within: float) -> None:
        usual = not self.port and is_free(USUAL_PORT)
        self.port, self.port_311 = USUAL_PORT if usual else _free_port(), _free_port()
        self._folder = TemporaryDirectory(prefix="edge-agent-broker-")
        configuration = Path(self._folder.name) / "rumqttd.toml"
        configuration.write_text(
            _CONFIGURATION.format(host=HOST, port=self.port, port_311=self.port_311, payload=MAX_PAYLOAD),
            encoding="utf-8",
        )
        words = (Path(self._folder.name) / "words").open("wb")
        with words:
            self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and file
                [sys.executable, "-m", "agent.simulator.broker_child", str(configuration)],
                stdin=subprocess.PIPE,
                stdout=words,
                stderr=words,
                start_new_session=True,  # Ctrl-C at the terminal is for the demo, which still needs its broker
            )
        self._wait(within)

    def _wait(self, within: float) -> None:
        assert self._process is not None  # noqa: S101  # started above
        deadline = time.monotonic() + within
        while True:
            accepts = _accepts(self.port) and _accepts(self.port_311)
            if self._process.poll() is not None or time.monotonic() > deadline:  # who accepts may be somebody else
                words = self._words()
                self.stop()
                raise PermanentError(f"the embedded broker did not start: {words or 'it said nothing'}")
            if accepts:
                return
            time.sleep(0.02)  # noqa: TID251  # documented to block; callers on a loop use a thread

    def _words(self) -> str:
        if self._folder is None:
            return ""
        text = (Path(self._folder.name) / "words").read_text(errors="replace").strip()
        return text.splitlines()[-1] if text else ""

    def stop(self) -> None:
        """End it and release its ports. Safe to call twice."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()  # it keeps nothing that could be saved
            process.wait(10)
            if process.stdin is not None:
                process.stdin.close()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()
