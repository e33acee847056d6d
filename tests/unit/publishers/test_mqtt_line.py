"""What is said in one turn of the loop is written at once, and nothing overtakes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
from paho.mqtt import client as paho

from agent.core.flow import Limits, Message
from agent.publishers.mqtt.dial import Dial
from agent.publishers.mqtt.hooks import _TOGETHER, Client
from agent.publishers.mqtt.packet import prepare

LIMITS = Limits(protocol="5", window=1)
PING = b"\xc0\0"


class Wire:
    """A socket that takes so many bytes of each call."""

    def __init__(self) -> None:
        self.calls: list[bytes] = []
        self.takes = 1 << 30

    def send(self, data: bytes) -> int:
        if not self.takes:
            raise BlockingIOError
        self.calls.append(bytes(data[: self.takes]))
        return len(self.calls[-1])

    def close(self) -> None:
        pass


class Line:
    """A client on it, and what it is to have written."""

    def __init__(self) -> None:
        self.wire = Wire()
        self.client = Client("5", "me", cast("Dial", None), max_incoming=1000)
        self.client._sock = cast("Any", self.wire)
        self.client.on_socket_register_write = lambda *_: None  # as the driver has it: written in a later turn
        self.wanted: list[bytes] = []

    def say(self, payload: bytes = b"x") -> bytes:
        packet = prepare(Message(topic="t", payload=payload), LIMITS)
        mid = self.client.say(packet, payload)
        self.wanted.append(packet.head + mid.to_bytes(2, "big") + packet.block + payload)
        return self.wanted[-1]

    def written(self) -> list[bytes]:
        assert self.client.want_write()
        self.client.loop_write()
        return self.wire.calls


@pytest.fixture
def line() -> Iterator[Line]:
    made = Line()
    yield made
    made.client.close()


def test_what_is_said_together_is_one_call(line: Line) -> None:
    """And nothing is left."""
    said = [line.say(bytes(size)) for size in (0, 1, 200)]
    assert line.written() == [b"".join(said)]
    assert not line.client.want_write()


def test_other_packets_keep_their_place(line: Line) -> None:
    """A PINGREQ proves what was written before it; of QoS 0 paho tells the end."""
    before = line.say()
    line.client._send_pingreq()
    between = line.say()
    ended: list[int] = []
    line.client.on_publish = lambda _client, _data, mid, _reason, _properties: ended.append(mid)
    other = line.client.publish("t", b"", 0, retain=False).mid
    after = line.say()
    calls = line.written()
    assert calls[:3] == [before, PING, between]
    assert calls[3][0] == paho.PUBLISH
    assert calls[4:] == [after]
    assert ended == [other]


def test_what_the_network_does_not_take_stays_at_the_head(line: Line) -> None:
    """Bytes come in the order they were said, whatever is said meanwhile."""
    line.say(b"a" * 100)
    line.wire.takes = 7
    for payload in (b"b", b"c"):
        line.written()
        line.wire.takes = 0
        line.client.loop_write()
        line.say(payload)
        line.wire.takes = 7
    assert b"".join(line.written()) == b"".join(line.wanted)


def test_large_ones_are_not_joined_for_ever(line: Line) -> None:
    """What the network does not take is copied again: so much is joined, and one packet more."""
    for _ in range(5):
        line.say(bytes(_TOGETHER // 2))
    calls = line.written()
    assert b"".join(calls) == b"".join(line.wanted)
    assert len(calls) == 3
    assert max(map(len, calls)) < 2 * _TOGETHER


def test_identifiers_begin_again_after_the_last(line: Line) -> None:
    """Never 0 (MQTT 5: 2.2.1)."""
    line.client._last_mid = 0xFFFE
    packet = prepare(Message(topic="t", payload=b""), LIMITS)
    assert [line.client.say(packet, b"") for _ in range(3)] == [0xFFFF, 1, 2]
