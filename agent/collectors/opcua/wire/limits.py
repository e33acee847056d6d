"""What one message of a server may cost. Pure."""

from __future__ import annotations

from typing import NamedTuple

BUFFER_BYTES = 65_536  #: of one chunk, in either direction, as the Hello announces it
SMALLEST_BUFFER = 8_192  #: none may be smaller (OPC 10000-6, 7.1.2.3)


class WireLimits(NamedTuple):
    """Announced in the Hello and kept to, whatever the server does (docs/opcua.md)."""

    message_bytes: int = 16 << 20  #: all chunks of one message
    array: int = 65_536  #: elements of one array
    string_bytes: int = 1 << 20  #: of one string or byte string

    @property
    def elements(self) -> int:
        """Of all arrays of numbers and strings in one answer: an eighth of a second's work for all that comes after."""
        return max(65_536, self.array)

    @property
    def text_bytes(self) -> int:
        """Of all strings in one answer: each is there several times until it is handed on."""
        return max(8 << 20, 8 * self.string_bytes)

    @property
    def chunks(self) -> int:
        """In how many a message may come: as many as the smallest buffer needs."""
        return self.message_bytes // SMALLEST_BUFFER + 1

    @property
    def of_strangers(self) -> WireLimits:
        """Of a server that has not shown who it is."""
        return WireLimits(*map(min, self, STRANGER))


#: Before a server has shown who it is: its endpoints with their certificates, a hundred times over.
STRANGER = WireLimits(message_bytes=1 << 20, array=4_096, string_bytes=65_536)
