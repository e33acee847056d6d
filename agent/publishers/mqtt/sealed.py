"""TLS over a socket, so that one reading takes no more than a bite from the network.

OpenSSL goes on reading for as long as records come that carry no data, session tickets for one: a broker that sends
them without end would hold the event loop in one call of `ssl.SSLSocket`, for seconds or for ever.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import Any

_BITE = 1 << 14  #: bytes; as large as a record may be (RFC 8446, 5.1)


class TlsSocket:
    """What the library needs of an `ssl.SSLSocket`."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, name: str) -> None:
        self._sock = sock
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=name)
        self._unsent = b""  # encrypted
        self._owed = b""  # of the last `send`: encrypted, and not told as sent
        self._starved = True  # what is here makes no record
        self.fileno, self.settimeout, self.setblocking = sock.fileno, sock.settimeout, sock.setblocking
        self.close = sock.close

    def do_handshake(self) -> None:
        """Of a socket that blocks."""
        try:
            while True:
                try:
                    self._tls.do_handshake()
                except ssl.SSLWantReadError:
                    self._flush()
                    self._fill()
                else:
                    return
        finally:
            with contextlib.suppress(OSError):  # the other side is told why, too
                self._flush()

    def getpeercert(self) -> dict[str, Any] | None:
        """Of the broker."""
        return self._tls.getpeercert()

    def recv(self, most: int) -> bytes:
        """As a socket's. ssl.SSLWantReadError or BlockingIOError where nothing is there now."""
        filled = False
        while True:
            try:
                return self._tls.read(most)
            except ssl.SSLWantReadError:
                self._starved = True
                with contextlib.suppress(OSError):  # what TLS itself answers; a broker may have said why it closed
                    self._flush()
                if filled and self._sock.gettimeout() == 0:
                    raise
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""
            self._fill()
            filled = True

    def pending(self) -> int:
        """Bytes that never make the file descriptor readable again."""
        return self._tls.pending() or (0 if self._starved else self._in.pending)

    def send(self, data: bytes | bytearray) -> int:
        """As a socket's: after BlockingIOError the same bytes are to come again; others are other data, and follow."""
        bite = bytes(data[:_BITE])
        if not bite:
            return 0
        if not self._owed or not bite.startswith(self._owed):
            self._flush()
            self._tls.write(bite)
            self._owed = bite
        self._flush()
        sent, self._owed = len(self._owed), b""
        return sent

    def _flush(self) -> None:
        self._unsent += self._out.read()
        while self._unsent:
            sent = self._sock.send(self._unsent)
            self._unsent = self._unsent[sent:]

    def _fill(self) -> None:
        if read := self._sock.recv(_BITE):
            self._in.write(read)
        else:
            self._in.write_eof()
        self._starved = False
