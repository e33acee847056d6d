"""One HTTP connection with a deadline for its header and for its reader. uvicorn has one timeout, for keep-alive."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, cast

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from agent.web.door import Guest
from agent.web.pace import VisitorPace

HEADER_WITHIN = 5.0  #: seconds from the connection, or the first byte of a further request, to the end of its header
MOST_BODY = 9216  #: bytes of a body, with what its chunks add, …
TAKE_BODIES = frozenset({"/api/v1/login"})  #: … of the paths that take one
_PIECE = 1024  #: bytes that are parsed in one go: a chunk of a body may be six
IDLE = 60  #: seconds a connection may wait for its next request, or for its reader
_GOODBYE = 1.0  #: seconds for the peer's part of closing TLS

_Scope = MutableMapping[str, Any]
_App = Callable[[_Scope, Any, Any], Awaitable[None]]

#: Where the guest of a request stands in its scope.
GUEST = "agent.guest"


class HttpConnection(H11Protocol):
    """See the head of this file. `left` is called once it is gone, whether or not its handshake came to an end."""

    def __init__(
        self, guest: Guest, left: Callable[[], None], config: Config, state: ServerState, pace: VisitorPace
    ) -> None:
        super().__init__(config, state, {}, asyncio.get_running_loop())
        self._guest = guest
        self._left = left
        self._pace = pace
        self._entering: asyncio.Task[Any] | None = None
        self._made = False
        self._deadline: asyncio.TimerHandle | None = None
        self._slow: asyncio.TimerHandle | None = None
        self._body = 0  #: bytes of the body that is coming in
        self.app = self._with_guest(cast("_App", self.app))

    async def enter(self, sock: socket.socket, context: Awaitable[ssl.SSLContext] | None) -> None:
        """Take over the socket, through a TLS handshake where there is a context. The time for the header runs.

        Raises OSError where the handshake fails, and what the context raises.
        """
        self._entering = asyncio.current_task()
        self._expect_header()
        try:
            if context is None:
                await self.loop.connect_accepted_socket(lambda: self, sock)
            else:
                await self.loop.connect_accepted_socket(
                    lambda: self, sock, ssl=await context,
                    ssl_handshake_timeout=HEADER_WITHIN, ssl_shutdown_timeout=_GOODBYE,
                )  # fmt: skip
        finally:
            self._entering = None
            if not self._made:
                self._header_is_here()
                sock.close()
                self._left()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._made = True
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._header_is_here()
        self.resume_writing()
        self._left()

    def data_received(self, data: bytes) -> None:
        if self._deadline is None and not self._guest.busy:
            self._expect_header()
        with self._pace.busy(stranger=self._guest.stranger):
            for at in range(0, len(data), _PIECE):
                if self._is_too_much(min(len(data) - at, _PIECE)):
                    return
                super().data_received(data[at : at + _PIECE])

    def _is_too_much(self, more: int) -> bool:
        """A body beyond its bound is read no further; the connection ends with the answer, if there is still one."""
        self._body = self._body + more if self.conn.their_state is h11.SEND_BODY else 0
        if not self._beyond():
            return self.transport.is_closing()
        if self.cycle.response_complete:
            self.turn_out()
        else:
            self.flow.pause_reading()
        return True

    def _beyond(self) -> bool:
        return self._body > _PIECE and (self._body > MOST_BODY or self.scope["path"] not in TAKE_BODIES)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._guest.busy = False
        if self._beyond():
            self.transport.close()

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
        if self._made:
            self.transport.abort()
        elif self._entering is not None:
            self._entering.cancel()

    def _with_guest(self, app: _App) -> Any:
        async def answer(scope: _Scope, receive: Any, send: Any) -> None:
            self._header_is_here()
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
