"""One topic per tag with its newest value."""

from __future__ import annotations

import json
import re

import jsonschema
import pytest
from structlog.testing import capture_logs

from agent.core.flow import DeviceChanged, Reading, Tick
from agent.core.image import Elsewhere, TagInfo
from agent.encoders.value import ValueConfig
from tests.support.messages import message_schema
from tests.unit.encoders.conftest import NOW, Stage, good, record, said

PRESS = "edge/acme/suzhou/press-01"
VALUE = ValueConfig(type="value")
PLAIN = ValueConfig(type="value", payload="plain")
_SCHEMA = message_schema("readings")
READING = {**_SCHEMA["$defs"]["Reading"], "$defs": _SCHEMA["$defs"]}


def test_a_reading_is_a_message(stage: Stage) -> None:
    """The payload is the reading of the published schema, its name unchanged; it stays retained."""
    stage.add(tags=("油温",))
    config = ValueConfig(type="value", names={"油温": "oil_temperature"})
    [message] = stage.begin(config=config)(record([good("油温", 61.2, unit="Cel")]))
    assert said(message) == {"tag": "油温", "value": 61.2, "ts": NOW, "quality": "good", "unit": "Cel"}
    jsonschema.validate(said(message), READING)
    assert (message.topic, message.retain, message.qos) == (f"{PRESS}/oil_temperature/value", True, 1)
    assert dict(message.properties) == {
        "agent": "gw-01", "device": "press-01", "epoch": "01KB2X", "seq": "1", "low": "1", "of": "1", "index": "1",
    }  # fmt: skip


def test_bad_replaces_what_is_retained(stage: Stage) -> None:
    """A bad reading has no value and is retained like a good one: who comes later does not see the old one."""
    stage.add()
    readings = [Reading("t1", 5.0, NOW, "bad", code="BadTimeout"), good("t2", float("nan"))]
    first, second = stage.begin(config=VALUE)(record(readings))
    assert (said(first)["value"], said(first)["quality"], first.retain) == (None, "bad", True)
    assert (said(second)["value"], said(second)["code"], second.retain) == (None, "BadOutOfRange", True)


def test_history_never_overwrites(stage: Stage) -> None:
    """What waited out an outage has a topic of its own and is never retained."""
    stage.add()
    for config in (VALUE, PLAIN):
        [message] = stage.begin(config=config)(record([good()], historical=True))
        assert (message.topic, message.retain) == (f"{PRESS}/t1/history", False)
        assert said(message)["ts"] == NOW  # never a bare value: history without its time would be a lie
        assert dict(message.properties)["historical"] == "true"


@pytest.mark.parametrize("value", [61.2, 0, True, "running", "null", [1, 2], {"x": 1.5}])
def test_plain_values(stage: Stage, value: object) -> None:
    """`payload: plain` is the value as JSON, so that null means bad and nothing else."""
    stage.add()
    [message] = stage.begin(config=PLAIN)(record([good(value=value)]))
    assert json.loads(message.payload) == value
    bad = Reading("t1", value, NOW, "bad", code="BadTimeout")
    assert stage.begin(config=PLAIN)(record([bad]))[0].payload == b"null"


def test_several_readings_of_a_tag_stay_in_order(stage: Stage) -> None:
    """Oldest first, so that the newest is what remains."""
    stage.add()
    messages = stage.begin(config=VALUE)(record([good("t1", 1), good("t2", 5), good("t1", 2)]))
    assert [said(message)["value"] for message in messages if message.topic == f"{PRESS}/t1/value"] == [1, 2]


def test_a_value_over_the_limit_costs_only_itself(stage: Stage) -> None:
    """It is said to be bad; the other readings of its record arrive."""
    stage.add()
    small, large = stage.begin(config=VALUE, max_message_bytes=2000)(record([good("t1"), good("t2", "x" * 3000)]))
    assert said(small)["quality"] == "good"
    assert (said(large)["value"], said(large)["code"]) == (None, "BadEncodingLimitsExceeded")
    assert len(large.payload) < 1500


def cleared(messages) -> list[str]:
    return [message.topic for message in messages if not message.payload and message.topic.endswith("/value")]


def test_values_of_what_is_gone_are_taken_back(stage: Stage) -> None:
    """A tag or device that is no longer configured leaves no value behind, also if that happened while stopped."""
    stage.add(tags=("t1", "t2"))
    stage.add("cnc-07", tags=("s1",))
    dialogue = stage.begin(config=VALUE)
    assert cleared(stage.online(dialogue)) == []
    stage.image.describe("press-01", {0: "uint16"})
    assert cleared(dialogue(DeviceChanged(device="press-01", ts=NOW))) == []
    stage.add(tags=("t2", "t3"), cat=2)
    assert cleared(dialogue(DeviceChanged(device="press-01", ts=NOW))) == [f"{PRESS}/t1/value"]
    assert cleared(dialogue(DeviceChanged(device="press-01", ts=NOW))) == []
    stage.image.remove("cnc-07")
    stopped = stage.begin(config=VALUE)
    expected = ["edge/acme/suzhou/cnc-07/s1/value", f"{PRESS}/t1/value"]
    assert sorted(cleared(stage.online(stopped))) == expected  # the session may end before it is all said: …
    again = stage.begin(config=VALUE)
    assert sorted(cleared(stage.online(again))) == expected  # … said again
    again(Tick(ts=NOW, streams=[]))
    assert cleared(stage.online(stage.begin(config=VALUE))) == []


