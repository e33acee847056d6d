"""Decoders nobody here wrote read what we send: npm sparkplug-payload and pysparkplug, each installed by itself.

Their limits are told here, too: sparkplug-payload knows no arrays, reads UInt32 from long_value only and remembers no
types from births; pysparkplug refuses negative Int8 and Int16 in 32 bits, which is how Tahu writes them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from agent.core.flow import Batch, Limits, Message, Online, Opening, Reading, Record, Stream
from agent.core.image import AgentInfo, Image, TagInfo
from agent.core.ports import Dialogue, RouteInfo
from agent.encoders.sparkplug import SparkplugConfig
from tests.integration.sparkplug.conftest import PRESS, VALUES
from tests.interop.foreign import venv
from tests.unit.encoders.conftest import DictMemo

T0 = 1_795_330_800_000
SCALARS = {tag: value for tag, value in VALUES.items() if tag != "profile"}

DECODE_JS = """
const decode = require('sparkplug-payload').get('spBv1.0').decodePayload;
const text = value => value === null || value === undefined ? null : value.toString();
for (const line of require('fs').readFileSync(0, 'utf8').trim().split('\\n')) {
  const payload = decode(Buffer.from(line, 'hex'));
  console.log(JSON.stringify({seq: text(payload.seq), metrics: payload.metrics.map(metric => ({
    name: metric.name ?? null, alias: text(metric.alias), type: metric.type ?? null, value: text(metric.value),
    historical: metric.isHistorical ?? false, properties: metric.properties ?? null}))}));
}
"""
DECODE_PY = """
import json, sys, pysparkplug
for line in sys.stdin:
    kind, raw = line.split()
    payload = getattr(pysparkplug, kind).decode(bytes.fromhex(raw))
    print(json.dumps({"seq": payload.seq, "metrics": [
        {"name": one.name, "alias": one.alias, "type": one.datatype.name, "value": str(one.value),
         "historical": one.is_historical, "null": one.is_null} for one in payload.metrics]}))
