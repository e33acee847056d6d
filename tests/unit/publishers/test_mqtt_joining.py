"""PUBLISH packets in line are written together, and nothing else changes for paho."""

from __future__ import annotations

from collections import deque
from typing import Any

from agent.publishers.mqtt.joining import MOST_BYTES, join_publishes


def packet(body: bytes, *, command: int = 0x32, qos: int = 1, pos: int = 0) -> dict[str, Any]:
    """As paho keeps them in line."""
    return {
        "command": command, "mid": len(body), "qos": qos, "pos": pos, "to_process": len(body) - pos,
        "packet": bytearray(body), "info": None,
    }  # fmt: skip


def joined(*packets: dict[str, Any]) -> list[bytes]:
    """The packets of the line afterwards; their bytes are the same ones, in the same order."""
    line = deque(packets)
    join_publishes(line)
    assert b"".join(bytes(one["packet"]) for one in line) == b"".join(bytes(one["packet"]) for one in packets)
    assert all(one["to_process"] == len(one["packet"]) - one["pos"] for one in line)
    return [bytes(one["packet"]) for one in line]


def test_what_stands_at_the_head_of_the_line_becomes_one_packet():
    """All of it is at QoS 1: paho waits for each acknowledgement by its number, whatever was written how."""
    assert joined(packet(b"a"), packet(b"bb"), packet(b"ccc")) == [b"abbccc"]


def test_other_packets_keep_their_place():
    """A PINGREQ or DISCONNECT, and QoS 0, whose end paho tells of, end what is joined; nothing overtakes them."""
    for other in (packet(b"!", command=0xC0, qos=0), packet(b"!", command=0xE0, qos=0), packet(b"!", qos=0)):
        assert joined(packet(b"a"), packet(b"b"), other, packet(b"c")) == [b"ab", b"!", b"c"]
        assert joined(other, packet(b"a"), packet(b"b")) == [b"!", b"a", b"b"]


def test_what_is_partly_written_stays_alone():
    """The system has taken a piece of it, and TLS may want the rest again as it was."""
    assert joined(packet(b"abc", pos=1), packet(b"d")) == [b"abc", b"d"]


def test_a_large_packet_is_not_copied():
    """Beyond the bound each goes as it is."""
    large = bytes(MOST_BYTES)
    assert joined(packet(large), packet(b"a")) == [large, b"a"]
    assert joined(packet(b"a"), packet(b"b"), packet(large)) == [b"ab", large]


def test_one_packet_is_left_as_it_is():
    """Nothing is made anew for it."""
    alone = packet(b"a")
    line = deque([alone])
    join_publishes(line)
    assert line[0] is alone
