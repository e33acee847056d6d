"""One record, one message: what is on the wire."""

from __future__ import annotations

import json
import math

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.flow import Batch, Gap, Reading, Record, Stream
from agent.core.image import TagInfo
from agent.encoders.common.wire import overhead
from agent.encoders.json import JsonConfig
from agent.encoders.schema import readings_schema
from tests.support.messages import message_schema
from tests.unit.encoders.conftest import NOW, Stage, good, record, said

_VALIDATE = jsonschema.Draft202012Validator(readings_schema()).validate


def test_the_example_of_the_contract(stage: Stage) -> None:
    """The message of docs/messages.md, byte for byte in its order of fields."""
    stage.add()
    readings = [
        Reading("oil_temperature", 61.2, 1763760000120, "good", unit="Cel"),
        Reading("spindle", 3000, 1763760000120, "good", src=1763759990000, why="recovered"),
        Reading("part_count", None, 1763760000120, "bad", code="BadConfigurationError", reason="illegal data address"),
    ]
    batch = Batch(device="press-01", ts=1763760000123, readings=readings, cat=3, bad=1)
    one = Record(row=1, stream=Stream("01KB2X", "press-01", 4712, 4692), seq=4711, ts=1763760000123, content=batch)
    [message] = stage.begin()(one)
    assert message.payload.decode() == (
        '{"schema":"edge.readings.v1","agent":"gw-01","device":"press-01","epoch":"01KB2X","seq":4711,"low":4692,'
        '"ts":1763760000123,"cat":3,"readings":['
        '{"tag":"oil_temperature","value":61.2,"ts":1763760000120,"quality":"good","unit":"Cel"},'
        '{"tag":"spindle","value":3000,"ts":1763760000120,"quality":"good","src":1763759990000,"why":"recovered"},'
        '{"tag":"part_count","value":null,"ts":1763760000120,"quality":"bad","code":"BadConfigurationError",'
        '"reason":"illegal data address"}]}'
    )
    assert message.topic == "edge/acme/suzhou/press-01/readings"
    assert (message.qos, message.retain, message.content_type) == (1, False, "application/json")
    assert message.properties == (
        ("schema", "edge.readings.v1"), ("agent", "gw-01"), ("epoch", "01KB2X"), ("seq", "4711"),
    )  # fmt: skip
    _VALIDATE(said(message))


def test_flags_stand_only_where_they_are_true(stage: Stage) -> None:
    """snapshot, historical and clock are absent unless they say something."""
    stage.add()
    dialogue = stage.begin()
    plain = said(dialogue(record([good()]))[0])
    assert not {"snapshot", "historical", "clock", "part"} & plain.keys()
    flagged = said(dialogue(record([good()], snapshot=True, historical=True, clock="unsynced"))[0])
    assert (flagged["snapshot"], flagged["historical"], flagged["clock"]) == (True, True, "unsynced")
    _VALIDATE(flagged)


def test_low_is_that_of_the_moment_of_sending(stage: Stage) -> None:
    """`low` follows the stream, the record keeps its own number."""
    stage.add()
    dialogue, one = stage.begin(), record([good()], seq=9)
    assert said(dialogue(one)[0])["low"] == 1
    one.stream.low = 7
    assert (said(dialogue(one)[0])["low"], said(dialogue(one)[0])["seq"]) == (7, 9)


def test_qos_is_the_configured_one(stage: Stage) -> None:
    """QoS of readings is the route's."""
    stage.add()
    assert stage.begin(qos=0)(record([good()]))[0].qos == 0


@pytest.mark.parametrize("number", [2**53 + 1, 2**63 - 1, -(2**63), 2**64 - 1])
def test_64_bit_integers_are_exact(stage: Stage, number: int) -> None:
    """Numbers beyond 2**53 arrive digit by digit."""
    stage.add()
    [message] = stage.begin()(record([good(value=number)]))
    assert f'"value":{number},' in message.payload.decode()
    assert json.loads(message.payload)["readings"][0]["value"] == number


