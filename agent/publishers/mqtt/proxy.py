"""Through a proxy: HTTP CONNECT (RFC 9110, 9.3.6) and SOCKS 5 (RFC 1928, user and password RFC 1929).

The socket is connected to the proxy, blocking, with a timeout. What the broker is called is resolved by the proxy.
"""

from __future__ import annotations

import ipaddress
import socket
from base64 import b64encode
from pathlib import Path
from typing import Literal

from msgspec import Struct

from agent.core.errors import ConnectionLost, TransientError, exhausted
from agent.settings.values import read_secret

#: Wrong credentials are put right by people: no need to hurry.
_RETRY = 30.0
_LONGEST_HEAD = 16 * 1024
_SOCKS_REPLIES = {
    1: "general failure",
    2: "its rules do not allow it",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "time to live expired",
    7: "it does not connect for clients",
    8: "address type not supported",
}


class BrokerProxy(Struct, frozen=True):
    """Where it is, and who we are to it. The password is read at every connection."""

    kind: Literal["http", "socks5"]
    host: str
    port: int
    username: str | None = None
    password_file: Path | None = None

    def password(self) -> str:
        """TransientError names a file that cannot be read."""
        if self.password_file is None:
            return ""
        try:
            return read_secret(self.password_file)
        except (OSError, ValueError) as error:
            wait = None if exhausted(error) else _RETRY
            raise TransientError(f"proxy_password_file {self.password_file}: {error}", retry_after=wait) from None


def tunnel(sock: socket.socket, proxy: BrokerProxy, host: str, port: int) -> None:
    """Have the proxy connect to host:port. TransientError where it wants other credentials, else ConnectionLost."""
    where = f"the proxy {proxy.host}:{proxy.port}"
    try:
        if proxy.kind == "http":
            _http(sock, proxy, host, port, where)
        else:
            _socks5(sock, proxy, host, port, where)
    except TimeoutError:
        raise ConnectionLost(f"{where} does not answer") from None
    except OSError as error:
        raise ConnectionLost(f"{where}: {error}") from None


def _http(sock: socket.socket, proxy: BrokerProxy, host: str, port: int, where: str) -> None:
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.username is not None:
        token = b64encode(f"{proxy.username}:{proxy.password()}".encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {token}")
    sock.sendall("\r\n".join([*lines, "", ""]).encode())
    head = bytearray()
    while not head.endswith(b"\r\n\r\n"):  # byte by byte: what follows belongs to TLS or MQTT
        head += _exactly(sock, 1, where)
        if len(head) > _LONGEST_HEAD:
            raise ConnectionLost(f"{where} does not speak HTTP")
    status = head.split(b"\r\n", 1)[0].decode("latin-1")
    version, _, answer = status.partition(" ")
    if not version.startswith("HTTP/"):
        raise ConnectionLost(f"{where} does not speak HTTP")
    if answer.startswith("407"):
        raise _unwelcome(where, answer)
    if not answer.startswith("2"):
        raise ConnectionLost(f"{where} does not connect to {target}: {answer}")


def _socks5(sock: socket.socket, proxy: BrokerProxy, host: str, port: int, where: str) -> None:
    known = proxy.username is not None
    sock.sendall(b"\x05\x02\x00\x02" if known else b"\x05\x01\x00")
    version, method = _exactly(sock, 2, where)
    if version != 5:
        raise ConnectionLost(f"{where} does not speak SOCKS 5")
    if method == 2 and known:
        user, password = (proxy.username or "").encode(), proxy.password().encode()
        sock.sendall(b"\x01" + bytes((len(user),)) + user + bytes((len(password),)) + password)
        if _exactly(sock, 2, where)[1]:
            raise _unwelcome(where, "user name and password are refused")
    elif method:
        raise _unwelcome(where, "it wants another way to log in")
    sock.sendall(b"\x05\x01\x00" + _address(host) + port.to_bytes(2, "big"))
    _, reply, _, kind = _exactly(sock, 4, where)
    if reply:
        raise ConnectionLost(f"{where} does not connect to {host}:{port}: {_SOCKS_REPLIES.get(reply, reply)}")
    length = {1: 4, 4: 16}.get(kind) or _exactly(sock, 1, where)[0]
    _exactly(sock, length + 2, where)


def _address(host: str) -> bytes:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = host.encode("idna")
        return bytes((3, len(name))) + name
    return bytes((1 if address.version == 4 else 4,)) + address.packed


def _exactly(sock: socket.socket, count: int, where: str) -> bytes:
    data = b""
    while len(data) < count:
        more = sock.recv(count - len(data))
        if not more:
            raise ConnectionLost(f"{where} disconnected")
        data += more
    return data


def _unwelcome(where: str, said: str) -> TransientError:
    return TransientError(f"{where}: {said}; check proxy_username and proxy_password_file", retry_after=_RETRY)
