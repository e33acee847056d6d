from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from agent.collectors.modbus.blocks.codec import DecodedColumn, compile_block
from agent.collectors.modbus.blocks.plan import block_of
from agent.collectors.modbus.blocks.values import Doubt, scaled
from agent.collectors.modbus.tags.points import FIELDS, ModbusPoint, canonical_order
from agent.core.quality import name_of, number_of
from tests.support.points import point_at

BIG = 2**63 + 12345


def decode(data: bytes, *points: ModbusPoint) -> DecodedColumn:
    return compile_block(block_of(points))(data)


@pytest.mark.parametrize(
    ("order", "data"),
    [
        ("ABCD", "42f6e979"), ("CDAB", "e97942f6"), ("BADC", "f64279e9"), ("DCBA", "79e9f642"),
    ],
)  # fmt: skip
def test_orders_of_32_bits(order, data: str) -> None:
    """The four orders name the bytes of a 32-bit value as they arrive."""
    assert decode(bytes.fromhex(data), point_at(0, "holding", 0, 2, "float32", order=order)).values[0] == pytest.approx(
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
    point = point_at(0, "holding", 0, 4, "uint64", order=order)
    assert decode(bytes.fromhex(data), point).values[0] == 0x0102030405060708


@pytest.mark.parametrize(("order", "value"), [("ABCD", 1), ("CDAB", 1), ("BADC", 256), ("DCBA", 256)])
def test_orders_of_16_bits(order, value: int) -> None:
    """For 16 bits only the swap within the register counts, for a bit of it, too."""
    assert decode(b"\0\1", point_at(0, "input", 0, 1, "uint16", order=order)).values[0] == value
    assert decode(b"\0\1", point_at(0, "input", 0, 1, "bool", 0, order)).values[0] is (value == 1)
    assert decode(b"\0\1", point_at(0, "input", 0, 1, "bool", 8, order)).values[0] is (value == 256)


@pytest.mark.parametrize(("order", "text"), [("ABCD", "abc"), ("CDAB", "abc"), ("BADC", "bad"), ("DCBA", "bad")])
def test_orders_of_strings(order, text: str) -> None:
    """Strings know the swap within a register, never its neighbours' order; an odd length ends within a register."""
    assert decode(b"abcd", point_at(0, "input", 0, 2, "string", None, order, 3)).values[0] == text


def test_64_bit_integers_are_exact() -> None:
    """No value passes through a float."""
    data = struct.pack(">Qq", BIG, -(2**63))
    points = [point_at(0, "holding", 0, 4, "uint64"), point_at(1, "holding", 4, 4, "int64")]
    assert list(decode(data, *points).values) == [BIG, -(2**63)]


def test_one_register_may_be_several_tags() -> None:
    """Overlapping tags each get their own view of the same bytes."""
    points = [
        point_at(0, "holding", 0, 2, "uint32"), point_at(1, "holding", 0, 1, "uint16"),
        point_at(2, "holding", 1, 1, "int16"),
        point_at(3, "holding", 1, 1, "bool", 15), point_at(4, "holding", 1, 1, "bool", 0),
    ]  # fmt: skip
    assert list(decode(bytes.fromhex("0001fffe"), *points).values) == [0x1FFFE, 1, -2, True, False]


def test_the_same_bytes_are_the_very_same_column() -> None:
    """Whoever compares columns need not look at each value."""
    word = compile_block(block_of([point_at(0, "holding", 0, 1, "uint16")]))
    one, other = word(b"\0\1"), word(b"\0\2")
    assert (one.values, other.values) == ((1,), (2,))
    assert word(bytes([0, 2])) is other
    assert word(b"\0\1").values == (1,)


def test_bits_of_a_bit_area() -> None:
    """The first coil of a response is the lowest bit of its first byte."""
    points = [
        point_at(0, "coil", 19, 1, "bool"),
        point_at(1, "coil", 20, 1, "bool"),
        point_at(2, "coil", 29, 1, "bool"),
    ]
    assert list(decode(bytes([0b00000001, 0b00000100]), *points).values) == [True, False, True]


@pytest.mark.parametrize(
    ("data", "encoding", "text", "doubt"),
    [
        (b" M-7 \0rubbish\xff", "utf-8", "M-7", None),
        (b"SN123\xff\xff\xff", "latin-1", "SN123", None),
        (b"\xff\xff\xff\xff", "utf-8", "", None),
        ("Öl 油".encode(), "utf-8", "Öl 油", None),
        (b"\0\0", "utf-8", "", None),
        (b"a\xffb", "utf-8", "a\ufffdb", "text is not valid UTF-8"),
        (b"  a\xffb ", "utf-8", "a\ufffdb", "text is not valid UTF-8"),  # blanks around it are padding here, too
        ("压机一号".encode("gb18030"), "gb18030", "压机一号", None),
        (b"\xb0\xff\0", "gb18030", "\ufffd", "text is not valid GB 18030"),
        (b"\xdcber", "latin-1", "Über", None),
        (b"\xdcb", "ascii", "\ufffdb", "text is not valid ASCII"),
    ],
)  # fmt: skip
def test_text(data: bytes, encoding: str, text: str, doubt: str | None) -> None:
    """Text ends at its first NUL, without blanks around and 0xFF behind it; what is unknown is doubted."""
    size = (len(data) + 1) // 2
    point = point_at(0, "holding", 0, size, "string", length=len(data), encoding=encoding)
    column = decode(data.ljust(size * 2, b"\0"), point)
    assert column.values[0] == text
    assert column.reason == (None if doubt is None else {0: doubt})


@pytest.mark.parametrize(
    ("order", "data", "text"),
    [
        ("high_first", b"abcd", "abc"),
        ("low_first", b"badc", "abc"),
        ("one_per_register", b"\0a\1b\2c", "abc"),
        ("one_per_register_high", b"a\0b\1c\2", "abc"),
        ("one_per_register", b"\0a\0\0\0c", "a"),
    ],
)
def test_text_orders(order, data: bytes, text: str) -> None:
    """Characters lie two in a register, either first, or one in a register, in either byte."""
    assert decode(data, point_at(0, "input", 0, len(data) // 2, "string", length=3, text=order)).values[0] == text


def test_a_doubtful_text_does_not_touch_its_neighbours() -> None:
    """Only the string that could not be decoded is uncertain."""
    points = [point_at(0, "holding", 0, 1, "uint16"), point_at(1, "holding", 1, 1, "string", length=2)]
    column = decode(b"\0\7\xffA", *points)
    assert column.values[0] == 7
    assert column.status == [0, 0x40A40000]
    assert column.reason == {1: "text is not valid UTF-8"}


def one(kind, data: str, **keys) -> object:
    """The value of one point, or its status and reason."""
    size = len(bytes.fromhex(data)) // 2
    column = decode(bytes.fromhex(data), point_at(0, "holding", 0, size, kind, **keys))
    if column.status == 0:
        assert column.reason is None
        return column.values[0]
    assert not isinstance(column.status, int)
    assert column.reason is not None
    return name_of(column.status[0]), column.values[0], column.reason[0]


@pytest.mark.parametrize(
    ("kind", "data", "value"),
    [
        ("float16", "3e00", 1.5),
        ("float16", "c000", -2.0),
        ("bcd16", "1234", 1234),
        ("bcd16", "0000", 0),
        ("bcd32", "12345678", 12345678),
        ("sm16", "8005", -5),
        ("sm16", "0005", 5),
        ("sm16", "8000", 0),
        ("sm32", "80000001", -1),
        ("sm32", "7fffffff", 2**31 - 1),
        ("mod10_32", "270f0001", 19_999),
        ("mod10_48", "000100020003", 300_020_001),
        ("mod10_64", "270f270f270f270f", 9_999_999_999_999_999),
        ("unix32", "00000000", "1970-01-01T00:00:00.000Z"),
        ("unix32", "fffffffe", "2106-02-07T06:28:14.000Z"),
        ("unix32", "ffffffff", ("BadNoData", None, "all bits set: no date and time")),
        ("unix64_ns", "ffffffffffffffff", ("BadNoData", None, "all bits set: no date and time")),
        ("unix64", "0000000069211e3e", "2025-11-22T02:21:50.000Z"),
        ("unix64_ms", "0000019aa97fefb3", "2025-11-22T02:58:45.299Z"),
        ("unix64_ns", "187a34a3d8b8e4d2", "2025-11-22T02:54:42.389279Z"),
        ("datetime_iec870", "001a0bd60d05ea60", ("BadDecodingError", None, "no date and time: 60000 ms in a minute")),
        ("datetime_iec870", "001a0bd60d05ea5f", "2026-11-22T13:05:59.999"),
        ("datetime_iec870", "001a0bd60d850000",
         ("UncertainDataSubNormal", "2026-11-22T13:05:00.000", "the device marks its clock as not set")),
        ("datetime_iec870", "ffffffffffffffff", ("BadNoData", None, "all bits set: no date and time")),
        ("datetime_3", "ffffffffffff", ("BadNoData", None, "all bits set: no date and time")),
        ("datetime_6", "07ea000b00160001000200 03", "2026-11-22T01:02:03.000"),
        ("datetime_6", "001a000b00160001000200 03", "2026-11-22T01:02:03.000"),
        ("bcd16", "12a4", ("BadDecodingError", None, "0x12A4 is no BCD number")),
        ("mod10_32", "00012710", ("BadDecodingError", None, "10000 in a modulo 10000 number")),
    ],
)  # fmt: skip
def test_types(kind, data: str, value: object) -> None:
    """Each type tells its value, or that it is none."""
    assert one(kind, data) == value


def test_impossible_dates_are_bad() -> None:
    """A 31st of February and a year beyond 9999 are no dates."""
    for kind, data in (("datetime_6", "07ea0002001f000000000000"), ("unix64", "7fffffffffffffff")):
        found = one(kind, data)
        assert isinstance(found, tuple)
        assert found[:2] == ("BadDecodingError", None)
        assert found[2].startswith("no date and time: ")


def test_a_known_zone_makes_a_local_time_universal() -> None:
    """With `utc_offset` local times are said in UTC; the summer bit moves them by an hour."""
    shanghai, berlin = timezone(timedelta(hours=8)), timezone(timedelta(hours=1))
    assert one("datetime_6", "07ea000b0016000100020003", zone=shanghai) == "2026-11-21T17:02:03.000Z"
    assert one("datetime_iec870", "001a07d60d050000", zone=berlin) == "2026-07-22T12:05:00.000Z"
    assert one("datetime_iec870", "001a07d68d050000", zone=berlin) == "2026-07-22T11:05:00.000Z"
    assert one("unix32", "69211e3e", zone=shanghai) == "2025-11-21T18:21:50.000Z"
    assert one("unix64_ms", "0000019aa97fefb3", zone=shanghai) == "2025-11-21T18:58:45.299Z"


def test_a_zone_with_summer_time() -> None:
    """The zone knows when it is summer; in the hour that comes twice the summer bit decides, else the first counts."""
    zone = ZoneInfo("Europe/Berlin")
    assert one("datetime_6", "07ea00070016000d00050000", zone=zone) == "2026-07-22T11:05:00.000Z"
    assert one("datetime_6", "07ea000c0016000d00050000", zone=zone) == "2026-12-22T12:05:00.000Z"
    assert one("datetime_iec870", "001a07d68d050000", zone=zone) == "2026-07-22T11:05:00.000Z"
    assert one("datetime_iec870", "001a0ad9821e0000", zone=zone) == "2026-10-25T00:30:00.000Z"
    assert one("datetime_iec870", "001a0ad9021e0000", zone=zone) == "2026-10-25T01:30:00.000Z"
    assert one("datetime_6", "07ea000a00190002001e0000", zone=zone) == "2026-10-25T00:30:00.000Z"
    noon = int(datetime(2026, 7, 22, 12, tzinfo=UTC).timestamp())  # as a clock counts that takes its local time for UTC
    assert one("unix32", f"{noon:08x}", zone=zone) == "2026-07-22T10:00:00.000Z"


@pytest.mark.parametrize(
    ("order", "data", "value"),
    [("CDAB", "00010002", 10_002), ("BADC", "01000200", 20_001), ("DCBA", "01000200", 10_002)],
)
def test_orders_of_modulo_numbers(order, data: str, value: int) -> None:
    """A modulo 10000 number counts units in its first register, in its last where registers are reversed."""
    assert one("mod10_32", data, order=order) == value


@pytest.mark.parametrize(
    ("order", "data"),
    [
        ("CDABGHEF", "0304010207080506"), ("EFGHABCD", "0506070801020304"), ("HGFEDCBA", "0807060504030201"),
        ("GHEFCDAB", "0708050603040102"), ("BADCFEHG", "0201040306050807"),
    ],
)  # fmt: skip
def test_any_order_of_64_bits(order: str, data: str) -> None:
    """The letters name the bytes as they arrive, A the most significant; those of the four are the four."""
    assert one("uint64", data, order=canonical_order(order, 4)) == 0x0102030405060708


def test_any_order_of_32_bits() -> None:
    """Any order of four letters, for any type of two registers."""
    assert one("uint32", "01030204", order=canonical_order("ACBD", 2)) == 0x01020304
    assert one("bcd32", "12563478", order=canonical_order("ACBD", 2)) == 12345678
    assert canonical_order("BA", 1) == "BADC"
    for order, registers in (("ABC", 2), ("AABC", 2), ("ABCDEFGH", 2), ("ABCD EFGH", 4), ("BA", 2), ("ABDC", 3)):
        with pytest.raises(ValueError, match="is no order"):
            canonical_order(order, registers)


def test_arrays() -> None:
    """Elements follow one another, each in the byte order; one bad element makes the list bad."""
    assert one("int16", "0001fffe", items=2) == [1, -2]
    assert one("int16", "0001", items=1) == [1]
    assert one("uint32", "0002000100040003", items=2, order="CDAB") == [0x10002, 0x30004]
    assert one("uint32", "0103020405070608", items=2, order="ACBD") == [0x01020304, 0x05060708]
    assert one("bcd16", "00120034", items=2) == [12, 34]
    assert one("mod10_32", "0001000200030004", items=2) == [20_001, 40_003]
    assert one("bcd16", "0012003a", items=2) == ("BadDecodingError", None, "0x003A is no BCD number")
    points = [point_at(0, "coil", 3, 4, "bool", items=4), point_at(1, "coil", 5, 1, "bool")]
    assert list(decode(bytes([0b0101]), *points).values) == [[True, False, True, False], True]


def test_fields() -> None:
    """A field is an unsigned integer between two bits, both included, of the value in its byte order."""
    assert one("uint16", "a5c3", bits=(4, 7)) == 0xC
    assert one("uint16", "c3a5", bits=(4, 7), order="BADC") == 0xC
    assert one("uint32", "80010000", bits=(16, 31)) == 0x8001
    assert one("uint64", "8000000000000000", bits=(63, 63)) == 1


def test_raw_sentinels() -> None:
    """A sentinel is looked for before the raw value is taken apart."""
    nulls = ((0xFFFF, number_of("BadNoData")),)
    assert one("uint16", "ffff", bits=(0, 3), nulls=nulls) == ("BadNoData", None, "the raw value 65535 means no value")
    assert one("uint16", "000f", bits=(0, 3), nulls=nulls) == 15
    assert one("float32", "7fc00000", nulls=(("nan", number_of("BadNoData")),))[0] == "BadNoData"  # type: ignore[index]


@pytest.mark.parametrize(
    ("raw", "exponent", "value"),
    [(2345, -1, 234.5), (2345, 0, 2345), (23, 2, 2300), (1.5, 1, 15.0), ([10, 20], -1, [1.0, 2.0]), (None, 1, None)],
)
def test_scaled(raw: object, exponent: int, value: object) -> None:
    """A whole number stays whole where the exponent lets it; a division rounds once."""
    assert scaled(raw, exponent) == value
    assert type(scaled(raw, exponent)) is type(value)


@pytest.mark.parametrize("exponent", [11, -11, None, 1.0, True])
def test_no_scale_factor(exponent: object) -> None:
    """What is no scale factor makes the value bad, never unscaled."""
    found = scaled(5, exponent)
    assert isinstance(found, Doubt)
    assert (found.value, name_of(found.status)) == (None, "BadDecodingError")


@pytest.mark.parametrize("exponent", [-0x8000, 0x8000])
def test_a_scale_factor_that_is_not_there(exponent: int) -> None:
    """A scale factor at SunSpec's sentinel says that there is no value."""
    found = scaled(5, exponent)
    assert isinstance(found, Doubt)
    assert (found.value, name_of(found.status)) == (None, "BadNoData")


def test_text_as_it_came() -> None:
    """Without `trim` blanks and padding stay."""
    point = point_at(0, "holding", 0, 3, "string", length=6, encoding="latin-1", trim=False)
    assert decode(b" M7 \xff\xff", point).values[0] == " M7 \xff\xff"


@pytest.mark.parametrize(
    ("kind", "order", "data", "value"),
    [
        ("int8", "ABCD", "f619", 25),
        ("uint8", "ABCD", "19f6", 246),
        ("int8", "BADC", "f619", -10),
        ("uint24", "ABCD", "ff123456", 0x123456),
        ("int24", "CDAB", "ffff00ff", -1),
        ("uint48", "ABCD", "00123456789a", 0x123456789A),
        ("uint48", "CDAB", "789a34560012", 0x123456789A),
        ("uint48", "DCBA", "9a7856341200", 0x123456789A),
        ("int48", "ABCD", "fffffffffffe", -2),
        ("datetime_3", "ABCD", "1a060d000132", "2026-06-13T00:01:50.000"),
    ],
)  # fmt: skip
def test_parts_of_registers(kind, order: str, data: str, value: object) -> None:
    """Whole numbers of one, three and six bytes, and dates of a byte a part."""
    size = len(data) // 4
    point = point_at(0, "holding", 0, size, kind, order=order, bits=FIELDS.get(kind))
    assert decode(bytes.fromhex(data), point).values[0] == value


def test_a_field_of_a_signed_number_is_signed() -> None:
    """The high byte of an int16 is an int8."""
    data = bytes.fromhex("f619")
    points = [point_at(i, "holding", 0, 1, "int16" if i else "int8", bits=(8, 15)) for i in range(2)]
    assert list(decode(data, *points).values) == [-10, -10]