def test_a_moved_device_takes_its_values_along(stage: Stage) -> None:
    """A new location is a new topic; nothing stays at the old one."""
    stage.add(tags=("t1",))
    dialogue = stage.begin(config=VALUE)
    stage.online(dialogue)
    stage.add(location=("acme", "wuxi"), tags=("t1",))
    assert cleared(dialogue(DeviceChanged(device="press-01", ts=NOW))) == [f"{PRESS}/t1/value"]
    assert dialogue(record([good()]))[0].topic == "edge/acme/wuxi/press-01/t1/value"


def test_a_tag_that_comes_back_is_not_taken_back(stage: Stage) -> None:
    """Removed and configured again: its value stays."""
    stage.add(tags=("t1", "t2"))
    stage.online(stage.begin(config=VALUE))
    stage.add(tags=("t2",), cat=2)
    dialogue = stage.begin(config=VALUE)
    assert cleared(stage.online(dialogue)) == [f"{PRESS}/t1/value"]
    stage.add(tags=("t1", "t2"), cat=3)
    assert cleared(dialogue(DeviceChanged(device="press-01", ts=NOW))) == []
    dialogue(Tick(ts=NOW, streams=[]))
    stage.add(tags=("t2",), cat=4)
    assert cleared(dialogue(DeviceChanged(device="press-01", ts=NOW))) == [f"{PRESS}/t1/value"]


def test_without_retain_nothing_stays(stage: Stage) -> None:
    """`retain: false`, or another encoder: what an earlier configuration left is taken back."""
    stage.add(tags=("t1",))
    stage.online(stage.begin(config=VALUE))
    config = ValueConfig(type="value", retain=False)
    dialogue = stage.begin(config=config)
    assert cleared(stage.online(dialogue)) == [f"{PRESS}/t1/value"]
    assert dialogue(record([good()]))[0].retain is False
    assert cleared(stage.online(stage.begin())) == [f"{PRESS}/t1/value"]


def test_values_of_a_device_another_shard_reads_stay(stage: Stage) -> None:
    """The other one writes the same topics; of those that have the agent's id in them nobody else does."""
    own = ValueConfig(type="value", topic="{root}/{agent}/{device}/{tag}/value")
    for config, left in (VALUE, []), (own, ["edge/gw-01/press-01/t1/value"]):
        stage.image.elsewhere = {}
        stage.add(tags=("t1",))
        dialogue = stage.begin(config=config)
        stage.online(dialogue)
        dialogue(Tick(ts=NOW, streams=[]))
        stage.image.elsewhere = {"press-01": Elsewhere("gw-02", ("acme", "suzhou"))}
        stage.image.remove("press-01")
        assert cleared(dialogue(DeviceChanged(device="press-01", ts=NOW))) == left


def test_a_broken_note_is_survived(stage: Stage) -> None:
    """A note nobody can read costs the memory of old topics, nothing else."""
    stage.add(tags=[TagInfo(tag="t1")])
    stage.memo["values.retained"] = b"\xff{"
    assert cleared(stage.online(stage.begin(config=VALUE))) == []


def test_tags_that_are_found_have_topics_of_their_own(stage: Stage) -> None:
    """Nobody could look at their names beforehand: 温度 and 压力 must not replace each other."""
    stage.add(tags=("oil temp",))
    dialogue = stage.begin(config=ValueConfig(type="value", payload="plain"))
    stage.online(dialogue)
    stage.image.extend("press-01", [TagInfo(name) for name in ("温度", "压力", "oil/temp", "oil temp 2")])
    with capture_logs() as logs:
        found = dialogue(record([good("压力", 1), good("oil/temp", 2), good("温度", 3), good("oil temp", 4)]))
    levels = {message.topic.split("/")[-2]: message.payload for message in found}
    marked = {level: payload for level, payload in levels.items() if level not in ("__", "oil_temp")}
    assert (levels["__"], levels["oil_temp"]) == (b"3", b"4")
    assert sorted(marked.values()) == [b"1", b"2"]
    assert all(re.fullmatch("(__|oil_temp)_[0-9a-f]{8}", level) for level in marked)
    warned = [log for log in logs if log["event"] == "encoder.topic_marked"]
    assert [(log["tags"], log["tag"]) for log in warned] == [(2, "压力")]
    again = stage.begin(config=ValueConfig(type="value", payload="plain"))  # other sessions and runs say the same
    stage.online(again)
    assert {m.topic for m in again(record([good("oil/temp", 2), good("压力", 1)]))} < {m.topic for m in found}