"""


def need(*command: str, cwd: Path) -> None:
    """Run it; where it cannot be done the test is left out at a desk, and fails where CI=true."""
    try:
        subprocess.run(command, cwd=cwd, check=True, capture_output=True, timeout=90)
    except (OSError, subprocess.SubprocessError) as error:
        reason = f"{command[0]} did not install a decoder: {error}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="module")
def npm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sparkplug-payload."""
    folder = tmp_path_factory.mktemp("npm")
    need("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "sparkplug-payload@1.0.3", cwd=folder)
    return folder


@pytest.fixture(scope="module")
def pysparkplug() -> str:
    """A Python of its own with pysparkplug, which wants another paho than we do."""
    return venv("pysparkplug==0.6.1")


def _opened(tags: tuple[TagInfo, ...], readings: list[Reading], **config: Any) -> tuple[Dialogue, list[Message]]:
    """A dialogue, and NBIRTH and DBIRTH it has said."""
    image = Image(AgentInfo("gw-01", "1.2.3", "h"))
    image.add("press", location=["hall"], tags=tags, cat=1, now=T0)
    image.set_state("press", "online", now=T0)
    image.update(Batch(device="press", ts=T0, readings=readings))
    encoder = SparkplugConfig.model_validate({"type": "sparkplug_b", "group": "plant", **config}).build(
        RouteInfo(name="plant", agent="gw-01")
    )
    dialogue = encoder.begin(image, DictMemo())
    dialogue(Online(ts=T0, limits=Limits(protocol="5", window=20), streams=()))
    return dialogue, [*dialogue(Opening(ts=T0, streams=()))]


def _read(values: Mapping[str, Any]) -> list[Reading]:
    return [Reading(tag=tag, value=value, ts=T0, quality="good") for tag, value in values.items()]


def births(tags: tuple[TagInfo, ...], values: Mapping[str, Any], **config: Any) -> list[Message]:
    """NBIRTH and DBIRTH."""
    return _opened(tags, _read(values), **config)[1]


def messages(tags: tuple[TagInfo, ...], values: Mapping[str, Any], **config: Any) -> list[Message]:
    """NBIRTH, DBIRTH, live DDATA with a bad value, historical DDATA, live DDATA with what is good again and a label."""
    readings = _read(values)
    dialogue, said = _opened(tags, readings, **config)
    bad = Reading(tag="temperature", value=None, ts=T0, quality="bad", code="BadSensorFailure")
    live = Batch(device="press", ts=T0, readings=[*readings, bad], bad=1)
    late = Batch(device="press", ts=T0, readings=readings)
    labelled = Reading(tag="delta", value=12, ts=T0, quality="good", label="läuft")
    recovered = structs.replace(bad, value=1.5, quality="good", code=None)
    again = Batch(device="press", ts=T0, readings=[recovered, labelled])
    for seq, (content, historical) in enumerate(((live, False), (late, True), (again, False)), 1):
        stream = Stream("01KB2X", "press", 3)
        said += dialogue(Record(row=seq, stream=stream, seq=seq, ts=T0, content=content, historical=historical))
    assert [message.topic.split("/")[2] for message in said] == ["NBIRTH", "DBIRTH", "DDATA", "DDATA", "DDATA"]
    return said


def by_node(npm: Path, said: list[Message]) -> list[dict[str, Any]]:
    lines = "\n".join(message.payload.hex() for message in said)
    node = shutil.which("node") or "node"
    run = subprocess.run(
        [node, "-e", DECODE_JS], cwd=npm, input=lines, text=True, check=True, capture_output=True, timeout=60
    )
    return [json.loads(line) for line in run.stdout.splitlines()]


def spelled(value: object) -> str:
    """As JavaScript spells it."""
    if isinstance(value, bool):
        return str(value).lower()
    return "1795330800123" if isinstance(value, str) and value.endswith("Z") else str(value)


def test_sparkplug_payload_reads_births(npm: Path):
    """Names, types, values, properties; exact to the last digit of 64 bits."""
    birth = by_node(npm, messages(PRESS, VALUES, uint32="long"))[1]
    metrics = {metric["name"]: metric for metric in birth["metrics"]}
    assert birth["seq"] == "1"
    assert {tag: metrics[tag]["value"] for tag in SCALARS} == {tag: spelled(value) for tag, value in SCALARS.items()}
    assert metrics["total"]["type"] == "UInt64"
    assert metrics["temperature"]["properties"]["engUnit"] == {"type": "String", "value": "Cel"}


def test_sparkplug_payload_reads_data(npm: Path):
    """With types in data it understands all of it; quality and history are seen."""
    said = messages(PRESS, VALUES, uint32="long", datatypes="always", aliases=False)
    live, late, again = by_node(npm, said)[2:]
    values = {metric["name"]: metric["value"] for metric in late["metrics"]}
    assert {tag: values[tag] for tag in SCALARS} == {tag: spelled(value) for tag, value in SCALARS.items()}
    assert all(metric["historical"] for metric in late["metrics"])
    assert live["metrics"][-1]["properties"]["Quality"] == {"type": "Int32", "value": 0}
    assert not any(metric["historical"] for metric in live["metrics"])
    properties = [metric["properties"] for metric in again["metrics"]]
    assert properties == [
        {"Quality": {"type": "Int32", "value": 192}, "Code": {"type": "String", "value": None}},
        {"Label": {"type": "String", "value": "läuft"}},
    ]


def test_sparkplug_payload_reads_uint32_only_from_long(npm: Path):
    """What the option `uint32` is for."""
    birth = by_node(npm, messages(PRESS, VALUES))[1]
    assert next(metric for metric in birth["metrics"] if metric["name"] == "count")["value"] is None


def test_pysparkplug_reads_births_and_data(pysparkplug: str):
    """Every scalar type, by name in births and by alias in data."""
    tags = tuple(info for info in PRESS if info.tag != "profile")
    values: dict[str, Any] = {**SCALARS, "delta": 12}
    said = messages(tags, values, datatypes="always")
    kinds = ("NBirth", "DBirth", "DData", "DData", "DData")
    lines = "\n".join(f"{kind} {message.payload.hex()}" for kind, message in zip(kinds, said, strict=True))
    run = subprocess.run(
        [pysparkplug, "-c", DECODE_PY], input=lines, text=True, check=True, capture_output=True, timeout=60
    )
    node, birth, live, late, again = [json.loads(line) for line in run.stdout.splitlines()]
    assert [one["seq"] for one in (node, birth, live, late, again)] == [0, 1, 2, 3, 4]
    assert [one["value"] for one in again["metrics"]] == ["1.5", "12"]
    assert node["metrics"][0] == {
        "name": "bdSeq", "alias": None, "type": "INT64", "value": "0", "historical": False, "null": False,
    }  # fmt: skip
    metrics = {metric["name"]: metric for metric in birth["metrics"]}
    names = {metric["alias"]: name for name, metric in metrics.items()}
    expected = {tag: str(value) for tag, value in values.items() if tag != "made"}
    assert {tag: metrics[tag]["value"] for tag in expected} == expected
    assert metrics["made"]["value"].startswith("2026-11-22 07:00:00.123")
    told = {names[metric["alias"]]: metric for metric in late["metrics"]}
    assert {tag: told[tag]["value"] for tag in expected} == expected
    assert all(metric["historical"] for metric in late["metrics"])
    assert live["metrics"][-1]["null"]


ARRAYS: dict[str, list[Any]] = {
    "int8[]": [-23, 123],
    "int16[]": [-30000, 30000],
    "int32[]": [-1, 315338746],
    "int64[]": [-(2**63), 2**63 - 1],
    "uint8[]": [23, 250],
    "uint16[]": [30, 52360],
    "uint32[]": [52, 2**32 - 1],
    "uint64[]": [52, 2**64 - 1],
    "float32[]": [1.5, -89.25],
    "float64[]": [12.34, -1e300],
    "bool[]": [False, False, True, True, False, True, False, False, True, True, False, True],
    "string[]": ["ABC", "hello", "温度"],
    "datetime[]": ["2026-11-22T07:00:00.123Z"],
}


def test_pysparkplug_reads_arrays(pysparkplug: str):
    """Packed, little-endian, bits from the most significant one on: the published examples say otherwise."""
    tags = tuple(TagInfo(name, name) for name in ARRAYS)
    birth = births(tags, ARRAYS)[1]
    run = subprocess.run(
        [pysparkplug, "-c", DECODE_PY], input=f"DBirth {birth.payload.hex()}", text=True, check=True,
        capture_output=True, timeout=60,
    )  # fmt: skip
    metrics = {metric["name"]: metric for metric in json.loads(run.stdout)["metrics"]}
    for name, values in ARRAYS.items():
        kind = name.removesuffix("[]").upper().replace("BOOL", "BOOLEAN").replace("FLOAT64", "DOUBLE")
        assert metrics[name]["type"] == kind.replace("FLOAT32", "FLOAT") + "_ARRAY"
        if name == "datetime[]":
            assert "datetime.datetime(2026, 11, 22, 7, 0, 0, 123000" in metrics[name]["value"]
        else:
            assert metrics[name]["value"] == str(tuple(values))
