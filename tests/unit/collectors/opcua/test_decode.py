from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from asyncua import ua as library

from agent.collectors.opcua.decode import Decoder
from agent.collectors.opcua.times import SourceClock, format_utc_offset, parse_utc_offset
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
    local = Decoder(1, SourceClock(use=False, utc_offset=3600.0))
    answer = local.answer((0,), [data(1, source=at(NOW))], NOW)
    assert (answer.src, answer.doubted) == (None, [NOW - 3_600_000])


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


@pytest.mark.parametrize("value", [ua.ExtensionObject(), ua.Range(1.0, 2.0), ua.Argument()])
def test_a_structure_is_bad_with_its_name(value: object) -> None:
    """Structures come with their own issue: until then they say so."""
    answer = Decoder(1, SourceClock()).answer((0,), [data(value, ua.VariantType.ExtensionObject)], NOW)
    assert (answer.values, name_of(answer.status[0])) == ([None], "BadDataEncodingUnsupported")  # type: ignore[index]
    assert "structures are not decoded" in answer.reason[0]  # type: ignore[index]


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
    clock = SourceClock(utc_offset=parse_utc_offset("+08:00"))
    assert clock.judge(at(NOW + 8 * 3_600_000), NOW) == NOW
    assert [format_utc_offset(parse_utc_offset(text)) for text in ("+08:00", "-05:30", 0)] == ["+08:00", "-05:30", 0]


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
