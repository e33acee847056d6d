from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from asyncua import ua as library
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import struct_from_binary

from agent.collectors.opcua.values import exact
from agent.collectors.opcua.values.decode import Decoder
from agent.collectors.opcua.values.indexrange import parse_index_range
from agent.collectors.opcua.values.times import SourceClock
from agent.core.quality import name_of

ua: Any = library
NOW = 1_795_000_000_000
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def at(ms: float) -> dt.datetime:
    return EPOCH + dt.timedelta(milliseconds=ms)


def data(value: object, kind: Any = None, *, status: int = 0, source: dt.datetime | None = None) -> Any:
    return ua.DataValue(ua.Variant(value, kind), ua.StatusCode(status), SourceTimestamp=source)


def test_columns_belong_together() -> None:
    """Values, status and source times stand at the place of their tag; one int stands for all good ones."""
    decoder = Decoder(3, SourceClock())
    tags = (2, 0)
    answer = decoder.answer(tags, [data(1, source=at(NOW - 5)), data("x")], NOW)
    assert answer.tags is tags
    assert (answer.values, answer.status, answer.src, answer.ts) == ([1, "x"], 0, [NOW - 5, None], NOW)
    answer = decoder.answer(tags, [data(1), data(None, status=0x80340000)], NOW)
    assert (answer.status, answer.src) == ([0, 0x80340000], None)


def test_a_source_time_that_is_not_believed_stays_visible() -> None:
    """`use: agent` and absurd times: no source time to go by, but the source's own word beside it."""
    decoder = Decoder(3, SourceClock())
    answer = decoder.answer((0, 1, 2), [data(1, source=at(NOW)), data(2, source=at(NOW + 60_000)), data(3)], NOW)
    assert (answer.src, answer.doubted) == ([NOW, None, None], [None, NOW + 60_000, None])
    local = Decoder(1, SourceClock(use=False, zone=dt.timezone(dt.timedelta(hours=1))))
    answer = local.answer((0,), [data(1, source=at(NOW))], NOW)
    assert (answer.src, answer.doubted) == (None, [NOW - 3_600_000])


@pytest.mark.parametrize(
    ("value", "kind", "carried"),
    [
        (b"x" * 70, None, True),
        (b"x" * 80, None, False),
        ("x" * 101, None, False),
        (["x" * 50] * 2, None, True),
        (["x" * 50, "y" * 51], None, False),
        ([1.5] * 26, ua.VariantType.Double, False),
        ([True] * 700, ua.VariantType.Boolean, True),  # one bit each in the densest form
        ([7] * 101, ua.VariantType.Int32, False),
        (ua.LocalizedText("x" * 101), None, False),
    ],
)
def test_a_value_that_no_message_can_carry_is_bad(value: object, kind: Any, carried: bool) -> None:
    """It is not even converted: its text would go through all of the agent, to be left out at the end."""
    decoder = Decoder(2, SourceClock(), room=lambda: 100)
    answer = decoder.answer((0, 1), [data(value, kind), data("y")], NOW)
    assert answer.values[1] == "y"
    assert (answer.values[0] is not None) is carried
    if not carried:
        assert name_of(answer.status[0]) == "BadEncodingLimitsExceeded"  # type: ignore[index]
        assert "over the message limit of 100" in answer.reason[0]  # type: ignore[index]


def test_what_a_queue_lost_is_declared_from_the_last_value_to_this_one() -> None:
    """The overflow bit says that values before this one are missing; the status keeps it."""
    decoder = Decoder(2, SourceClock())
    decoder.answer((0, 1), [data(1, source=at(NOW - 500)), data(1)], NOW)
    answer = decoder.answer((1, 0), [data(2), data(9, status=0x480, source=at(NOW + 1000))], NOW + 1500)
    assert (answer.values, answer.status) == ([2, 9], [0, 0x480])
    (loss,) = decoder.losses()
    assert (loss.from_ts, loss.to_ts, loss.tags) == (NOW - 500, NOW + 1000, (0,))
    assert (decoder.losses(), decoder.overflows) == ([], 1)


