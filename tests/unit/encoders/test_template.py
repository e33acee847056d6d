"""The user's own shape: what it makes, and what is wrong with it before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from agent.config.loader import load
from agent.core.flow import Reading
from agent.core.image import TagInfo
from agent.encoders.template import TemplateConfig
from agent.encoders.template.variables import GETTERS, READING_WORDS, RECORD_WORDS, iso
from tests.unit.encoders.conftest import NOW, Stage, good, record, said

EXAMPLES = Path(__file__).parents[3] / "configs" / "examples"
#: What these products document of their messages.
KEPWARE = {
    "type": "object",
    "required": ["timestamp", "values"],
    "additionalProperties": False,
    "properties": {
        "timestamp": {"type": "integer"},
        "values": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "v", "q", "t"],
                "additionalProperties": False,
                "properties": {"id": {"type": "string"}, "v": {}, "q": {"type": "boolean"}, "t": {"type": "integer"}},
            },
        },
    },
}
LITMUS = {
    "type": "object",
    "required": ["success", "datatype", "timestamp", "registerId", "value", "deviceID", "tagName", "deviceName"],
    "additionalProperties": False,
    "properties": {
        "success": {"type": "boolean"},
        "timestamp": {"type": "integer"},
        "value": {},
        "metadata": {"type": "object"},
        "description": {"type": ["string", "null"]},
        **{name: {"type": "string"} for name in ("datatype", "registerId", "deviceID", "tagName", "deviceName")},
    },
}


@pytest.mark.parametrize(
    ("ts", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"),
        (-11_644_473_600_000, "1601-01-01T00:00:00.000Z"), (10**17, None), (-(10**17), None), (10**22, None),
    ],
)  # fmt: skip
def test_no_time_of_a_device_stops_a_record(stage: Stage, ts: int, text: str | None) -> None:
    """A clock beyond what RFC 3339 can say makes a null, and no error where nobody can help it any more."""
    stage.add()
    config = template(reading={"n": "{tag}", "t": "{ts_iso}", "ms": "{ts}"})
    [message] = stage.begin(config=config)(record([Reading("t1", 1, ts, "good")]))
    assert said(message) == {"n": "t1", "t": text, "ms": ts}


def template(**keys: Any) -> TemplateConfig:
    return TemplateConfig.model_validate({"type": "template", **keys})


def shipped(name: str) -> TemplateConfig:
    encoder = load(EXAMPLES / f"{name}.yaml", {}).config.publishers["plant"].encoder
    assert isinstance(encoder, TemplateConfig)
    return encoder


def bad(tag: str, value: object = None) -> Reading:
    return Reading(tag, value, NOW, "bad", code="BadTimeout")


def test_kepware(stage: Stage) -> None:
    """The shipped example says a record as Kepware's gateway does."""
    stage.add()
    [message] = stage.begin(config=shipped("kepware"))(record([good("油温", 61.2), bad("running", 5)]))
    jsonschema.validate(said(message), KEPWARE)
    assert message.topic == "iotgateway"
    assert said(message) == {
        "timestamp": NOW + 123,
        "values": [
            {"id": "press-01.油温", "v": 61.2, "q": True, "t": NOW},
            {"id": "press-01.running", "v": None, "q": False, "t": NOW},
        ],
    }


def test_litmus(stage: Stage) -> None:
    """The shipped example says each reading as Litmus Edge does."""
    stage.add(tags=[TagInfo(tag="oil", type="float32", description="油温"), TagInfo(tag="running", type="bool")])
    one, two = stage.begin(config=shipped("litmus"))(record([good("oil", 61.2, unit="Cel"), bad("running")]))
    for message in (one, two):
        jsonschema.validate(said(message), LITMUS)
    assert one.topic == "devicehub/press-01/oil"
    assert (said(one)["value"], said(one)["datatype"], said(one)["description"]) == (61.2, "float32", "油温")
    assert (said(two)["success"], said(two)["value"]) == (False, None)
    assert dict(two.properties)["index"] == "2"


def test_every_variable_has_a_value(stage: Stage) -> None:
    """What may be named can be made, in a record and in a reading."""
    stage.add(location=("acme", "suzhou", "stamping"), tags=[TagInfo(tag="t1", type="int16", description="d")])
    config = template(
        message={"readings": "{readings}", **{word: f"{{{word}}}" for word in RECORD_WORDS}},
        reading={word: f"{{{word}}}" for word in READING_WORDS},
    )
    reading = Reading(
        "t1", 5, NOW, "uncertain", src=NOW - 1, unit="Cel", label="x", code="UncertainSubNormal", status=0x40950000,
        reason="r", why="heartbeat",
    )  # fmt: skip
    [message] = stage.begin(config=config)(record([reading], seq=9, cat=3, historical=True, snapshot=True))
    content = said(message)
    [inner] = content.pop("readings")
    assert content == {
        "agent": "gw-01", "device": "press-01", "location": "acme/suzhou/stamping", "root": "edge", "epoch": "01KB2X",
        "seq": 9, "cat": 3, "snapshot": True, "historical": True, "count": 1, "part": 1, "parts": 1,
        "enterprise": "acme", "site": "suzhou", "area": "stamping", "line": None, "cell": None,
        "record_ts": NOW + 123, "record_ts_iso": "2025-11-21T21:20:00.123Z", "record_ts_s": (NOW + 123) / 1000,
    }  # fmt: skip
    assert {key: value for key, value in inner.items() if key not in content} == {
        "tag": "t1", "value": 5, "ts": NOW, "quality": "uncertain", "src": NOW - 1, "unit": "Cel", "label": "x",
        "code": "UncertainSubNormal", "reason": "r", "why": "heartbeat", "ts_iso": iso(NOW), "ts_s": NOW / 1000,
        "good": False, "usable": True, "opc_quality": 64, "status": 0x40950000, "type": "int16", "description": "d",
    }  # fmt: skip
    assert set(GETTERS) == {*RECORD_WORDS, *READING_WORDS, "readings"}


