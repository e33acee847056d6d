from __future__ import annotations

import pytest

from agent.consumer.sparkplug.wire import Metric, decode
from agent.encoders.sparkplug.datatypes import RANGES, DataType, of_catalogue, of_value, wider, write
from agent.encoders.sparkplug.schema import Payload


def written(kind: DataType, value: object, **options: bool) -> Metric:
    """A metric as an independent decoder reads it."""
    payload = Payload(timestamp=1, seq=0)
    write(payload.metrics.add(datatype=kind), kind, value, **options)
    decoded = decode(payload.SerializeToString())
    assert decoded.oddities == []
    return decoded.metrics[0]


@pytest.mark.parametrize("kind", RANGES, ids=lambda kind: kind.name)
def test_integers_are_exact_at_both_ends(kind: DataType):
    """The lowest and highest value of every integer type survive."""
    for value in (RANGES[kind][0], RANGES[kind][1], 0, 1):
        metric = written(kind, value)
        assert metric.signed() == value
        assert metric.value_field == ("long_value" if kind in (DataType.INT64, DataType.UINT64) else "int_value")


@pytest.mark.parametrize("kind", RANGES, ids=lambda kind: kind.name)
def test_integers_beyond_their_type_are_refused(kind: DataType):
    """Nothing is cut off silently."""
    for value in (RANGES[kind][0] - 1, RANGES[kind][1] + 1, 1.5, True, "1"):
        with pytest.raises((TypeError, ValueError)):
            written(kind, value)


def test_small_negative_integers_are_sign_extended_to_32_bits():
    """-1 is 0xFFFFFFFF, whatever the width."""
    assert [written(kind, -1).value for kind in (DataType.INT8, DataType.INT16, DataType.INT32)] == [0xFFFFFFFF] * 3


def test_uint32_may_travel_as_long():
    """For hosts that read it there."""
    metric = written(DataType.UINT32, 4_000_000_000, uint32_long=True)
    assert (metric.value_field, metric.value) == ("long_value", 4_000_000_000)


@pytest.mark.parametrize(
    ("kind", "value", "field", "expected"),
    [
        (DataType.FLOAT, 1.5, "float_value", 1.5),
        (DataType.DOUBLE, 0.1, "double_value", 0.1),
        (DataType.DOUBLE, 3, "double_value", 3.0),
        (DataType.BOOLEAN, False, "boolean_value", False),
        (DataType.STRING, "温度", "string_value", "温度"),
        (DataType.STRING, {"a": [1]}, "string_value", '{"a":[1]}'),
        (DataType.UUID, "8f14e45f-ceea-467f-a8e5-aa4d2f0b2d6f", "string_value", "8f14e45f-ceea-467f-a8e5-aa4d2f0b2d6f"),
        (DataType.BYTES, "AAEC", "bytes_value", b"\x00\x01\x02"),
        (DataType.DATETIME, "2026-11-22T07:00:00.123Z", "long_value", 1795330800123),
        (DataType.DATETIME, "1969-12-31T23:59:59.999Z", "long_value", 2**64 - 1),
        (DataType.INT8_ARRAY, [-23, 123], "bytes_value", bytes.fromhex("e97b")),
        (DataType.INT16_ARRAY, [-30000, 30000], "bytes_value", bytes.fromhex("d08a3075")),
        (DataType.INT32_ARRAY, [-1, 315338746], "bytes_value", bytes.fromhex("fffffffffaafcb12")),
        (DataType.UINT64_ARRAY, [2**64 - 1], "bytes_value", b"\xff" * 8),
        (DataType.FLOAT_ARRAY, [1.23], "bytes_value", bytes.fromhex("a4709d3f")),
        (DataType.DOUBLE_ARRAY, [12.5], "bytes_value", bytes.fromhex("0000000000002940")),
        (DataType.BOOLEAN_ARRAY, [False, False, True, True, False, True, False, False, True, True, False, True],
         "bytes_value", bytes.fromhex("0c00000034d0")),
        (DataType.STRING_ARRAY, ["ABC", "hello"], "bytes_value", b"ABC\0hello\0"),
        (DataType.DATETIME_ARRAY, ["2009-10-21T05:27:55.335Z"], "bytes_value", bytes.fromhex("c7d0907524010000")),
    ],
)  # fmt: skip
def test_values_stand_in_the_field_of_their_type(kind: DataType, value: object, field: str, expected: object):
    """Each type has one field, arrays are packed little-endian."""
    metric = written(kind, value)
    assert (metric.value_field, metric.value) == (field, expected)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (DataType.BOOLEAN, 1), (DataType.FLOAT, "1.5"), (DataType.DATETIME, "soon"), (DataType.DATETIME, True),
        (DataType.BYTES, "no base64!"), (DataType.INT8_ARRAY, [1000]), (DataType.DOUBLE_ARRAY, [[1.0]]),
        (DataType.DOUBLE_ARRAY, 1.0), (DataType.BOOLEAN_ARRAY, [1]), (DataType.STRING_ARRAY, ["a\0b"]),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(kind: DataType, value: object):
    """A value of another type is no value of this one."""
    with pytest.raises((TypeError, ValueError)):
        written(kind, value)


def test_catalogue_types_have_data_types():
    """Every type our collectors know; what they do not know is left to the first value."""
    assert of_catalogue("bool") is DataType.BOOLEAN
    assert of_catalogue("uint16[]") is DataType.UINT16_ARRAY
    assert of_catalogue("guid[]") is DataType.STRING
    assert of_catalogue("variant") is None
    assert of_catalogue(None) is None
    assert [of_value(value) for value in (True, 1, 2**63, 1.0, None, "x", [1, 2], [1, "x"], [])] == [
        DataType.BOOLEAN, DataType.INT64, DataType.UINT64, DataType.DOUBLE, DataType.DOUBLE, DataType.STRING,
        DataType.INT64_ARRAY, DataType.STRING, DataType.STRING,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("known", "value", "expected"),
    [
        (DataType.INT16, 40_000, DataType.INT64),
        (DataType.INT16, 61.2, DataType.DOUBLE),
        (DataType.UINT64, -1, DataType.INT64),
        (DataType.INT64, 2**63, DataType.DOUBLE),
        (DataType.FLOAT, 2**63, DataType.DOUBLE),
        (DataType.INT32, "x", DataType.STRING),
        (DataType.BOOLEAN, 3, DataType.STRING),
        (DataType.DATETIME, "soon", DataType.STRING),
    ],
)
def test_types_grow_with_their_values(known: DataType, value: object, expected: DataType):
    """The next type that can say it; two steps at most lead to a string, which says everything."""
    assert wider(known, value) is expected
    assert wider(wider(expected, object()), object()) is DataType.STRING
