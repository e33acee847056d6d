"""NaN and infinity, alone or at any depth of an array or structure: null and bad in every payload, the rest exact.

The rule lives in the normalizer; the encoders hold it also for readings that never went through one. What they say is
read back by parsers that are not ours (orjson takes no `NaN`), Sparkplug's by the strict decoder of the monitor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from line_protocol_parser import parse_line  # type: ignore[import-untyped]

from agent.consumer.sparkplug.wire import decode
from agent.core.flow import Answer, Batch, Limits, Message, Online, Opening, Reading, Record, Sample, Stream
from agent.core.ports import RouteInfo
from agent.encoders.influx import InfluxConfig
from agent.encoders.json import JsonConfig
from agent.encoders.sparkplug import SparkplugConfig
from agent.encoders.template import TemplateConfig
from agent.encoders.umh import UmhConfig
from agent.encoders.value import ValueConfig
from agent.normalize import compile_normalizer
from agent.settings.publishers import EncoderConfig
from agent.settings.tags import TagBase
from agent.testing.clock import ManualClock
from tests.unit.encoders.conftest import NOW, Stage, record

# no subnormal ones: the strtod of the parser of lines refuses them
numbers = (
    st.floats(allow_subnormal=False)
    | st.integers(-(2**63), 2**64 - 1)
    | st.sampled_from([math.nan, math.inf, -math.inf, 1.5])
)
nested = st.recursive(
    numbers | st.booleans() | st.sampled_from(["null", "NaN", "温度", ""]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "null"]), inner, max_size=2),
    max_leaves=6,
)
Said = dict[str, tuple[Any, bool]]  #: by tag: value, and whether it is bad


def broken(value: object) -> bool:
    """Whether there is a number in it that JSON does not know."""
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, dict):
        return any(map(broken, value.values()))
    return isinstance(value, list) and any(map(broken, value))


def of_json(messages: Sequence[Message]) -> Said:
    return {
        one["tag"]: (one["value"], one["quality"] == "bad")
        for message in messages
        for one in orjson.loads(message.payload)["readings"]
    }


def of_umh(messages: Sequence[Message]) -> Said:
    fit = [message for message in messages if message.topic.startswith("umh/")]
    said = {one.topic.rpartition("/")[2]: (orjson.loads(one.payload)["value"], False) for one in fit}
    return said | of_json([message for message in messages if message not in fit])


def of_value(messages: Sequence[Message]) -> Said:
    said = [orjson.loads(message.payload) for message in messages]
    return {one["tag"]: (one["value"], one["quality"] == "bad") for one in said}


def of_influx(messages: Sequence[Message]) -> Said:
    lines = [line for message in messages for line in message.payload.decode().split("\n")]
    said: Said = {}
    for point in map(parse_line, lines):
        for name, value in point["fields"].items():
            if point["tags"]["quality"] == "bad":
                said[name.removesuffix(".code")] = None, value == "BadOutOfRange"
            else:
                said[name] = value, False
    return said


def of_sparkplug(messages: Sequence[Message]) -> Said:
    birth, data = [decode(message.payload) for message in messages if "/D" in message.topic][-2:]
    names = {metric.alias: metric.name for metric in birth.metrics}
    said = {}
    for metric in data.metrics:
        quality = metric.property("Quality")
        bad = quality is not None and quality.value == 0
        assert metric.is_null is bad
        said[str(names[metric.alias])] = metric.value, bad
    return said


ENCODERS: dict[str, tuple[EncoderConfig, Callable[[Sequence[Message]], Said]]] = {
    "json": (JsonConfig(), of_json),
    "umh": (UmhConfig(type="umh"), of_umh),
    "value": (ValueConfig(type="value"), of_value),
    "influx": (InfluxConfig(type="influx"), of_influx),
    "template": (
        TemplateConfig(
            type="template", message={"readings": "{readings}"},
            reading={"tag": "{tag}", "value": "{value}", "quality": "{quality}"},
        ),
        of_json,
    ),
    "sparkplug_b": (SparkplugConfig(type="sparkplug_b", group="plant"), of_sparkplug),
}  # fmt: skip


def messages_of(config: EncoderConfig, readings: list[Reading]) -> Sequence[Message]:
    stage = Stage()
    stage.add(tags=[reading.tag for reading in readings])
    stage.image.set_state("press-01", "online", now=NOW)
    dialogue = config.build(RouteInfo(name="plant", agent="gw-01")).begin(stage.image, stage.memo)
    dialogue(Online(ts=NOW, limits=Limits(protocol="5", window=20), streams=()))
    born = dialogue(Opening(ts=NOW, streams=[Stream("01KB2X", "press-01")]))
    return [*born, *dialogue(record(readings))]


def normalized(values: list[Any]) -> list[Reading]:
    """As the agent makes them of what a device said."""
    tags = {f"t{at}": TagBase() for at in range(len(values))}
    normalize = compile_normalizer("press-01", tags, cat=lambda: 1, clock=ManualClock(NOW))
    batch = normalize(Sample(ts=NOW, answers=[Answer(tags=tuple(range(len(values))), values=values, ts=NOW)]))
    assert batch is not None
    assert batch.bad == sum(map(broken, values))
    return batch.readings


def raw(values: list[Any]) -> list[Reading]:
    """As no normalizer would let them pass."""
    return [Reading(f"t{at}", value, NOW, "good") for at, value in enumerate(values)]


@pytest.mark.parametrize("made", [normalized, raw])
@pytest.mark.parametrize("encoder", ENCODERS)
@given(values=st.lists(nested, min_size=1, max_size=6))
def test_nothing_that_is_no_number_passes_as_good(
    encoder: str, made: Callable[[list[Any]], list[Reading]], values: list[Any]
) -> None:
    """Every payload is strict; each tag is there once, bad and null exactly where something in it is not finite."""
    config, read = ENCODERS[encoder]
    said = read(messages_of(config, made(values)))
    assert said.keys() == {f"t{at}" for at in range(len(values))}
    for at, value in enumerate(values):
        told, bad = said[f"t{at}"]
        assert bad is broken(value)
        if bad:
            assert told is None
        elif encoder not in ("influx", "sparkplug_b"):  # these have texts for what is nested
            assert told == value


def test_the_reason_says_which_element() -> None:
    """One NaN makes the array bad as a whole, and a technician finds it."""
    [array, structure] = normalized([[1.5, 2.5, math.nan], {"x": [1, math.inf]}])
    assert (array.quality, array.value, array.code) == ("bad", None, "BadOutOfRange")
    assert array.reason == "element 2: NaN is not a number to publish"
    assert structure.reason == "x: element 1: Infinity is not a number to publish"


def test_a_null_in_a_text_is_no_null() -> None:
    """What looks like one in a text, a name or a structure costs nobody his value."""
    values: list[Any] = ["null", {"null": "null"}, 1.5]
    batch = Batch(device="press-01", ts=NOW, readings=raw(values))
    stage = Stage()
    stage.add(tags=["t0", "t1", "t2"])
    messages = stage.begin()(Record(1, Stream("E", "press-01", 2), 1, NOW, batch))
    assert [value for value, _ in of_json(messages).values()] == values