def test_types_are_news_once() -> None:
    """A type is told when it is learned and when it changes; bad values and nulls teach nothing."""
    decoder = Decoder(2, SourceClock())
    decoder.answer((0, 1), [data(1.5), data(None)], NOW)
    assert decoder.news() == {0: "float64"}
    decoder.answer((0, 1), [data(2.5), data(None, status=0x80340000)], NOW)
    assert decoder.news() is None
    decoder.answer((0, 1), [data("x"), data([1, 2], ua.VariantType.Int16)], NOW)
    assert decoder.news() == {0: "string", 1: "int16[]"}
    assert decoder.answer((0, 1), [data("y"), data([3], ua.VariantType.Int16)], NOW).values == ["y", [3]]


def test_structures_of_the_standard_are_dicts() -> None:
    """With their fields' names and plain values; a null structure is no value."""
    decoder = Decoder(1, SourceClock())
    kind = ua.VariantType.ExtensionObject
    unit = ua.EUInformation(NamespaceUri="urn:u", UnitId=7, DisplayName=ua.LocalizedText("°C"))
    for value, expected in [
        (ua.Range(1.0, 2.0), {"Low": 1.0, "High": 2.0}),
        (unit, {"NamespaceUri": "urn:u", "UnitId": 7, "DisplayName": "°C", "Description": ""}),
        ([ua.Range(1.0, 2.0)], [{"Low": 1.0, "High": 2.0}]),
        (ua.ExtensionObject(), None),
    ]:
        answer = decoder.answer((0,), [data(value, kind)], NOW)
        assert (answer.values, answer.status) == ([expected], 0)


def test_a_structure_nobody_describes_is_bad_with_its_type() -> None:
    """Bytes whose meaning is not known are not passed on."""
    unknown = ua.ExtensionObject(TypeId=ua.NodeId(77, 2), Body=b"12")
    decoder = Decoder(1, SourceClock())
    answer = decoder.answer((0,), [data(unknown, ua.VariantType.ExtensionObject)], NOW)
    assert (answer.values, name_of(answer.status[0])) == ([None], "BadDataEncodingUnsupported")  # type: ignore[index]
    assert "ns=2;i=77" in answer.reason[0]  # type: ignore[index]
    assert decoder.unsupported == {0}


def test_broken_text_spoils_no_neighbour() -> None:
    """In an array or a structure the broken text is mended where it stands."""
    decoder = Decoder(1, SourceClock())
    answer = decoder.answer((0,), [data(["a", "b\udcff"], ua.VariantType.String)], NOW)
    assert (answer.values, name_of(answer.status[0])) == ([["a", "b\ufffd"]], "Uncertain")  # type: ignore[index]

    answer = decoder.answer((0,), [data("b\udcff", status=0x00300000)], NOW)
    assert name_of(answer.status[0]) == "Uncertain", "GoodClamped"  # type: ignore[index]


V = ua.VariantType


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (None, V.String, ""),
        (["a", None], V.String, ["a", ""]),
        (ua.LocalizedText(None, "de"), V.LocalizedText, ""),
        ([ua.LocalizedText("x"), ua.LocalizedText()], V.LocalizedText, ["x", ""]),
        ([b"a", None], V.ByteString, ["YQ==", ""]),
    ],
)
def test_a_null_text_is_an_empty_one(value: object, kind: Any, expected: object) -> None:
    """Servers send either for a text of no characters: it is a value, and its neighbours in an array are too."""
    answer = Decoder(1, SourceClock()).answer((0,), [data(value, kind)], NOW)
    assert (answer.values, answer.status) == ([expected], 0)


@pytest.mark.parametrize("kind", [V.Int32, V.String, V.DateTime, V.ExtensionObject, V.Variant])
def test_a_null_array_is_an_empty_one(kind: Any) -> None:
    """As for texts; an element that is not there is no value all the same."""
    null = ua.DataValue(ua.Variant(None, kind, None, True))
    answer = Decoder(1, SourceClock()).answer((0,), [null], NOW)
    assert (answer.values, answer.status) == ([[]], 0)
    part = Decoder(1, SourceClock(), parts={0: parse_index_range("3")})
    assert part.answer((0,), [null], NOW).values == [None]


