"""Packets larger than we take: their head, of which the rest is read past. Pure."""

from __future__ import annotations

from typing import NamedTuple, Self

#: The largest packet we take, unless somebody says otherwise.
MAX_INCOMING = 256 << 10
#: Topic (65,535 bytes at most), its length and the packet identifier.
_KEPT = 65_539
_PUBLISH = 3


class PacketHead(bytearray):
    """What paho collects a packet in, and keeps the beginning only."""

    def __iadd__(self, data: object) -> Self:
        room = _KEPT - len(self)
        if room > 0:
            self.extend(bytes(data)[:room])  # type: ignore[call-overload]
        return self


class Oversize(NamedTuple):
    """A message that was not read."""

    topic: str
    size: int  #: bytes of the packet, behind its fixed header
    mid: int | None  #: to be acknowledged; None at QoS 0


def oversize(command: int, head: bytes | bytearray, size: int) -> Oversize | None:
    """What can be told of it; None where it is no PUBLISH that a broker may send us (MQTT 5: 3.3)."""
    qos = command >> 1 & 3
    end = 2 + int.from_bytes(head[:2], "big")
    if command >> 4 != _PUBLISH or qos > 1 or len(head) < end + 2 * qos:
        return None
    topic = head[2:end].decode("utf-8", "replace")
    return Oversize(topic, size, int.from_bytes(head[end : end + 2], "big") if qos else None)
