"""One tag, one message, one topic; what UMH cannot take goes apart."""

from __future__ import annotations

import re

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.flow import Gap, Reading, Record, Stream
from agent.core.image import TagInfo
from agent.encoders.umh import UmhConfig
from tests.support.messages import message_schema
from tests.unit.encoders.conftest import NOW, Stage, good, record, said
from tests.unit.encoders.uns import take

UMH = UmhConfig(type="umh")


def bad(tag: str = "t1", **keys: object) -> Reading:
    return Reading(tag=tag, value=None, ts=NOW, quality="bad", code="BadTimeout", **keys)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [61.2, 3, 2**63 - 1, -5, True, False, "running", "温度", 0.0])
def test_payload_is_exactly_two_keys(stage: Stage, value: object) -> None:
    """`timestamp_ms` and `value`, as UMH takes them, with the instant of the reading."""
    stage.add()
    [message] = stage.begin(config=UMH)(record([good("oil", value)]))
    uns = take(message.topic, message.payload)
    assert (uns.location, uns.contract, uns.path, uns.name) == (["acme", "suzhou", "press-01"], "_raw", [], "oil")
    assert (uns.timestamp_ms, uns.value) == (NOW, value)
    assert message.topic == "umh/v1/acme/suzhou/press-01/_raw/oil"
    assert (message.retain, message.qos, message.content_type) == (False, 1, "application/json")


def test_identity_of_messages(stage: Stage) -> None:
    """(agent, device, epoch, seq, index) in user properties, with the number there are; history says so."""
    stage.add()
    one, two = stage.begin(config=UMH)(record([good("a"), good("b")], seq=7, historical=True))
    assert dict(two.properties) == {
        "agent": "gw-01", "device": "press-01", "epoch": "01KB2X", "seq": "7", "low": "1", "of": "2", "index": "2",
        "historical": "true",
    }  # fmt: skip
    assert dict(one.properties)["index"] == "1"


def test_no_properties_on_3_1_1(stage: Stage) -> None:
    """MQTT 3.1.1 has none, so none are made."""
    stage.add()
    dialogue = stage.begin(config=UMH)
    stage.online(dialogue, protocol="3.1.1", properties=False)
    assert dialogue(record([good()]))[0].properties == ()


@pytest.mark.parametrize(
    "reading",
    [
        bad(),
        Reading("t1", 5.0, NOW, "bad", code="BadSensorFailure"),
        good(value=float("nan")),
        good(value=float("inf")),
        good(value=None),
        good(value=[1, 2]),
        good(value={"x": 1}),
        good(value="x" * 1023),
        good(value="温" * 400),
    ],
)
def test_what_umh_refuses_goes_apart(stage: Stage, reading: Reading) -> None:
    """Null, NaN, arrays, structures and long text are no messages of UMH: they are said in the json encoder's words."""
    stage.add()
    fits, apart = stage.begin(config=UMH)(record([good("t2"), reading], seq=4))
    take(fits.topic, fits.payload)
    assert [dict(one.properties)["index"] for one in (fits, apart)] == ["1", "2"]
    assert {dict(one.properties)["of"] for one in (fits, apart)} == {"2"}  # what is apart is not missing
    assert apart.topic == "edge/acme/suzhou/press-01/apart"
    jsonschema.validate(said(apart), message_schema("readings"))
    [alone] = said(apart)["readings"]
    assert (alone["tag"], said(apart)["seq"]) == ("t1", 4)
    assert alone["quality"] == "good" or alone["value"] is None


def test_uncertain_is_said_beside_or_apart(stage: Stage) -> None:
    """An uncertain value is sent with its quality beside it, or apart where that is not enough."""
    stage.add()
    reading = Reading("t1", 5.0, NOW, "uncertain", code="UncertainSensorNotAccurate")
    [message] = stage.begin(config=UMH)(record([reading]))
    assert dict(message.properties)["quality"] == "uncertain"
    [message] = stage.begin(config=UmhConfig(type="umh", uncertain="apart"))(record([reading]))
    assert message.topic.endswith("/apart")