def test_64_bit_integers_as_strings(stage: Stage) -> None:
    """int64: string makes texts of all values of 64-bit tags, small ones too, and of no others."""
    stage.add(
        tags=(TagInfo(tag="big", type="uint64"), TagInfo(tag="Big2", type="Int64"), TagInfo(tag="small", type="int32"))
    )
    dialogue = stage.begin(config=JsonConfig(int64="string"))
    readings = [good("big", 5), good("Big2", [1, 2]), good("small", 5), good("unknown", 2**60), good("big", True)]
    found = said(dialogue(record(readings))[0])["readings"]
    assert [one["value"] for one in found] == ["5", ["1", "2"], 5, str(2**60), True]
    assert readings[0].value == 5  # the image holds the same reading


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_bad(stage: Stage, value: float) -> None:
    """NaN and infinity never pass as good, and the reading that others hold is not changed."""
    stage.add()
    shared = good("t1", value)
    bad = Reading("t2", None, NOW, "bad", code="BadNoCommunication")
    found = said(stage.begin()(record([bad, shared, good("t3")]))[0])["readings"]
    assert (found[1]["value"], found[1]["quality"], found[1]["code"]) == (None, "bad", "BadOutOfRange")
    assert found[2]["quality"] == "good"
    assert shared.quality == "good"


def test_a_record_over_the_limit_is_split(stage: Stage) -> None:
    """Parts stay below the broker's packet limit, number themselves, and hold every reading once and in order."""
    stage.add()
    dialogue = stage.begin()
    stage.online(dialogue, max_packet_bytes=1500)
    readings = [good(f"t{n}", n) for n in range(100)]
    messages = dialogue(record(readings))
    assert len(messages) > 1
    found = []
    for number, message in enumerate(messages, 1):
        content = said(message)
        _VALIDATE(content)
        assert content["part"] == [number, len(messages)]
        assert len(message.payload) + len(message.topic) + 100 < 1500
        found += [one["tag"] for one in content["readings"]]
    assert found == [one.tag for one in readings]
    assert [m.payload for m in dialogue(record(readings))] == [m.payload for m in messages]


@pytest.mark.parametrize("seq", [9, 10, 10**12])
def test_a_record_is_split_where_its_packet_would_be_too_large(stage: Stage, seq: int) -> None:
    """At the byte, however many digits its number has; what a stream's messages have in common is remembered."""
    stage.add(location=("工厂",))
    [whole] = stage.begin()(record([good("a"), good("b")], seq=seq))
    least = len(whole.payload) + overhead(whole.topic, whole.properties)
    for limit, messages in ((least, 1), (least - 1, 2)):
        assert len(stage.begin(max_message_bytes=limit)(record([good("a"), good("b")], seq=seq))) == messages


def test_streams_of_one_device_take_turns(stage: Stage) -> None:
    """A backlog may be of another epoch than what is live; each message tells its own, whoever was before."""
    stage.add()
    dialogue = stage.begin()
    for epoch, seq in (("01KB2X", 7), ("01KA00", 99), ("01KB2X", 8)):
        one = record([good()], seq=seq)
        one.stream = Stream(epoch, "press-01", seq + 1)
        [message] = dialogue(one)
        assert dict(message.properties) == {
            "schema": "edge.readings.v1", "agent": "gw-01", "epoch": epoch, "seq": str(seq),
        }  # fmt: skip
        assert (said(message)["epoch"], said(message)["seq"]) == (epoch, seq)


def test_a_single_reading_is_never_split(stage: Stage) -> None:
    """What one reading alone makes too large goes as it is: the session rejects it, quarantine keeps it."""
    stage.add()
    [message] = stage.begin(max_message_bytes=1024)(record([good(value="x" * 5000)]))
    assert len(message.payload) > 5000


