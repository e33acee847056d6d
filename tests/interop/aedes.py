"""aedes, an MQTT 3.1.1 broker nobody here wrote, reached over TCP, TLS and WebSocket: a process on 127.0.0.1."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from tests.interop.foreign import HERE, node_modules
from tests.support.certs import Certs
from tests.support.processes import Process, process
from tests.support.waiting import eventually_sync

WAYS = ("mqtt", "mqtts", "ws", "wss")


class AedesBroker:
    """A broker that runs."""

    def __init__(self, server: Process, ports: dict[str, int]) -> None:
        self._server = server
        self._ports = ports

    def port(self, way: str) -> int:
        """Where it listens: mqtt, mqtts, ws or wss. The two with TLS want a client certificate."""
        return self._ports[way]

    def url(self, way: str = "mqtt") -> str:
        """What stands under `url:`."""
        host = "localhost" if way in ("mqtts", "wss") else "127.0.0.1"
        return f"{way}://{host}:{self._ports[way]}"

    def said(self, word: str) -> list[str]:
        """What it has said with this word in front: client, named, refused."""
        lines = [line.partition(" ") for line in self._server.stdout.splitlines()]
        return [rest for first, _, rest in lines if first == word]


@contextmanager
def aedes(certs: Certs) -> Iterator[AedesBroker]:
    """Running for a while."""
    settings = {
        "modules": str(node_modules()),
        "ca": str(certs.ca),
        "certificate": str(certs.server_cert),
        "key": str(certs.server_key),
    }
    with process("node", str(HERE / "broker_server.js"), json.dumps(settings)) as server:

        def listening() -> str | None:
            assert server.returncode is None, server.stderr
            found = [line for line in server.stdout.splitlines() if line.startswith("listening ")]
            return found[0].removeprefix("listening ") if found else None

        yield AedesBroker(server, json.loads(eventually_sync(listening, what="aedes listens") or ""))
