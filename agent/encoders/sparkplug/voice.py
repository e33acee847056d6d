"""Numbers and envelopes: every message of the node but NDEATH takes the next seq (specification 6.4.5)."""

from __future__ import annotations

from agent.core.flow import Limits, Message
from agent.encoders.sparkplug.node import Kind, Node

#: Bytes of a PUBLISH beside topic and payload, at most: fixed header, lengths, identifier, empty properties.
_OVERHEAD = 10
_LARGEST = 268_435_455  # what MQTT can carry at all


class Voice:
    """Makes the messages of one session."""

    def __init__(self, node: Node) -> None:
        self.limits = Limits(protocol="", window=1)
        self.seq = 0  #: of the next message; taken by :meth:`message`
        self._node = node

    def message(self, kind: Kind, payload: bytes, device: str | None = None, *, data: bool = False) -> Message:
        """A message whose payload carries `seq`."""
        self.seq = (self.seq + 1) % 256
        strict = self._node.strict
        topic = self._node.topic(kind, device)
        return Message(topic=topic, payload=payload, qos=0 if strict else 1, proof=strict and data)

    @property
    def limit(self) -> int:
        """Bytes of a packet the broker takes."""
        return self.limits.max_packet_bytes or _LARGEST

    def room(self, kind: Kind, device: str | None = None) -> int:
        """Bytes a payload may have."""
        return self.limit - _OVERHEAD - len(self._node.topic(kind, device).encode())
