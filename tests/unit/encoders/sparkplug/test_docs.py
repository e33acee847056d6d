"""docs/sparkplug.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from agent.consumer.sparkplug.statements import STATEMENTS
from agent.consumer.sparkplug.unchecked import CHECKED, UNCHECKED
from agent.consumer.sparkplug.wire import decode
from agent.core.flow import Batch, Message, Offline, Reading
from agent.core.image import TagInfo
from agent.encoders.sparkplug import SparkplugConfig
from agent.encoders.sparkplug.datatypes import DataType
from tests.unit.encoders.sparkplug.test_dialogue import NOW, Scene, bad, good

TEXT = (Path(__file__).resolve().parents[4] / "docs" / "sparkplug.md").read_text(encoding="utf-8")


def spelled(message: Message) -> str:
    """A message for people: topic, numbers, one line per metric."""
    payload = decode(message.payload)
    lines = [f"{message.topic}   QoS {message.qos}   seq {'-' if payload.seq is None else payload.seq}"]
    for one in payload.metrics:
        words = [one.name or "", f"alias {one.alias}" if one.alias else ""]
        words.append(DataType(one.datatype).name if one.datatype else "")
        words += ["null" if one.is_null else f"{one.value_field} {one.value}", f"at {one.timestamp}"]
        words += ["historical"] if one.is_historical else []
        words += [
            f"{key}={'null' if value.is_null else value.value}"
            for key, value in zip(one.keys, one.properties, strict=True)
        ]
        lines.append("  " + "  ".join(word for word in words if word))
    return "\n".join(lines)


def session() -> str:
    """A short life of one edge node."""
    scene = Scene()
    scene.add(
        "press", TagInfo("temperature", "float32", "Cel", "oil"), TagInfo("count", "uint32"), TagInfo("mode", "uint8")
    )
    running = Reading(tag="mode", value=1, ts=NOW - 20, quality="good", label="running")
    scene.image.update(Batch(device="press", ts=NOW, readings=[good(61.5, "temperature", NOW - 20), running]))
    scene.memo.clear()
    messages = [scene.dialogue.connecting(), *scene.open()]
    scene.now += 1000
    messages += scene.record(good(62.25, "temperature", NOW + 990), bad("count", NOW + 990))
    stopped = Reading(tag="mode", value=0, ts=NOW + 991, quality="good", label="stopped")
    messages += scene.record(good(8, "count", NOW + 991), stopped)
    messages += scene.record(Reading(tag="count", value=7, ts=NOW - 60_000, quality="good"), historical=True)
    scene.image.set_state("press", "offline", now=NOW, reason="cable")
    messages += scene.changed()
    messages += scene.dialogue(Offline(ts=NOW, streams=()))
    return "\n".join(spelled(message) for message in messages)


def test_the_session_in_the_docs_is_a_real_one():
    """What stands there is what the encoder says."""
    told = re.search(r"^```text\n(.*?)\n```", TEXT, re.MULTILINE | re.DOTALL)
    assert told is not None
    assert told[1] == session()


def test_what_is_not_judged_is_listed_with_its_reason():
    """The table names the same statements and reasons as the monitor, and the figures are right."""
    rows = re.findall(r"^\| (`[a-z].*`) \| (.*) \|$", TEXT[TEXT.index("| not checked") :], re.MULTILINE)
    listed = {statement: reason for ids, reason in rows for statement in re.findall(r"`([^`]+)`", ids)}
    assert listed == UNCHECKED
    assert f"{len(STATEMENTS)} statements\nbind an edge node" in TEXT
    assert f"{len(CHECKED)} of them are checked" in TEXT
    assert f"The other {len(UNCHECKED)}, and why" in TEXT


def test_every_option_is_explained():
    """Each key stands in the table."""
    for key in SparkplugConfig.model_fields:
        assert f"| `{key}` |" in TEXT, key


def test_every_type_is_in_the_table():
    """Each data type the encoder may use is named."""
    for kind in DataType:
        name = kind.name.removesuffix("_ARRAY").lower()
        assert re.search(rf"\b{name}\b", TEXT, re.IGNORECASE), kind
