"""TLS in bites: what a broker may make one reading cost, and that no byte is lost or said twice."""

from __future__ import annotations

import base64
import hashlib
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from agent.publishers.mqtt.sealed import TlsSocket
from agent.publishers.mqtt.websocket import upgrade
from tests.support.certs import make_certs

TICKETS = 2_000  #: half a megabyte


@contextmanager
def talking(tmp_path: Path, serve: Callable[[ssl.SSLSocket], None], tickets: int = 2) -> Iterator[TlsSocket]:
    """Our side after the handshake, not blocking; `serve` has the other in a thread."""
    certs = make_certs(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certs.server_cert, certs.server_key)
    context.num_tickets = tickets
    near, far = socket.socketpair()

    def run() -> None:
        with suppress(OSError), context.wrap_socket(far, server_side=True) as wrapped:
            serve(wrapped)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    near.settimeout(20)
    sealed = TlsSocket(near, ssl.create_default_context(cafile=certs.ca), "127.0.0.1")
    sealed.do_handshake()
    sealed.setblocking(False)
    try:
        yield sealed
    finally:
        sealed.close()
        thread.join(20)
        far.close()


def ready(sealed: TlsSocket, *, write: bool = False) -> None:
    read, written, _ = select.select([sealed], [sealed] if write else [], [], 20)
    assert read or written


def test_what_carries_no_data_is_read_in_bites(tmp_path: Path) -> None:
    """A thousand session tickets take many readings; `ssl.SSLSocket` took them in one."""
    readings, said = 0, b""
    with talking(tmp_path, lambda far: far.sendall(b"hello"), TICKETS) as sealed:
        while not said:
            if not sealed.pending():
                ready(sealed)
            readings += 1
            with suppress(ssl.SSLWantReadError, BlockingIOError):
                said = sealed.recv(100)
    assert said == b"hello"
    assert readings > 10


def test_all_that_is_said_arrives_once_in_both_directions(tmp_path: Path) -> None:
    """Through buffers that are full again and again; `pending` tells of what waits on our side, and of nothing else."""
    sent = bytes(range(256)) * 4_096
    heard = bytearray()

    def echo(far: ssl.SSLSocket) -> None:
        whole = b""
        while len(whole) < len(sent):
            whole += far.recv(65_536)
        far.sendall(whole)
        far.unwrap()

    with talking(tmp_path, echo) as sealed:
        at = 0
        while at < len(sent):
            try:
                at += sealed.send(sent[at:])
            except BlockingIOError:
                ready(sealed, write=True)
        while True:
            if not sealed.pending():
                ready(sealed)
            with suppress(ssl.SSLWantReadError, BlockingIOError):
                read = sealed.recv(1_000)
                if not read:
                    break
                heard += read
    assert heard == sent


def test_a_frame_larger_than_a_bite_is_whole_although_the_server_pings_in_its_middle(tmp_path: Path) -> None:
    """WebSocket: at a frame that was written in part paho would drop the packet, and go on inside of the next."""
    sent, heard = bytes(range(256)) * 4_096, bytearray()

    def serve(far: ssl.SSLSocket) -> None:
        asked = b""
        while not asked.endswith(b"\r\n\r\n"):
            asked += far.recv(4_096)
        key = next(line[19:] for line in asked.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key: "))
        proof = base64.b64encode(
            hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11", usedforsecurity=False).digest()
        )
        switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        far.sendall(switch + b"Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Accept: " + proof + b"\r\n\r\n")
        while len(heard) < len(sent) + 14:
            far.sendall(b"\x89\x02hi")
            heard.extend(far.recv(65_536))
        far.sendall(b"\x82\x01!")
        far.recv(65_536)

    with talking(tmp_path, serve) as sealed:
        sealed.settimeout(20)
        web = upgrade("127.0.0.1", 443, "/mqtt", tls=True)(sealed)  # type: ignore[arg-type]
        sealed.setblocking(False)
        written, said = 0, b""
        while not said:
            with suppress(BlockingIOError):
                written = written or web.send(sent)
                assert written == len(sent)
            with suppress(BlockingIOError, ssl.SSLWantReadError):
                said = web.recv(100)
                continue
            if not sealed.pending():
                ready(sealed, write=not written)
    assert heard[:2] == b"\x82\xff"
    assert int.from_bytes(heard[2:10], "big") == len(sent)
    assert bytes(byte ^ heard[10 + at % 4] for at, byte in enumerate(heard[14 : 14 + len(sent)])) == sent


def test_who_cannot_be_verified_is_told(tmp_path: Path) -> None:
    """The alert goes out before the error does."""
    told: list[str] = []
    certs = make_certs(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certs.server_cert, certs.server_key)
    near, far = socket.socketpair()

    def serve() -> None:
        try:
            with context.wrap_socket(far, server_side=True) as wrapped:
                wrapped.recv(1)
        except ssl.SSLError as error:
            told.append(str(error.reason))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    near.settimeout(20)
    with near, pytest.raises(ssl.SSLCertVerificationError):
        TlsSocket(near, ssl.create_default_context(cafile=certs.other_ca), "127.0.0.1").do_handshake()
    thread.join(20)
    assert told == ["TLSV1_ALERT_UNKNOWN_CA"]
    far.close()