@pytest.mark.parametrize(
    ("tag", "levels"),
    [
        ("DB1.DW20", "DB1/DW20"),
        ("Motor/Speed", "Motor/Speed"),
        ("oil temperature (°C)", "oil_temperature___C_"),
        ("_hidden", "_hidden"),
        ("a..b", "a/b"),
        ("油温", "oil_temperature"),
    ],
)
def test_names_of_tags_become_levels(stage: Stage, tag: str, levels: str) -> None:
    """Dots and slashes make a virtual path, other characters `_`, and `names:` says what shall stand there."""
    stage.add(location=("_acme", "su zhou"))
    config = UmhConfig(type="umh", names={"油温": "oil_temperature"})
    [message] = stage.begin(config=config)(record([good(tag)]))
    assert message.topic == f"umh/v1/acme/su_zhou/press-01/_raw/{levels}"
    take(message.topic, message.payload)


def test_everything_around_is_as_with_json(stage: Stage) -> None:
    """Status, catalogue and gaps are the same, whatever the payload."""
    stage.add()
    dialogue = stage.begin(config=UMH)
    assert [message.topic for message in stage.online(dialogue)] == [
        "edge/agents/gw-01/status", "edge/acme/suzhou/press-01/status", "edge/acme/suzhou/press-01/tags",
    ]  # fmt: skip
    gap = Gap(id="01G", kind="dropped", device="press-01", from_ts=1, to_ts=2, reason="full")
    [message] = dialogue(Record(row=1, stream=Stream("01KB2X", "press-01"), seq=0, ts=NOW, content=gap))
    assert message.topic == "edge/acme/suzhou/press-01/gaps"
    jsonschema.validate(said(message), message_schema("gap"))


def test_records_of_a_removed_device_keep_their_place(stage: Stage) -> None:
    """What waited while its device was taken out of the configuration goes where it would have gone."""
    stage.add()
    stage.begin(config=UMH)
    stage.image.remove("press-01")
    [message] = stage.begin(config=UMH)(record([good("oil")], historical=True))
    assert message.topic == "umh/v1/acme/suzhou/press-01/_raw/oil"


@given(
    readings=st.lists(
        st.builds(
            Reading,
            tag=st.text(
                st.characters(min_codepoint=32, exclude_characters="\x7f./", codec="utf-8"),
                min_size=1,
                max_size=20,
            ),
            value=st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=400),
            ts=st.integers(0, 2**42),
            quality=st.sampled_from(["good", "uncertain", "bad"]),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_every_reading_is_said_once(readings: list[Reading]) -> None:
    """Whatever is read: UMH takes what it is sent, the rest is apart, nothing is bad there and good here."""
    stage = Stage()
    stage.add(tags=[TagInfo(tag=reading.tag) for reading in readings])
    messages = stage.begin(config=UMH)(record(readings))
    sent = [take(one.topic, one.payload) for one in messages if one.topic.startswith("umh/")]
    apart = [one for message in messages if message.topic.endswith("/apart") for one in said(message)["readings"]]
    assert len(sent) + len(apart) == len(readings)
    assert {uns.timestamp_ms for uns in sent} <= {reading.ts for reading in readings if reading.quality != "bad"}
    assert all(one["value"] is None for one in apart if one["quality"] == "bad")


def test_a_tag_that_is_found_without_a_level_gets_one(stage: Stage) -> None:
    """`...` has no character that UMH takes; its topic must not end with a slash."""
    stage.add()
    dialogue = stage.begin(config=UmhConfig(type="umh"))
    stage.online(dialogue)
    stage.image.extend("press-01", [TagInfo("...")])
    [message] = dialogue(record([good("...", 1)]))
    assert re.fullmatch("_[0-9a-f]{8}", take(message.topic, message.payload).name)
