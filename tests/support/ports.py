"""Free ports on loopback."""

from __future__ import annotations

import contextlib
import os
import random
import socket

#: Below what Linux gives to outgoing connections (from 32768): nobody's client takes a port before its server does.
_FROM, _TO = 15_000, 32_000
_given: set[int] = set()
_random = random.Random()
#: Workers that run beside each other never draw the same: a port stays its test's while its server is away.
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port nobody listens on now, never the same twice. Where a server can bind port 0 itself, prefer that."""
    while True:
        port = _random.randrange(_FROM + _WORKER % _WORKERS, _TO, _WORKERS)
        if port in _given:
            continue
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((host, port))
            _given.add(port)
            return port


def accepts(port: int, host: str = "127.0.0.1") -> bool:
    """Whether somebody accepts connections there."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=0.5):
        return True
    return False