def _inside(status: int) -> Any:
    return ua.DataValue(ua.Variant(4), ua.StatusCode(status))


def test_a_value_inside_a_value_is_as_good_as_its_own_status() -> None:
    """A DataValue as a value: no bad one passes as good because the one around it is."""
    decoder = Decoder(1, SourceClock())
    for value, expected, code in [
        (_inside(0), 4, "Good"),
        (_inside(0x40900000), 4, "Uncertain"),
        (_inside(0x808C0000), None, "BadSensorFailure"),
        ([_inside(0), _inside(0x808C0000)], None, "BadSensorFailure"),
    ]:
        answer = decoder.answer((0,), [data(value, V.DataValue)], NOW)
        status = answer.status if isinstance(answer.status, int) else answer.status[0]
        assert (answer.values, name_of(status)) == ([expected], code)


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("3", [7], 7),
        ("2,3", [[11.0]], 11.0),
        ("0:1", [7, 8], [7, 8]),
        ("0:1,2", [[1], [2]], [[1], [2]]),
        ("0:3", "text", "text"),
    ],
)
def test_a_part_of_an_array(text: str, value: object, expected: object) -> None:
    """One element is a plain value; more of them are a list."""
    decoder = Decoder(1, SourceClock(), parts={0: parse_index_range(text)})
    assert decoder.answer((0,), [data(value)], NOW).values == [expected]


@pytest.mark.parametrize(("text", "value"), [("3", [7, 8]), ("0:1", [7, 8, 9]), ("0:1,2", [[1, 2], [3, 4]])])
def test_a_server_that_ignores_the_range_is_not_believed(text: str, value: object) -> None:
    """More than was asked for is another value than the one that was asked for."""
    decoder = Decoder(1, SourceClock(), parts={0: parse_index_range(text)})
    answer = decoder.answer((0,), [data(value)], NOW)
    assert (answer.values, name_of(answer.status[0])) == ([None], "BadIndexRangeInvalid")  # type: ignore[index]


@pytest.mark.parametrize("text", ["", "a", "3:1", "3:3", "1,", "-1"])
def test_index_ranges_that_are_none(text: str) -> None:
    """The mistake says what to write."""
    with pytest.raises(ValueError, match="0:9"):
        parse_index_range(text)


def test_types_beyond_the_standard_are_bad() -> None:
    """A variant of type 31, as broken servers send, costs its own tag only."""
    strange = ua.Variant(b"x", ua.VariantTypeCustom(31))
    answer = Decoder(1, SourceClock()).answer((0,), [ua.DataValue(strange)], NOW)
    assert name_of(answer.status[0]) == "BadDataEncodingUnsupported"  # type: ignore[index]


def test_a_value_that_breaks_its_conversion_is_bad() -> None:
    """Whatever a server sends, it never raises."""
    broken = data("x")
    broken.Value.Value = 5  # text that is none
    answer = Decoder(1, SourceClock()).answer((0,), [broken], NOW)
    assert (answer.values, name_of(answer.status[0])) == ([None], "BadDecodingError")  # type: ignore[index]


def test_broken_text_is_mended_and_uncertain() -> None:
    """Bytes that are no UTF-8 never reach JSON; a worse status stays."""
    decoder = Decoder(1, SourceClock())
    answer = decoder.answer((0,), [data("a\udcff", ua.VariantType.String)], NOW)
    assert (answer.values, answer.status) == (["a\ufffd"], [0x40000000])
    answer = decoder.answer((0,), [data("a\udcff", ua.VariantType.String, status=0x40930000)], NOW)
    assert answer.status == [0x40930000]


def test_overflow_bits_are_counted() -> None:
    """InfoType DataValue with its overflow bit says that values were lost in the server's queue."""
    decoder = Decoder(1, SourceClock())
    answer = decoder.answer((0, 0, 0), [data(1, status=0x480), data(2, status=0x400), data(3, status=0x80)], NOW)
    assert decoder.overflows == 1
    assert answer.values == [1, 2, 3]


