"""Where connections come in: accepted one by one, so that the door stands before the TLS handshake as well.

uvicorn accepts by the backlog, and does not hear of a connection that never finishes its handshake.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from asyncio import TaskGroup
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from agent.core.errors import TransientError, exhausted
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Repeats
from agent.web.connection import HttpConnection
from agent.web.door import Door, Guest, scarce
from agent.web.pace import HANDSHAKE, VisitorPace
from agent.web.tls import Certificate

PAUSE = 1.0  #: seconds until the next try where the process or the machine has nothing left to accept with

log = get_logger("web")


class Hall:
    """The connections of one listener. Belongs to the event loop; each enters in a task of `group`."""

    def __init__(
        self,
        group: TaskGroup,
        config: Config,
        state: ServerState,
        pace: VisitorPace,
        certificate: Certificate | None = None,
    ) -> None:
        self._group = group
        self._config = config
        self._state = state
        self._pace = pace
        self._certificate = certificate
        self._door = Door()
        self._inside: dict[Guest, HttpConnection] = {}
        self._repeats = Repeats()

    async def receive(self, listener: socket.socket) -> None:
        """Until cancelled. The listener stays open whatever happens: connections that wait there are accepted later."""
        loop = asyncio.get_running_loop()
        listener.setblocking(False)
        while True:
            await self._pace.room()
            try:
                sock, address = await loop.sock_accept(listener)
            except OSError as failed:
                if exhausted(failed):
                    if (repeats := self._due("exhausted")) is not None:
                        log.warning("http.exhausted", reason=failed.strerror, repeats=repeats)
                    await asyncio.sleep(PAUSE)
                elif failed.errno in (errno.EBADF, errno.EINVAL, errno.ENOTSOCK):
                    raise
            else:
                self._admit(sock, address)

    def _admit(self, sock: socket.socket, address: Any) -> None:
        guest = Guest(str(address[0]) if isinstance(address, tuple) else None)
        leaves = guest if scarce(sock.fileno()) else self._door.arrive(guest)
        if leaves is not None and (repeats := self._due("crowded")) is not None:
            log.warning("http.crowded", peer=leaves.peer, connections=len(self._door), repeats=repeats)
        if leaves is guest:
            sock.close()
            return
        if leaves is not None:
            self._inside[leaves].turn_out()
        connection = HttpConnection(guest, lambda: self._leave(guest), self._config, self._state, self._pace)
        self._inside[guest] = connection
        if self._certificate is not None:
            self._pace.took(HANDSHAKE, stranger=guest.stranger)
        self._group.create_task(self._enter(connection, guest, sock), name="web connection")

    async def _enter(self, connection: HttpConnection, guest: Guest, sock: socket.socket) -> None:
        try:
            await connection.enter(sock, None if self._certificate is None else self._certificate.context())
        except (OSError, TransientError) as failed:
            reason = _words(failed)
            if (repeats := self._due(reason)) is not None:
                log.info("http.handshake_failed", peer=guest.peer, reason=reason, repeats=repeats)

    def _leave(self, guest: Guest) -> None:
        self._inside.pop(guest, None)
        self._door.leave(guest)

    def _due(self, key: str) -> int | None:
        return self._repeats.due(key, asyncio.get_running_loop().time())


def _words(failed: OSError | TransientError) -> str:
    if isinstance(failed, ssl.SSLError) and failed.reason in ("HTTP_REQUEST", "WRONG_VERSION_NUMBER"):
        return "it speaks no TLS; write https:// in its address"
    if isinstance(failed, ssl.SSLError):
        return (failed.reason or str(failed)).lower().replace("_", " ")
    return str(failed) or "it disconnected"
