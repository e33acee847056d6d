"""Make the connected socket, in a worker thread: resolving, connecting, proxies, TLS and WebSocket handshakes block.

Certificates are read at every connection, so that they may be rotated. Verification cannot be turned off.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

from agent.core.errors import ConnectionLost, TransientError
from agent.publishers.mqtt.proxy import Proxy, tunnel
from agent.settings.tls import TLSSettings

#: A wrong certificate is put right by people: no need to hurry.
_TLS_RETRY = 30.0
#: What to do about a certificate, by OpenSSL's X509_V_ERR_*.
_NAMED = "write the host in url as the certificate has it, or set tls.server_name"
_HINTS = {
    9: "its time begins later: check the clocks of both machines",
    10: "whoever runs the broker has to renew it",
    62: _NAMED,  # host name
    64: _NAMED,  # IP address
}
_HINT = "check tls.ca_file"  # an authority that is not known


def tls_context(settings: TLSSettings) -> ssl.SSLContext:
    """TLS >= 1.2, host name and chain checked. TransientError names the file that cannot be used."""
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ValueError) as error:
        raise TransientError(f"tls.ca_file {settings.ca_file}: {error}", retry_after=_TLS_RETRY) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.cert_file is not None:
        try:
            # without a password OpenSSL would ask for one at the terminal, and hang there
            context.load_cert_chain(settings.cert_file, settings.key_file, password=_no_password)
        except (OSError, ValueError) as error:
            where = f"tls.cert_file {settings.cert_file}, tls.key_file {settings.key_file}"
            raise TransientError(f"{where}: {error}", retry_after=_TLS_RETRY) from None
    return context


def _no_password() -> str:
    raise ValueError("the private key is protected by a password; store it without one, readable for this user only")


class Dial:
    """One attempt to reach host:port within `timeout` seconds. `abort()` from another thread ends it at once.

    Raises agent errors only: ConnectionLost, or TransientError where TLS is wrong.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        timeout: float,
        tls: TLSSettings | None,
        synced: Callable[[], bool],
        proxy: Proxy | None = None,
        upgrade: Callable[[socket.socket], Any] | None = None,
    ) -> None:
        self._where = f"{host}:{port}"
        self._host, self._port = host, port
        self._deadline = time.monotonic() + timeout
        self._settings = tls
        self._context: ssl.SSLContext | None = None
        self._synced = synced
        self._proxy = proxy
        self._upgrade = upgrade
        self._socket: socket.socket | None = None
        self._ready: Any = None
        self.aborted = False

    def reach(self) -> None:
        """Connect and, where it is asked for, shake hands; :meth:`take` then gives the socket."""
        sock = self.tcp()
        try:
            if self._proxy is not None:
                sock.settimeout(self._left())
                tunnel(sock, self._proxy, self._host, self._port)
                self._check()
            if self._settings is not None:
                sock = self.tls(sock)
            self._ready = self._upgraded(sock)
        except BaseException:
            sock.close()
            raise

    def _left(self) -> float:
        return max(0.01, self._deadline - time.monotonic())

    def _upgraded(self, sock: socket.socket) -> Any:
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

    def take(self) -> Any:
        """The connected socket (or what was wrapped around it), once; it is the caller's from now on."""
        ready, self._ready = self._ready, None
        if ready is None:
            raise ConnectionLost(f"{self._where} was not reached")
        return ready

    def close(self) -> None:
        """Close what was reached and not taken."""
        if self._ready is not None:
            self._ready.close()

    def tcp(self) -> socket.socket:
        """A connected TCP socket, to the proxy if there is one: every address gets its share of the time left."""
        # Before anything is connected: a certificate that cannot be read needs no broker to be found out.
        self._context = tls_context(self._settings) if self._settings is not None else None
        host, port = (self._host, self._port) if self._proxy is None else (self._proxy.host, self._proxy.port)
        where = self._where if self._proxy is None else f"the proxy {host}:{port}"
        try:
            addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise ConnectionLost(f"cannot resolve {host}: {error}") from None
        trouble: Exception = ConnectionLost(f"{host} has no address")
        for left, (family, kind, protocol, _, address) in zip(range(len(addresses), 0, -1), addresses, strict=True):
            sock = socket.socket(family, kind, protocol)
            self._socket = sock
            try:
                self._check()
                sock.settimeout(max(0.01, (self._deadline - time.monotonic()) / left))
                sock.connect(address)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._check()
            except OSError as error:
                sock.close()
                trouble = error
            except BaseException:
                sock.close()
                raise
            else:
                return sock
        if isinstance(trouble, TimeoutError):
            raise ConnectionLost(f"{where} does not answer") from None
        raise ConnectionLost(f"cannot connect to {where}: {trouble}") from None

    def tls(self, sock: socket.socket) -> ssl.SSLSocket:
        """The socket after the handshake."""
        settings = self._settings or TLSSettings()
        context = self._context or tls_context(settings)
        wrapped: ssl.SSLSocket | None = None
        try:
            name = settings.server_name or self._host
            wrapped = context.wrap_socket(sock, server_hostname=name, do_handshake_on_connect=False)
            self._socket = wrapped
            self._check()
            wrapped.settimeout(max(0.01, self._deadline - time.monotonic()))
            wrapped.do_handshake()
            self._check()
        except ssl.SSLCertVerificationError as error:
            hint = _HINTS.get(error.verify_code, _HINT) if self._synced() else "the clock of this machine is not set"
            reason = f"the certificate of {self._where} is refused: {error.verify_message.rstrip('.')}; {hint}"
            raise TransientError(reason, retry_after=_TLS_RETRY) from None
        except TimeoutError:
            raise ConnectionLost(f"{self._where} does not answer the TLS handshake") from None
        except (OSError, ValueError) as error:
            raise ConnectionLost(f"TLS handshake with {self._where} failed: {error}") from None
        else:
            done, wrapped = wrapped, None
            return done
        finally:
            if wrapped is not None:
                wrapped.close()
            sock.close()  # after a handshake it holds nothing: the TLS socket took it over

    def _check(self) -> None:
        if self.aborted:
            raise ConnectionLost(f"connecting to {self._where} was given up")

    def abort(self) -> None:
        """Wake the thread out of whatever it waits for. The thread closes its socket itself."""
        self.aborted = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                # not SSLSocket's own shutdown: it would take the TLS object from under the handshake
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
