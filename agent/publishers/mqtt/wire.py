"""What the parts of a PUBLISH look like on the wire (MQTT 5: 2.2.2, 3.3). Pure.

A record's PUBLISH is made here and not by paho: its Properties, its message and the information about that cost several
times what the packet does. A test holds the bytes against paho's. What repeats from message to message is remembered.
"""

from __future__ import annotations

from functools import lru_cache

from agent.core.flow import Message

_EXPIRY, _CONTENT_TYPE, _USER_PROPERTY = 0x02, 0x03, 0x26  # 2.2.2.2, table 2-4
#: What follows the fixed header may take at most (1.5.5), bytes.
MOST_BYTES = 268_435_455


@lru_cache(4096)
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


@lru_cache(1024)
def _what_repeats(
    expiry: int | None, content_type: str | None, properties: tuple[tuple[str, str], ...], key: str | None = None
) -> bytes:
    """Properties, up to the key of the last."""
    parts: list[bytes] = []
    if expiry is not None:
        parts.append(bytes((_EXPIRY,)) + expiry.to_bytes(4, "big"))
    if content_type is not None:
        parts.append(bytes((_CONTENT_TYPE,)) + _text(content_type))
    parts += [bytes((_USER_PROPERTY,)) + _text(name) + _text(value) for name, value in properties]
    if key is not None:
        parts.append(bytes((_USER_PROPERTY,)) + _text(key))
    return b"".join(parts)


@lru_cache(1024)
def packed_topic(topic: str) -> bytes:
    """A topic with its length in front. ValueError where nothing can be published on it."""
    if not topic or any(char in topic for char in "+#\0"):
        raise ValueError(f"no topic to publish on: {topic!r}")
    try:
        return _text(topic)
    except OverflowError:
        raise ValueError("the topic is longer than 65,535 bytes") from None


def pack_properties(message: Message) -> bytes:
    """The property block of a PUBLISH, its length in front. OverflowError where a text is longer than 65,535 bytes.

    The value of the last user property is what differs from message to message.
    """
    properties = tuple(message.properties)
    if properties:
        key, value = properties[-1]
        block = _what_repeats(message.expiry, message.content_type, properties[:-1], key) + _text(value)
    else:
        block = _what_repeats(message.expiry, message.content_type, properties)
    return varint(len(block)) + block


class Packed:
    """Stands where paho expects Properties."""

    __slots__ = ("_block",)

    def __init__(self, block: bytes) -> None:
        self._block = block

    def pack(self) -> bytes:
        return self._block
