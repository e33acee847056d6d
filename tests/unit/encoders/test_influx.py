"""Lines that InfluxDB takes, read back by a parser nobody here wrote."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from line_protocol_parser import parse_line  # type: ignore[import-untyped]

from agent.collectors.modbus.tags.tag import ModbusTag
from agent.core.flow import Message, Reading
from agent.core.image import TagInfo
from agent.encoders.influx import InfluxConfig
from tests.unit.encoders.conftest import NOW, Stage, good, record

INFLUX = InfluxConfig(type="influx")


def influx(**keys: Any) -> InfluxConfig:
    return InfluxConfig.model_validate({"type": "influx", **keys})


def points(*messages: Message) -> list[dict[str, Any]]:
    return [parse_line(line) for message in messages for line in message.payload.decode().split("\n")]


def bad(tag: str = "t1", **keys: Any) -> Reading:
    return Reading(tag=tag, value=None, ts=NOW, quality="bad", **{"code": "BadTimeout", **keys})


def test_readings_of_one_instant_share_a_line(stage: Stage) -> None:
    """Measurement, tags, one field a tag, the quality as a tag, nanoseconds."""
    stage.add()
    readings = [good("t1", 61.5), good("t2", True), Reading("t3", 1, NOW + 5, "good"), bad("t4")]
    [message] = stage.begin(config=INFLUX)(record(readings))
    head = "press-01,agent=gw-01,location=acme/suzhou"
    assert message.payload.decode().split("\n") == [
        f"{head},quality=good t1=61.5,t2=true {NOW}000000",
        f"{head},quality=good t3=1i {NOW + 5}000000",
        f'{head},quality=bad t4.code="BadTimeout" {NOW}000000',
    ]
    assert (message.topic, message.content_type) == ("edge/acme/suzhou/press-01/lines", "text/plain")
    assert dict(message.properties)["of"] == "1"


def test_quality_as_a_field(stage: Stage) -> None:
    """`quality: field` puts it beside each value, so that a series stays one."""
    stage.add()
    config = InfluxConfig(type="influx", quality="field", precision="ms", tags={})
    [message] = stage.begin(config=config)(record([good("t1", 1.5), bad("t2")]))
    assert message.payload.decode() == (
        f'press-01 t1=1.5,t1.quality="good",t2.quality="bad",t2.code="BadTimeout" {NOW}'
    )


@pytest.mark.parametrize(
    ("value", "data_type", "unsigned", "field"),
    [
        (61.2, None, "u", "61.2"),
        (5, "int16", "u", "5i"),
        (5, "UInt16", "u", "5u"),
        (2**64 - 1, "uint64", "u", "18446744073709551615u"),
        (5, "uint16", "i", "5i"),
        (5, "uint16", "float", "5.0"),
        (5, "Double", "u", "5.0"),
        (5, "float32", "i", "5.0"),
        (-(2**63), "int64", "u", "-9223372036854775808i"),
        (True, "uint16", "u", "true"),
        ('say "hi" \\ there', "string", "u", '"say \\"hi\\" \\\\ there"'),
        ("two\nlines", None, "u", '"two\\\\nlines"'),
        ([1, 2.5], None, "u", '"[1,2.5]"'),
        ({"x": "y"}, None, "u", '"{\\"x\\":\\"y\\"}"'),
        (1e300, None, "u", "1e+300"),
    ],
)
def test_types_of_fields(stage: Stage, value: object, data_type: str | None, unsigned: str, field: str) -> None:
    """A tag keeps the type of its catalogue entry: InfluxDB refuses a field that changes it."""
    stage.add(tags=[TagInfo(tag="t1", type=data_type)])
    config = influx(unsigned=unsigned, tags={})
    [message] = stage.begin(config=config)(record([good("t1", value)]))
    assert message.payload.decode() == f"press-01,quality=good t1={field} {NOW}000000"
    assert points(message)


@pytest.mark.parametrize(("value", "data_type"), [(2**63, "int64"), (-1, "uint16"), (2**64, "uint64")])
def test_what_does_not_fit_its_type_is_bad(stage: Stage, value: int, data_type: str) -> None:
    """A number the field cannot hold is no value of it, and says so."""
    stage.add(tags=[TagInfo(tag="t1", type=data_type)])
    [point] = points(*stage.begin(config=INFLUX)(record([good("t1", value)])))
    assert (point["tags"]["quality"], point["fields"]) == ("bad", {"t1.code": "BadOutOfRange"})


def test_an_offset_takes_an_unsigned_value_below_zero(stage: Stage) -> None:
    """A register of a thermometer that counts from -40: its field is a signed one from the beginning."""
    tag = ModbusTag.model_validate({"address": "holding:0", "type": "uint16", "offset": -40})
    stage.add(tags=[TagInfo(tag="t1", type=tag.catalogue_type())])
    [cold, warm] = points(*stage.begin(config=INFLUX)(record([good("t1", -20), good("t1", 20)])))
    assert (cold["tags"]["quality"], cold["fields"], warm["fields"]) == ("good", {"t1": -20}, {"t1": 20})


def test_bad_and_not_finite_have_no_value(stage: Stage) -> None:
    """Neither a bad value nor NaN becomes a field."""
    stage.add()
    readings = [bad("t1"), Reading("t2", 5.0, NOW, "bad"), good("t3", float("inf"))]
    [point] = points(*stage.begin(config=INFLUX)(record(readings)))
    assert point["tags"]["quality"] == "bad"
    assert point["fields"] == {"t1.code": "BadTimeout", "t2.code": "Bad", "t3.code": "BadOutOfRange"}


def test_a_good_null_is_not_called_bad(stage: Stage) -> None:
    """OPC UA knows good variables without a value; a line needs a field."""
    stage.add()
    [point] = points(*stage.begin(config=INFLUX)(record([good("t1", None)])))
    assert (point["tags"]["quality"], point["fields"]) == ("good", {"t1.code": "Good"})


def test_tags_that_are_found_get_names_that_influxdb_takes(stage: Stage) -> None:
    """What it would drop, or confuse with a tag of the line, was refused at load as far as it was known."""
    stage.add()
    found = [good("time", 1), good("_x", 2), good("location", 3), good("quality", 4)]
    [point] = points(*stage.begin(config=INFLUX)(record(found)))
    assert point["fields"] == {"tag_time": 1, "tag_x": 2, "tag_location": 3, "tag_quality": 4}


def test_names_are_escaped_not_changed(stage: Stage) -> None:
    """Commas, spaces, equal signs and Unicode arrive as they are; a backslash, on which parsers differ, as a slash."""
    stage.add(location=("a, b", "c=d"), tags=("油温 (a,b=c)", "x\\y"))
    config = InfluxConfig(type="influx", measurement="{site} 1,{device}", names={"time": "clock"})
    [point] = points(
        *stage.begin(config=config)(record([good("油温 (a,b=c)", 1.5), good("x\\y", 2.5), good("time", 1)]))
    )
    assert point["measurement"] == "c=d 1,press-01"
    assert point["tags"]["location"] == "a, b/c=d"
    assert point["fields"] == {"油温 (a,b=c)": 1.5, "x/y": 2.5, "clock": 1}


def test_one_tag_twice_at_one_instant(stage: Stage) -> None:
    """No line has a field twice."""
    stage.add()
    found = points(*stage.begin(config=INFLUX)(record([good("t1", 1.5), good("t2", 1.5), good("t1", 2.5)])))
    assert [point["fields"] for point in found] == [{"t1": 1.5, "t2": 1.5}, {"t1": 2.5}]


@pytest.mark.parametrize(
    ("precision", "ts"), [("s", NOW // 1000), ("ms", NOW), ("us", NOW * 1000), ("ns", NOW * 10**6)]
)
def test_precision(stage: Stage, precision: str, ts: int) -> None:
    """Timestamps in the unit asked for."""
    stage.add()
    [point] = points(*stage.begin(config=influx(precision=precision))(record([good()])))
    assert point["time"] == ts


def test_a_large_record_takes_several_messages(stage: Stage) -> None:
    """Cut between lines; each part says which it is, none is over the limit; a value too long is bad, not lost."""
    stage.add()
    readings = [good(f"tag-{n}", n * 1.5) for n in range(300)] + [good("long", "x" * 5000)]
    messages = stage.begin(config=INFLUX, max_message_bytes=2000)(record(readings))
    assert len(messages) > 1
    assert all(len(message.payload) < 1900 for message in messages)
    assert [dict(message.properties)["index"] for message in messages] == [str(n + 1) for n in range(len(messages))]
    fields = {name: value for point in points(*messages) for name, value in point["fields"].items()}
    assert fields.pop("long.code") == "BadEncodingLimitsExceeded"
    assert fields == {f"tag-{n}": n * 1.5 for n in range(300)}


def test_a_message_carries_the_same_lines_whenever_it_is_sent(stage: Stage) -> None:
    """Who has message 1 of 3 may drop a repetition of it: where the cut is does not hang on how the record is said."""
    stage.add()
    readings = [Reading(f"tag-{n}", n * 1.5, NOW + n, "good") for n in range(300)]
    dialogue = stage.begin(config=INFLUX, max_message_bytes=4000)
    live = dialogue(record(readings, seq=9))
    late = dialogue(record(readings, seq=9, low=10**15, historical=True))
    assert len(live) > 3
    assert [message.payload for message in live] == [message.payload for message in late]


_names = st.text(
    st.characters(min_codepoint=32, exclude_characters="\x7f\\", exclude_categories=["Cs"]), min_size=1
).filter(lambda name: not name.startswith("_") and name not in ("time", "quality", "agent", "location"))
_floats = st.floats(allow_nan=False, allow_subnormal=False)  # the parser's strtod refuses subnormal ones
_values = st.booleans() | st.integers(-(2**63), 2**63 - 1) | _floats | st.text(max_size=30)


@given(readings=st.lists(st.tuples(_names, _values), min_size=1, max_size=20, unique_by=lambda one: one[0]))
def test_whatever_is_written_is_read_back(readings: list[tuple[str, object]]) -> None:
    """Any name and value comes back from an independent parser as it was."""
    stage = Stage()
    stage.add(tags=[])
    [message] = stage.begin(config=INFLUX)(record([good(tag, value) for tag, value in readings]))
    fields = {name: value for point in points(message) for name, value in point["fields"].items()}
    for tag, value in readings:
        if isinstance(value, float) and value in (float("inf"), float("-inf")):
            assert fields[f"{tag}.code"] == "BadOutOfRange"
        elif isinstance(value, str):
            assert fields[tag] == value.replace("\n", "\\n").replace("\r", "\\r").replace("\0", "\\0")
        else:
            assert fields[tag] == value
            assert type(fields[tag]) is type(value)