def test_texts_and_structures(stage: Stage) -> None:
    """Variables alone keep their type, within text they are written; keys, lists and constants work, too."""
    stage.add()
    shape = {"{tag}": ["{value}", "is {value} {unit}", {"deep": [1, True, None, "{{literal}}"]}, "plain"]}
    [message] = stage.begin(config=template(reading=shape, topic="x/{device}"))(record([good("油温", 5, unit="Cel")]))
    assert said(message) == {"油温": [5, "is 5 Cel", {"deep": [1, True, None, "{literal}"]}, "plain"]}


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_no_bad_value_passes(stage: Stage, value: float) -> None:
    """A shape without a word on quality still gets null for what is bad or not finite."""
    stage.add()
    config = template(reading={"tag": "{tag}", "value": "{value}"})
    for reading in (good("t1", value), bad("t1", 5)):
        [message] = stage.begin(config=config)(record([reading]))
        assert said(message)["value"] is None


def test_large_records_are_cut(stage: Stage) -> None:
    """As many messages as the limit asks for, all readings in order, `part` of `parts`; a giant value is bad."""
    stage.add()
    config = template(
        message={"part": "{part}", "parts": "{parts}", "n": "{count}", "r": "{readings}"},
        reading={"t": "{tag}", "v": "{value}", "c": "{code}"},
    )
    readings = [good(f"tag-{n}", n) for n in range(100)] + [good("long", "x" * 5000)]
    messages = stage.begin(config=config, max_message_bytes=1500)(record(readings))
    contents = [said(message) for message in messages]
    assert [content["part"] for content in contents] == list(range(1, len(messages) + 1))
    assert {content["parts"] for content in contents} == {len(messages)}
    found = [reading for content in contents for reading in content["r"]]
    assert [reading["t"] for reading in found] == [reading.tag for reading in readings]
    assert (found[-1]["v"], found[-1]["c"]) == (None, "BadEncodingLimitsExceeded")
    assert all(len(message.payload) < 1500 for message in messages)
    single = template(reading={"t": "{tag}", "v": "{value}", "c": "{code}"})
    [message] = stage.begin(config=single, max_message_bytes=1500)(record([good("long", "x" * 5000)]))
    assert said(message) == {"t": "long", "v": None, "c": "BadEncodingLimitsExceeded"}


@pytest.mark.parametrize(
    ("keys", "place", "word"),
    [
        ({"reading": {"v": "{valu}"}}, ("reading", "v"), "valu"),
        ({"reading": {"a": [1, "{value.__class__}"]}}, ("reading", "a", 1), "value.__class__"),
        ({"reading": {"a": "{value!r}"}}, ("reading", "a"), "not known"),
        ({"reading": {"a": "{value:>10}"}}, ("reading", "a"), "not known"),
        ({"reading": {"a": "{0}"}}, ("reading", "a"), "not known"),
        ({"reading": {"a": "{"}}, ("reading", "a"), "template"),
        ({"reading": {"a": "{readings}"}}, ("reading", "a"), "readings"),
        ({"reading": {"{nope}": 1}}, ("reading", "{nope}"), "nope"),
        ({"reading": {"a": object()}}, ("reading", "a"), "cannot stand"),
        ({"reading": {"a": float("nan")}}, ("reading", "a"), "no number of JSON"),
        ({"reading": {"a": "{tag}"}, "message": {"r": "x {readings}"}}, ("message", "r"), "alone"),
        ({"reading": {"a": "{tag}"}, "message": {"t": "{tag}"}}, ("message", "t"), "tag"),
        ({"reading": {"a": "{tag}"}, "message": {"t": 1}}, ("message",), "exactly once"),
        ({"reading": {"a": "{tag}"}, "message": ["{readings}", "{readings}"]}, ("message",), "exactly once"),
        ({"reading": "{tag}", "message": "{readings}", "topic": "a/{tag}"}, (), "{tag}"),
        ({"reading": "{tag}", "topic": "a/{tga}"}, ("topic",), "tga"),
        ({"reading": "{tag}", "topic": "a/#"}, ("topic",), "no topic"),
    ],
)
def test_mistakes_are_found_at_their_place(keys: dict[str, Any], place: tuple[object, ...], word: str) -> None:
    """Before anything runs, with the path to what is wrong."""
    with pytest.raises(ValidationError) as caught:
        template(**keys)
    [error] = caught.value.errors()
    assert error["loc"] == place
    assert word in error["msg"]


def test_keys_are_texts_of_json(stage: Stage) -> None:
    """YAML takes more for a key than JSON does."""
    stage.add()
    config = template(reading={True: "{tag}", None: 1, 1.5: 2})
    [message] = stage.begin(config=config)(record([good("t1", 1.5)]))
    assert message.payload == b'{"true":"t1","null":1,"1.5":2}'


def test_a_name_that_is_found_replaces_no_other_key(stage: Stage) -> None:
    """A tag called as a key of the shape, which nobody could see beforehand, stands beside it."""
    stage.add()
    config = template(reading={"{tag}": "{value}", "q": "{quality}"})
    [one, other] = stage.begin(config=config)(record([good("q", 7), good("t1", 8)]))
    assert said(one) == {"q_": 7, "q": "good"}
    assert said(other) == {"t1": 8, "q": "good"}
