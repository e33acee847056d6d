"""Free ports on loopback."""

from __future__ import annotations

import contextlib
import random
import socket

#: Below what Linux gives to outgoing connections (from 32768): nobody's client takes a port before its server does.
_FROM, _TO = 15_000, 32_000
_given: set[int] = set()
_random = random.Random()  # seeded by the system: workers that run beside each other draw different ones


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port nobody listens on now, never the same twice. Where a server can bind port 0 itself, prefer that."""
    while True:
        port = _random.randrange(_FROM, _TO)
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
