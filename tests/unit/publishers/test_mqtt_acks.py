"""What is read and written past paho is what paho would have read and written."""

from __future__ import annotations

import random
from typing import Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from agent.core.flow import Limits, Message
from agent.publishers.mqtt.acks import Ack, take_acks
from agent.publishers.mqtt.packet import prepare
from agent.publishers.mqtt.wire import Packed, packed_topic


class Line(Client):
    """paho's client with a socket that is not there; what it would write is kept."""

    def __init__(self, protocol: MQTTProtocolVersion) -> None:
        super().__init__(CallbackAPIVersion.VERSION2, protocol=protocol)
        self.said: list[bytes] = []

    def _packet_queue(self, command: int, packet: bytes | bytearray, mid: int, qos: int, info: Any = None) -> Any:
        del command, mid, qos, info
        self.said.append(bytes(packet))
        return 0


@pytest.mark.parametrize("five", [False, True])
@pytest.mark.parametrize("size", [0, 1, 90, 127, 128, 16_300, 16_384, 2_097_160])
@pytest.mark.parametrize("retain", [False, True])
def test_a_publish_is_byte_for_byte_what_paho_makes_of_it(five: bool, size: int, retain: bool) -> None:
    """Both versions, with and without properties, around the lengths where the header grows."""
    paho = Line(MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311)
    paho._sock = object()  # type: ignore[assignment]
    topic, payload = "edge/工厂/d/readings", bytes(size)
    for properties in ((), (("agent", "gw"), ("seq", "7"))):
        message = Message(
            topic=topic, payload=payload, content_type="a/b" if properties else None, properties=properties,
            retain=retain,
        )  # fmt: skip
        packet = prepare(message, Limits(protocol="", window=1, properties=five))
        known: Any = Packed(packet.block) if len(packet.block) > 1 else None
        mid = paho.publish(topic, payload, 1, retain, known).mid
        whole = packet.head + mid.to_bytes(2, "big") + packet.block + payload
        assert whole == paho.said[-1]
        assert packet.size == len(whole)
    paho._sock = None


@pytest.mark.parametrize("topic", ["", "a/+", "a/#", "a\0b", "x" * 65_536])
def test_what_no_message_can_be_published_on(topic: str) -> None:
    """It is said once, before a packet is made."""
    with pytest.raises(ValueError, match="topic"):
        packed_topic(topic)


def test_acknowledgements_are_taken_as_they_stand() -> None:
    """With and without a reason code, and with the empty properties that go with one; half of one waits."""
    read = bytes.fromhex("40020001 40030002 10 40040003 87 00 4002")
    assert take_acks(read) == ([(1, 0), (2, 0x10), (3, 0x87)], 15)
    assert take_acks(read[15:] + b"\0") == ([], 0)
    assert take_acks(b"") == ([], 0)


@pytest.mark.parametrize("other", ["d000", "30050001740001", "41020001", "4001", "4006000100020000", "408200010000"])
def test_anything_else_is_left_to_paho(other: str) -> None:
    """Another packet, one with flags that are not allowed, a length that is none, properties, a long length."""
    ack = bytes.fromhex("40020009")
    assert take_acks(ack + bytes.fromhex(other) + ack) == ([(9, 0)], 4)


def test_bytes_cut_anywhere_give_the_same_acknowledgements() -> None:
    """However the network deals them out."""
    rng = random.Random(16)
    wanted = [(rng.randrange(1, 65_536), rng.choice((0, 0x10, 0x97))) for _ in range(200)]
    stream = b"".join(
        b"\x40" + (b"\x02" + mid.to_bytes(2, "big") if not code else b"\x03" + mid.to_bytes(2, "big") + bytes((code,)))
        for mid, code in wanted
    )
    found: list[Ack] = []
    left = b""
    while stream or left:
        size = rng.randrange(1, 40)
        left, stream = left + stream[:size], stream[size:]
        acks, used = take_acks(left)
        found += acks
        left = left[used:]
    assert found == wanted
