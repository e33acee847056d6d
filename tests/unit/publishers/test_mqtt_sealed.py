"""TLS in bites: what a broker may make one reading cost, and that no byte is lost or said twice."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from agent.publishers.mqtt.sealed import TlsSocket
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
