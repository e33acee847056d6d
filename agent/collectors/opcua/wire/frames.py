"""Bytes → chunks (OPC 10000-6, 6.7.2 and 7.1.2). Pure.

A header is judged as soon as its eight bytes are there: nothing is kept for a chunk that nobody agreed to. Bytes are
copied into a chunk once, however many pieces they come in.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct

from agent.collectors.opcua.wire.errors import WireViolation
from agent.collectors.opcua.wire.limits import BUFFER_BYTES, WireLimits

_HEADER = Struct("<3scI")  # type, which part of a message, bytes of the chunk
#: Fewest bytes of a chunk: its header, and for a message channel, token, sequence number and request.
_FEWEST = {b"ACK": 28, b"ERR": 16, b"OPN": 32, b"MSG": 24}


class Frames:
    """Of one connection, client's side."""

    def __init__(self, limits: WireLimits) -> None:
        self.limits = limits  #: may be others once it is known who the server is
        self._held = bytearray()
        self._bytes = self._chunks = 0  # of the message under way
        self.most = BUFFER_BYTES  #: bytes of a chunk; less once the server has agreed to less

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The chunks that are whole now. Raises WireViolation."""
        held: bytes | bytearray = data
        if self._held:
            self._held += data
            held = self._held
        at = 0
        while len(held) - at >= _HEADER.size:
            size = self._judge(*_HEADER.unpack_from(held, at))
            if len(held) - at < size:
                break
            chunk = bytes(held[at : at + size])
            at += size
            self._count(chunk)
            yield chunk
        if held is self._held:
            del self._held[:at]
        else:
            self._held += memoryview(data)[at:]

    def forget(self) -> None:
        """The connection is gone, and with it what had come of a chunk."""
        self._held = bytearray()

    def _judge(self, kind: bytes, part: bytes, size: int) -> int:
        fewest = _FEWEST.get(kind)
        if fewest is None or part not in (b"F", b"C", b"A"):
            raise WireViolation(f"the server sends what is no OPC UA: {kind + part!r}")
        if not fewest <= size <= self.most:
            raise WireViolation(f"the server announces a chunk of {size} bytes; {fewest} to {self.most} were agreed")
        return int(size)

    def _count(self, chunk: bytes) -> None:
        self._bytes += len(chunk)
        self._chunks += 1
        if self._bytes > self.limits.message_bytes or self._chunks > self.limits.chunks:
            raise WireViolation(
                f"a message of the server is larger than {self.limits.message_bytes} bytes in {self.limits.chunks} "
                "chunks; raise limits: {message_bytes: …} if it has to be"
            )
        if chunk[3:4] != b"C":
            self._bytes = self._chunks = 0
