"""MQTT packets taken apart and put together, for tests: written from the standard, not from the library under test."""

from __future__ import annotations

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, PINGREQ, PINGRESP, DISCONNECT = 1, 2, 3, 4, 8, 9, 12, 13, 14

# Property types (2.2.2.2): how many bytes; 0 a text, -1 a pair of texts, -2 a variable byte integer
_WIDTHS = {
    0x01: 1, 0x02: 4, 0x03: 0, 0x08: 0, 0x09: 0, 0x0B: -2, 0x11: 4, 0x12: 0, 0x13: 2, 0x15: 0, 0x16: 0, 0x17: 1,
    0x18: 4, 0x19: 1, 0x1A: 0, 0x1C: 0, 0x1F: 0, 0x21: 2, 0x22: 2, 0x23: 2, 0x24: 1, 0x25: 1, 0x26: -1, 0x27: 4,
    0x28: 1, 0x29: 1, 0x2A: 1,
}  # fmt: skip


def varint(number: int) -> bytes:
    """Variable byte integer (1.5.5)."""
    out = bytearray()
    while True:
        number, low = divmod(number, 128)
        out.append(low | 0x80 if number else low)
        if not number:
            return bytes(out)


def packet(kind: int, body: bytes, flags: int = 0) -> bytes:
    """A control packet."""
    return bytes((kind << 4 | flags,)) + varint(len(body)) + body


def text(value: str) -> bytes:
    """A UTF-8 string with its length."""
    raw = value.encode()
    return len(raw).to_bytes(2, "big") + raw


class Body:
    """Reads a packet's body from the front."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def number(self, width: int) -> int:
        self.at += width
        return int.from_bytes(self.data[self.at - width : self.at], "big")

    def binary(self) -> bytes:
        width = self.number(2)
        self.at += width
        return self.data[self.at - width : self.at]

    def text(self) -> str:
        return self.binary().decode()

    def varint(self) -> int:
        number = shift = 0
        while True:
            byte = self.number(1)
            number |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return number

    def properties(self) -> dict[int, list[object]]:
        found: dict[int, list[object]] = {}
        end = self.varint()
        end += self.at
        while self.at < end:
            kind = self.varint()
            width = _WIDTHS[kind]
            value: object
            if width == -1:
                value = (self.text(), self.text())
            elif width == -2:
                value = self.varint()
            else:
                value = self.number(width) if width else self.text()
            found.setdefault(kind, []).append(value)
        return found

    @property
    def rest(self) -> bytes:
        return self.data[self.at :]


def properties(
    *, receive_maximum: int | None = None, max_packet: int | None = None, max_qos: int | None = None,
    retain_available: int | None = None, keep_alive: int | None = None, client_id: str | None = None,
    reason: str | None = None,
) -> bytes:  # fmt: skip
    """CONNACK properties (3.2.2.3), without their length."""
    numbers = ((0x21, receive_maximum, 2), (0x27, max_packet, 4), (0x24, max_qos, 1), (0x25, retain_available, 1),
               (0x13, keep_alive, 2))  # fmt: skip
    packed = b"".join(
        bytes((kind,)) + value.to_bytes(width, "big") for kind, value, width in numbers if value is not None
    )
    for kind, words in ((0x12, client_id), (0x1F, reason)):
        if words is not None:
            packed += bytes((kind,)) + text(words)
    return packed