def test_a_device_that_is_gone_keeps_its_topic(stage: Stage) -> None:
    """Records of a device no longer configured go where its records always went, also after a restart."""
    stage.add()
    stage.begin()
    stage.image.remove("press-01")
    assert stage.begin()(record([good()]))[0].topic == "edge/acme/suzhou/press-01/readings"
    assert stage.begin()(record([good()], device="never-known"))[0].topic == "edge/gw-01/never-known/readings"


def test_topics_follow_the_template(stage: Stage) -> None:
    """`topic` and `root` make the prefix."""
    stage.add()
    dialogue = stage.begin(root="plant", topic="{root}/v1/{agent}/{device}")
    assert dialogue(record([good()]))[0].topic == "plant/v1/gw-01/press-01/readings"


def _gap(**keys: object) -> Record:
    given = {"id": "01G", "kind": "dropped", "device": "press-01", "from_ts": 1, "to_ts": 2, "reason": "full", **keys}
    gap = Gap(**given)  # type: ignore[arg-type]
    return Record(row=1, stream=Stream("01KB2X", "press-01"), seq=0, ts=NOW, content=gap)


def test_a_gap_has_every_field(stage: Stage) -> None:
    """Gap messages name what is unknown as null; they are not retained and always acknowledged."""
    stage.add()
    [message] = stage.begin(qos=0)(_gap(epoch="01KB2X", from_seq=3, to_seq=5))
    assert message.topic == "edge/acme/suzhou/press-01/gaps"
    assert (message.retain, message.qos) == (False, 1)
    assert said(message) == {
        "id": "01G", "kind": "dropped", "agent": "gw-01", "device": "press-01", "epoch": "01KB2X", "from_seq": 3,
        "to_seq": 5, "from_ts": 1, "to_ts": 2, "tags": None, "records": None, "readings": None, "reason": "full",
    }  # fmt: skip
    jsonschema.validate(said(message), message_schema("gap"))


def test_a_gap_that_does_not_fit_speaks_of_any_tag(stage: Stage) -> None:
    """A declaration must arrive: with too many tags to name it names none."""
    stage.add()
    [message] = stage.begin(max_message_bytes=2000)(_gap(tags=[f"tag-{n}" for n in range(1000)]))
    assert said(message)["tags"] is None
    assert len(message.payload) < 2000


_values = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=30), st.lists(st.integers(-(2**31), 2**31), max_size=4),
)  # fmt: skip
_readings = st.builds(
    Reading,
    tag=st.text(min_size=1, max_size=20),
    value=_values,
    ts=st.integers(0, 2**42),
    quality=st.sampled_from(["good", "uncertain", "bad"]),
    src=st.none() | st.integers(0, 2**42),
    unit=st.none() | st.text(max_size=5),
    label=st.none() | st.text(max_size=5),
    code=st.none() | st.just("BadNoData"),
    status=st.none() | st.integers(0, 2**32 - 1),
    reason=st.none() | st.text(max_size=20),
    why=st.sampled_from([None, "initial", "recovered", "heartbeat", "offline", "disabled"]),
)


@given(readings=st.lists(_readings, min_size=1, max_size=30), limit=st.integers(600, 4000), snapshot=st.booleans())
def test_whatever_is_encoded_fits_the_published_schema(readings: list[Reading], limit: int, snapshot: bool) -> None:
    """Any record validates against the published JSON Schema, and decodes to the readings it was made of."""
    stage = Stage()
    stage.add()
    messages = stage.begin(max_message_bytes=limit)(record(readings, snapshot=snapshot))
    found = []
    for message in messages:
        content = json.loads(message.payload)
        _VALIDATE(content)
        found += content["readings"]
    for one, reading in zip(found, readings, strict=True):
        assert one["value"] == reading.value
        expected = {name: getattr(reading, name) for name in Reading.__struct_fields__}
        assert {"value": None, **one} == {n: v for n, v in expected.items() if v is not None or n == "value"}
