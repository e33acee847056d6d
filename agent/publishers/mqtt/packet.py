"""What becomes of a message at this broker: QoS, retain and properties it can take. Pure."""

from __future__ import annotations

from msgspec import Struct

from agent.core.errors import Rejected
from agent.core.flow import Limits, Message
from agent.publishers.mqtt.wire import MOST_BYTES, pack_properties, packed_topic, varint
from agent.settings.topics import under_rules

_PLAIN, _RETAINED = b"\x32", b"\x33"  # PUBLISH at QoS 1 (MQTT 5: 3.3.1)


class Packet(Struct):
    """What goes onto the wire, but for the payload."""

    topic: str
    head: bytes  #: at QoS 1 what stands before the packet identifier …
    block: bytes  #: … and between it and the payload: packed properties, nothing on 3.1.1
    size: int  #: bytes of the whole packet
    qos: int
    retain: bool
    retained: bool  #: the message says so, whatever the broker can
    proof: bool  #: there is no PUBACK: a later round trip proves that the broker has read it


def prepare(message: Message, limits: Limits) -> Packet:
    """The packet for this broker. Rejected where it can never go.

    Where the broker takes no QoS 1 (Maximum QoS 0, MQTT 5: 3.2.2.3.4) what wanted it gets the proof that there is.
    """
    try:
        topic = packed_topic(message.topic)
    except ValueError as error:
        raise Rejected(str(error), code=0x90) from None
    qos = min(message.qos, limits.max_qos)
    try:
        block = pack_properties(message) if limits.properties else b""
    except OverflowError:
        raise Rejected("a user property is longer than 65,535 bytes", code=0x95) from None
    rest = len(topic) + (2 if qos else 0) + len(block) + len(message.payload)
    length = varint(rest)
    size = 1 + len(length) + rest
    most = limits.max_packet_bytes or MOST_BYTES
    if size > most:
        reason = f"{size} bytes are more than the broker takes ({most}): {message.topic}"
        raise Rejected(reason, code=0x95)
    proof = not qos and (message.proof or message.qos > 0)
    retain = message.retain and limits.retain and not under_rules(message.topic)
    head = (_RETAINED if retain else _PLAIN) + length + topic
    return Packet(message.topic, head, block, size, qos, retain, message.retain, proof)
