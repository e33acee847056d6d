"""One HTTP connection with the bounds of the door. uvicorn has one timeout, for keep-alive."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Repeats
from agent.web.door import Door, Guest, scarce

HEADER_WITHIN = 5.0  #: seconds from the connection, or the first byte of a further request, to the end of its header
IDLE = 60  #: seconds a connection may wait for its next request, or for its reader

log = get_logger("web")

_Scope = MutableMapping[str, Any]
_App = Callable[[_Scope, Any, Any], Awaitable[None]]

#: Where the guest of a request stands in its scope.
GUEST = "agent.guest"


class Hall:
    """The connections that came through one door."""

    def __init__(self) -> None:
        self.door = Door()
        self.inside: dict[Guest, Connection] = {}
        self.repeats = Repeats()


class Connection(H11Protocol):
    """See the head of this file."""

    hall: Hall  #: set by `bounded`

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._guest: Guest | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._slow: asyncio.TimerHandle | None = None
        self.app = self._with_guest(cast("_App", self.app))

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        guest = self._guest = Guest(self.client[0] if self.client else None)
        sock, hall = transport.get_extra_info("socket"), self.hall
        hall.inside[guest] = self
        leaves = guest if sock is not None and scarce(sock.fileno()) else hall.door.arrive(guest)
        if leaves is not guest:
            self._expect_header()
        if leaves is not None:
            missed = hall.repeats.due("crowded", self.loop.time())
            if missed is not None:
                log.warning("http.crowded", peer=leaves.peer, connections=len(hall.door), repeats=missed)
            hall.inside[leaves].turn_out()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._header_is_here()
        self.resume_writing()
        if self._guest is not None:
            self.hall.inside.pop(self._guest, None)
            self.hall.door.leave(self._guest)

    def data_received(self, data: bytes) -> None:
        if self._deadline is None and self._guest is not None and not self._guest.busy:
            self._expect_header()
        super().data_received(data)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._guest is not None:
            self._guest.busy = False

    def pause_writing(self) -> None:
        """The peer does not read what it asked for."""
        super().pause_writing()
        self._slow = self.loop.call_later(IDLE, self.turn_out)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None

    def turn_out(self) -> None:
        """At once, whatever is still to be written."""
        self.transport.abort()

    def _with_guest(self, app: _App) -> Any:
        async def answer(scope: _Scope, receive: Any, send: Any) -> None:
            self._header_is_here()
            if self._guest is not None:
                self._guest.busy = True
            scope[GUEST] = self._guest
            await app(scope, receive, send)

        return answer

    def _expect_header(self) -> None:
        self._deadline = self.loop.call_later(HEADER_WITHIN, self.turn_out)

    def _header_is_here(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def bounded() -> type[asyncio.Protocol]:
    """The protocol of one listener's connections: they share a door."""
    return type("BoundedConnection", (Connection,), {"hall": Hall()})
