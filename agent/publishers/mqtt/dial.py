"""Make the connected socket: addresses of the name beside each other, then proxy, TLS and WebSocket.

What blocks (files, handshakes) runs in a worker thread of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

from agent.core.dial import connect_socket, distrust
from agent.core.errors import ConnectionLost, TransientError
from agent.core.resolve import NameUnknown
from agent.core.threads import run_in_thread
from agent.publishers.mqtt.proxy import BrokerProxy, tunnel
from agent.publishers.mqtt.sealed import TlsSocket
from agent.publishers.mqtt.tls import CUT, alert, own_expiry, server_expiry, tls_context, unverified
from agent.settings.tls import TLS_RETRY, BrokerTLS


class Dial:
    """One attempt to reach host:port within `timeout` seconds.

    Raises agent errors only: ConnectionLost, or TransientError where TLS is wrong.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        timeout: float,
        tls: BrokerTLS | None,
        synced: Callable[[], bool],
        proxy: BrokerProxy | None = None,
        upgrade: Callable[[socket.socket], Any] | None = None,
    ) -> None:
        self.host, self.port = host, port
        self.tls = tls
        self._where = f"{host}:{port}"
        self._deadline = time.monotonic() + timeout
        self._context: ssl.SSLContext | None = None
        self._synced = synced
        self._proxy = proxy
        self._upgrade = upgrade
        self._socket: socket.socket | None = None
        self._ready: Any = None
        self.expiry: dict[str, float] = {}  #: when certificates run out, epoch seconds
        self._aborted = False

    async def reach(self) -> None:
        """Connect and, where it is asked for, shake hands; :meth:`take` then gives the socket.

        Cancelled, it leaves nothing behind.
        """
        if self.tls is not None:
            # before anything is connected: a certificate that cannot be read needs no broker to be found out
            await self._in_thread(self._load)
        sock = self._socket = await self._tcp()
        if self._proxy is None and self.tls is None and self._upgrade is None:
            self._ready = sock
        else:
            await self._in_thread(self._shake_hands)

    def take(self) -> Any:
        """The connected socket (or what was wrapped around it), once; it is the caller's from now on."""
        ready, self._ready = self._ready, None
        if ready is None:
            raise ConnectionLost(f"{self._where} was not reached")
        return ready

    def distrust(self) -> None:
        """What answered there is no broker, or one that is of no use: another address of the name comes first now."""
        distrust(*self._peer)

    def close(self) -> None:
        """Close what was reached and not taken."""
        if self._ready is not None:
            self._ready.close()
            self._ready = None

    @property
    def _peer(self) -> tuple[str, int]:
        """Who is connected to."""
        return (self.host, self.port) if self._proxy is None else (self._proxy.host, self._proxy.port)

    async def _tcp(self) -> socket.socket:
        host, port = self._peer
        where = self._where if self._proxy is None else f"the proxy {host}:{port}"
        try:
            sock = await connect_socket(host, port, self._left())
        except NameUnknown as error:
            raise ConnectionLost(str(error)) from None
        except TimeoutError:
            raise ConnectionLost(f"{where} does not answer") from None
        except OSError as error:
            text = os.strerror(error.errno) if error.errno else str(error)
            raise ConnectionLost(f"cannot connect to {where}: {text}") from None
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    async def _in_thread(self, step: Callable[[], None]) -> None:
        thread = run_in_thread(step, "mqtt-connect")
        try:
            await asyncio.wait({thread})
        except asyncio.CancelledError:
            self._abort()
            await asyncio.wait({thread}, timeout=0.5)
            thread.add_done_callback(lambda _: self.close())
            raise
        thread.result()

    # --- in the thread ------------------------------------------------------------------------------------------------

    def _load(self) -> None:
        settings = self.tls or BrokerTLS()
        self._context = tls_context(settings)
        self.expiry = own_expiry(settings)

    def _shake_hands(self) -> None:
        sock: Any = self._socket
        try:
            if self._proxy is not None:
                sock.settimeout(self._left())
                tunnel(sock, self._proxy, self.host, self.port)
                self._check()
            if self.tls is not None:
                sock = self._encrypted(sock)
            self._ready = self._upgraded(sock)
        except BaseException:
            sock.close()
            raise

    def _left(self) -> float:
        return max(0.01, self._deadline - time.monotonic())

    def _encrypted(self, sock: socket.socket) -> TlsSocket:
        """The socket after the handshake."""
        settings = self.tls or BrokerTLS()
        context = self._context or tls_context(settings)
        try:
            wrapped = TlsSocket(sock, context, settings.server_name or self.host)
            sock.settimeout(self._left())
            wrapped.do_handshake()
            self.expiry |= server_expiry(wrapped)
            self._check()
        except ssl.SSLCertVerificationError as error:
            raise unverified(error, self._where, synced=self._synced()) from None
        except TimeoutError:
            raise ConnectionLost(f"{self._where} does not answer the TLS handshake") from None
        except (OSError, ValueError) as error:
            cut = CUT if isinstance(error, ssl.SSLZeroReturnError) else None  # an end without a word, to Python 3.11.2
            if (words := alert(error) or cut) is not None:
                raise TransientError(f"no TLS with {self._where}: {words}", retry_after=TLS_RETRY) from None
            words = CUT if isinstance(error, ConnectionError) else str(error)
            raise ConnectionLost(f"no TLS with {self._where}: {words}") from None
        return wrapped

    def _upgraded(self, sock: Any) -> Any:
        if self._upgrade is None:
            return sock
        try:
            sock.settimeout(self._left())
            upgraded = self._upgrade(sock)
            self._check()
        except TimeoutError:
            raise ConnectionLost(f"{self._where} does not answer the WebSocket handshake") from None
        except (OSError, ValueError, IndexError) as error:
            raise ConnectionLost(f"{self._where} does not speak MQTT over WebSocket here: {error}") from None
        return upgraded

    def _check(self) -> None:
        if self._aborted:
            raise ConnectionLost(f"connecting to {self._where} was given up")

    def _abort(self) -> None:
        """Wake the thread out of whatever it waits for. The thread closes its socket itself."""
        self._aborted = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
