from __future__ import annotations

import struct

import pytest

from agent.collectors.modbus.codec import Column, compile_block, decode_text
from agent.collectors.modbus.plan import block_of
from agent.collectors.modbus.points import Point

BIG = 2**63 + 12345


def decode(data: bytes, *points: Point) -> Column:
    return compile_block(block_of(points))(data)


@pytest.mark.parametrize(
    ("order", "data"),
    [
        ("ABCD", "42f6e979"), ("CDAB", "e97942f6"), ("BADC", "f64279e9"), ("DCBA", "79e9f642"),
    ],
)  # fmt: skip
def test_orders_of_32_bits(order, data: str) -> None:
    """The four orders name the bytes of a 32-bit value as they arrive."""
    assert decode(bytes.fromhex(data), Point(0, "holding", 0, 2, "float32", order=order)).values[0] == pytest.approx(
        123.456, abs=1e-5
    )


@pytest.mark.parametrize(
    ("order", "data"),
    [
        ("ABCD", "0102030405060708"), ("CDAB", "0708050603040102"), ("BADC", "0201040306050807"),
        ("DCBA", "0807060504030201"),
    ],
)  # fmt: skip
def test_orders_of_64_bits(order, data: str) -> None:
    """For 64 bits CDAB and DCBA reverse all four registers."""
    point = Point(0, "holding", 0, 4, "uint64", order=order)
    assert decode(bytes.fromhex(data), point).values[0] == 0x0102030405060708


@pytest.mark.parametrize(("order", "value"), [("ABCD", 1), ("CDAB", 1), ("BADC", 256), ("DCBA", 256)])
def test_orders_of_16_bits(order, value: int) -> None:
    """For 16 bits only the swap within the register counts, for a bit of it, too."""
    assert decode(b"\0\1", Point(0, "input", 0, 1, "uint16", order=order)).values[0] == value
    assert decode(b"\0\1", Point(0, "input", 0, 1, "bool", 0, order)).values[0] is (value == 1)
    assert decode(b"\0\1", Point(0, "input", 0, 1, "bool", 8, order)).values[0] is (value == 256)


@pytest.mark.parametrize(("order", "text"), [("ABCD", "abc"), ("CDAB", "abc"), ("BADC", "bad"), ("DCBA", "bad")])
def test_orders_of_strings(order, text: str) -> None:
    """Strings know the swap within a register, never its neighbours' order; an odd length ends within a register."""
    assert decode(b"abcd", Point(0, "input", 0, 2, "string", None, order, 3)).values[0] == text


def test_64_bit_integers_are_exact() -> None:
    """No value passes through a float."""
    data = struct.pack(">Qq", BIG, -(2**63))
    assert list(decode(data, Point(0, "holding", 0, 4, "uint64"), Point(1, "holding", 4, 4, "int64")).values) == [
        BIG, -(2**63),
    ]  # fmt: skip


def test_one_register_may_be_several_tags() -> None:
    """Overlapping tags each get their own view of the same bytes."""
    points = [
        Point(0, "holding", 0, 2, "uint32"), Point(1, "holding", 0, 1, "uint16"), Point(2, "holding", 1, 1, "int16"),
        Point(3, "holding", 1, 1, "bool", 15), Point(4, "holding", 1, 1, "bool", 0),
    ]  # fmt: skip
    assert list(decode(bytes.fromhex("0001fffe"), *points).values) == [0x1FFFE, 1, -2, True, False]


def test_bits_of_a_bit_area() -> None:
    """The first coil of a response is the lowest bit of its first byte."""
    points = [Point(0, "coil", 19, 1, "bool"), Point(1, "coil", 20, 1, "bool"), Point(2, "coil", 29, 1, "bool")]
    assert list(decode(bytes([0b00000001, 0b00000100]), *points).values) == [True, False, True]


def test_text() -> None:
    """Text ends at its first NUL, its blanks stay, and what is no UTF-8 is replaced and doubted."""
    assert decode_text(b"M-7 \0rubbish\xff") == ("M-7 ", None)
    assert decode_text("Öl 油".encode()) == ("Öl 油", None)
    assert decode_text(b"\0\0") == ("", None)
    assert decode_text(b"a\xffb") == ("a\ufffdb", "text is not valid UTF-8")


def test_a_doubtful_text_does_not_touch_its_neighbours() -> None:
    """Only the string that could not be decoded is uncertain."""
    points = [Point(0, "holding", 0, 1, "uint16"), Point(1, "holding", 1, 1, "string", length=2)]
    column = decode(b"\0\7\xff\xff", *points)
    assert column.values[0] == 7
    assert column.status == [0, 0x40A40000]
    assert column.reason == {1: "text is not valid UTF-8"}
