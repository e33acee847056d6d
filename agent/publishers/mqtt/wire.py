"""What the properties of a PUBLISH look like on the wire, and how large the packet is (MQTT 5: 2.2.2, 3.3). Pure.

paho's own Properties object costs more than the rest of publishing a message; it only needs `pack()`.
"""

from __future__ import annotations

from agent.core.flow import Message

_EXPIRY, _CONTENT_TYPE, _USER_PROPERTY = 0x02, 0x03, 0x26  # 2.2.2.2, table 2-4
_EMPTY = b"\x00"


def varint(number: int) -> bytes:
    """Variable byte integer (1.5.5)."""
    out = bytearray()
    while True:
        number, low = divmod(number, 128)
        out.append(low | 0x80 if number else low)
        if not number:
            return bytes(out)


def _text(value: str) -> bytes:
    raw = value.encode()
    return len(raw).to_bytes(2, "big") + raw


def pack_properties(message: Message) -> bytes:
    """The property block of a PUBLISH, its length in front. OverflowError where a text is longer than 65,535 bytes."""
    if message.content_type is None and message.expiry is None and not message.properties:
        return _EMPTY
    parts: list[bytes] = []
    if message.expiry is not None:
        parts.append(bytes((_EXPIRY,)) + message.expiry.to_bytes(4, "big"))
    if message.content_type is not None:
        parts.append(bytes((_CONTENT_TYPE,)) + _text(message.content_type))
    parts += [bytes((_USER_PROPERTY,)) + _text(key) + _text(value) for key, value in message.properties]
    block = b"".join(parts)
    return varint(len(block)) + block


def packet_size(topic: str, payload: bytes, properties: bytes | None, qos: int) -> int:
    """Bytes of the whole PUBLISH packet. `properties` is None on 3.1.1."""
    topic_bytes = len(topic) if topic.isascii() else len(topic.encode())
    remaining = 2 + topic_bytes + (2 if qos else 0) + len(payload) + len(properties or b"")
    return 1 + len(varint(remaining)) + remaining


class Packed:
    """Stands where paho expects Properties."""

    __slots__ = ("_block",)

    def __init__(self, block: bytes) -> None:
        self._block = block

    def pack(self) -> bytes:
        return self._block
