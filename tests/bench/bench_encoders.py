"""CPU per reading of each encoder, on batches of 1,000 readings, in one run; others make the same messages beside them.

orjson and Python's json get the readings of the message as dicts that are ready, envelope and unit included: their best
case. pysparkplug wants an older paho than we do, so it is installed in a Python of its own under .venv/interop.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from typing import Any

import msgspec
import orjson
import pytest

from agent.core.flow import Batch, Limits, Online, Opening, Reading, Record, Stream
from agent.core.image import AgentInfo, Image, TagInfo
from agent.core.ports import Dialogue, Encoder, RouteInfo, Stateful
from agent.encoders.influx import InfluxConfig
from agent.encoders.json import JsonConfig
from agent.encoders.sparkplug import SparkplugConfig
from agent.encoders.template import TemplateConfig
from agent.encoders.umh import UmhConfig
from agent.encoders.value import ValueConfig
from agent.telemetry.logging import configure
from tests.interop.foreign import venv

READINGS = 1000
ROUNDS = 200
T0 = 1_763_760_000_000
LIMITS = Limits(protocol="5", window=20)

#: Type, value, and its text where it is an enumerated one.
MIXES: dict[str, list[tuple[str, Any, str | None]]] = {
    "double": [("float64", 61.25, None)],
    "mixed": [
        ("float64", 61.25, None), ("float32", 1.5, None), ("int16", -12, None), ("uint32", 70_000, None),
        ("bool", True, None),
    ],
    "labels": [("int16", 1, "running")],
}  # fmt: skip

#: Kepware's shape.
MESSAGE = {"timestamp": "{record_ts}", "values": "{readings}"}
READING = {"id": "{device}.{tag}", "v": "{value}", "q": "{usable}", "t": "{ts}"}

PYSPARKPLUG = """
import time, pysparkplug as p
metrics = [(1_763_760_000_000, f"tag_{n:04}", p.DataType.DOUBLE, 61.25, n) for n in range(1000)]
def once():
    made = tuple(p.Metric(timestamp=t, name=None, datatype=d, value=v, alias=a) for t, _, d, v, a in metrics)
    return p.DData(timestamp=1_763_760_000_000, seq=1, metrics=made).encode()
once()
best = 1e9
for _ in range(5):
    start = time.process_time()
    for _ in range(40):
        once()
    best = min(best, time.process_time() - start)
print(best / 40 / 1000 * 1e6)
"""


class _Memo(dict[str, bytes]):
    def put(self, key: str, value: bytes | None, /) -> None:
        self[key] = value or b""


def best(step: Callable[[], object]) -> float:
    """Microseconds of CPU per reading; best of five."""
    step()
    lowest = float("inf")
    for _ in range(5):
        start = time.process_time()
        for _ in range(ROUNDS // 5):
            step()
        lowest = min(lowest, time.process_time() - start)
    return lowest / (ROUNDS // 5) / READINGS * 1e6


def stage(mix: list[tuple[str, Any, str | None]]) -> tuple[Image, Batch]:
    """A device with 1,000 tags, read once."""
    image = Image(AgentInfo("gw-01", "0", "h"))
    kinds = [mix[n % len(mix)] for n in range(READINGS)]
    tags = [TagInfo(f"tag_{n:04}", kind, "Cel") for n, (kind, _, _) in enumerate(kinds)]
    image.add("press-01", location=["hall"], tags=tags, cat=1, now=T0)
    image.set_state("press-01", "online", now=T0)
    readings = [
        Reading(tag=f"tag_{n:04}", value=value, ts=T0, quality="good", unit="Cel", label=label)
        for n, (_, value, label) in enumerate(kinds)
    ]
    batch = Batch(device="press-01", ts=T0, readings=readings)
    image.update(batch)
    return image, batch


def opened(encoder: Encoder, image: Image) -> Dialogue:
    """A dialogue in the middle of a session."""
    dialogue = encoder.begin(image, _Memo())
    dialogue(Online(ts=T0, limits=LIMITS, streams=()))
    if isinstance(dialogue, Stateful):
        dialogue(Opening(ts=T0, streams=()))
    return dialogue


def main() -> None:
    """Print the table."""
    configure(level="error", style="console")
    info = RouteInfo(name="plant", agent="gw-01", max_message_bytes=1 << 20)
    encoders: dict[str, Encoder] = {
        "json": JsonConfig().build(info),
        "sparkplug_b": SparkplugConfig(type="sparkplug_b", group="plant").build(info),
        "sparkplug_b, names": SparkplugConfig(type="sparkplug_b", group="plant", aliases=False).build(info),
        "umh": UmhConfig(type="umh").build(info),
        "value": ValueConfig(type="value").build(info),
        "influx": InfluxConfig(type="influx").build(info),
        "template": TemplateConfig(type="template", message=MESSAGE, reading=READING).build(info),
    }
    for name, mix in MIXES.items():
        image, batch = stage(mix)
        for label, encoder in encoders.items():
            dialogue = opened(encoder, image)
            for historical in (False, True):
                record = Record(1, Stream("E", "press-01", 2), 1, T0, batch, historical)
                size = sum(len(message.payload) for message in dialogue(record)) / READINGS
                cost = best(lambda: dialogue(record))  # noqa: B023 - called at once
                lane = "history" if historical else "live"
                print(f"{label:20} {name:7} {lane:8} {cost:6.3f} us/reading  {size:5.1f} bytes/reading", flush=True)
    others(stage(MIXES["double"])[1])


def others(batch: Batch) -> None:
    """What others make of the same readings, and whether our targets are met beside them."""
    info = RouteInfo(name="plant", agent="gw-01", max_message_bytes=1 << 20)
    image, _ = stage(MIXES["double"])
    [message] = opened(JsonConfig().build(info), image)(Record(1, Stream("E", "press-01", 2), 1, T0, batch))
    ready = msgspec.json.decode(message.payload)
    dump = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
    assert orjson.dumps(ready) == dump(ready).encode() == message.payload
    print(f"{'orjson (the same message)':37} {best(lambda: orjson.dumps(ready)):6.3f} us/reading", flush=True)
    print(f"{'json of Python (the same message)':37} {best(lambda: dump(ready)):6.3f} us/reading", flush=True)
    try:
        python = venv("pysparkplug==0.6.1")
    except (pytest.skip.Exception, pytest.fail.Exception) as error:
        print(f"pysparkplug cannot be installed: {error}")
        return
    run = subprocess.run([python, "-c", PYSPARKPLUG], check=True, capture_output=True, text=True)
    print(f"{'pysparkplug (alias, time, double)':37} {float(run.stdout):6.3f} us/reading")


if __name__ == "__main__":
    main()