@pytest.mark.parametrize(
    ("stamp", "taken"),
    [
        (NOW, True),
        (NOW + 5000, True),
        (NOW + 5001, False),
        (NOW + 86_400_000, False),
        (NOW - 10 * 365 * 86_400_000, True),
        (0, False),
        (631_152_000_000, True),
    ],
)
def test_only_a_believable_source_time_is_taken(stamp: int, taken: bool) -> None:
    """Old is fine; ahead by more than max_skew, or before 1990, is not."""
    clock = SourceClock(max_skew=5.0)
    assert clock.judge(at(stamp), NOW) == (stamp if taken else None)
    assert clock.refused == (not taken)


def test_absurd_times_are_refused() -> None:
    """None, 1601 and 9999 are no times."""
    clock = SourceClock()
    assert clock.judge(None, NOW) is None
    assert clock.judge(dt.datetime(1601, 1, 1, tzinfo=dt.UTC), NOW) is None
    assert clock.judge(dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC), NOW) is None
    assert clock.refused == 2


def test_local_time_is_moved_to_utc_before_it_is_judged() -> None:
    """A controller on Shanghai's time is eight hours ahead, and right."""
    clock = SourceClock(zone=dt.timezone(dt.timedelta(hours=8)))
    assert clock.judge(at(NOW + 8 * 3_600_000), NOW) == NOW


def test_a_controller_on_local_time_with_summer_time() -> None:
    """Summer and winter alike; the hour that comes twice is the first or the second by what the agent's clock says."""
    clock = SourceClock(zone=ZoneInfo("Europe/Berlin"))
    for utc in ("2026-07-01T12:00", "2026-12-01T12:00", "2026-10-25T00:30", "2026-10-25T01:30", "2026-10-25T02:00"):
        instant = dt.datetime.fromisoformat(utc + "+00:00")
        shown = instant.astimezone(ZoneInfo("Europe/Berlin")).replace(tzinfo=dt.UTC)
        now = int(instant.timestamp() * 1000)
        assert clock.judge(shown, now + 900) == now
        assert clock.judge(shown, now - 900) == now


def test_the_agents_clock_stands_in_where_it_is_asked_to() -> None:
    """`use: agent` takes no source time at all."""
    assert SourceClock(use=False).judge(at(NOW), NOW) is None


def test_a_clock_that_was_never_set_judges_nobody() -> None:
    """A gateway that believes it is 1970 takes the source's time, but not 9999."""
    clock = SourceClock(synced=lambda: False)
    assert clock.judge(at(NOW), 0) == NOW
    assert clock.judge(dt.datetime(9999, 12, 31, tzinfo=dt.UTC), 0) is None


def test_milliseconds_are_exact() -> None:
    """No rounding by floats: the millisecond that the source said, rounded down."""
    clock = SourceClock()
    assert clock.judge(at(NOW - 877) + dt.timedelta(microseconds=999), NOW) == NOW - 877


@pytest.mark.parametrize(
    ("ticks", "text"),
    [
        (134_085_456_001_234_567, "2025-11-25T12:00:00.1234567Z"),
        (134_085_456_001_234_560, "2025-11-25T12:00:00.123456Z"),
        (134_085_456_001_230_000, "2025-11-25T12:00:00.123Z"),
        (134_085_456_000_000_001, "2025-11-25T12:00:00.0000001Z"),
        (0, "1601-01-01T00:00:00.000Z"),
        (2**63 - 1, "9999-12-31T23:59:59.000Z"),
        (-1, "1601-01-01T00:00:00.000Z"),
    ],
)
@pytest.mark.parametrize("shape", ["scalar", "array"])
def test_a_date_is_exact_to_100_ns(ticks: int, text: str, shape: str) -> None:
    """As it comes over the wire (OPC 10000-6, 5.2.2.5); the library alone cuts it to microseconds."""
    exact.install()
    stamp = ticks.to_bytes(8, "little", signed=True)
    variant = b"\x0d" + stamp if shape == "scalar" else b"\x8d\x01\x00\x00\x00" + stamp
    data = struct_from_binary(ua.DataValue, Buffer(b"\x01" + variant))
    answer = Decoder(1, SourceClock()).answer((0,), [data], NOW)
    assert answer.values == [text if shape == "scalar" else [text]]
