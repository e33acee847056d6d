"""An HTTP port of the agent's over a real socket, without an agent behind it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

from agent.web.guard import Guard
from agent.web.server import serve
from agent.web.tls import Certificate
from tests.support.ports import free_port
from tests.support.waiting import eventually


@asynccontextmanager
async def serving(app: Guard, host: str = "127.0.0.1", certificate: Certificate | None = None) -> AsyncIterator[int]:
    """The port, as soon as it listens."""
    port = free_port()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(serve(app, host, port, certificate))
        await eventually(lambda: task.done() or listens(port))
        yield port
        task.cancel()


def listens(port: int) -> bool:
    """Whether somebody does, on this machine."""
    with closing(socket.socket()) as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def own_address() -> str:
    """Of this machine beyond loopback; loopback's where it has none."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        try:
            sock.connect(("198.51.100.1", 9))  # sends nothing: only asks which way it would go
        except OSError:
            return "127.0.0.1"
        return str(sock.getsockname()[0])
