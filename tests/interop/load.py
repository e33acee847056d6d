"""Ten thousand nodes polled at 1 s beside a thousand that change ten times a second, counted at the broker.

The servers (o6 is polled, node-opcua tells its changes), the agent and mosquitto are processes of their own; the
consumer is here. Every node counts, so a change that was lost is a jump. LOAD_SECONDS is how long, default 60.
"""

from __future__ import annotations

import os
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from tests.bench.pipeline import measure
from tests.interop.foreign import Foreign, foreign

SECONDS = float(os.environ.get("LOAD_SECONDS", "60"))
POLLED, CHANGING = 10_000, 1_000


class _Reading(msgspec.Struct):
    tag: str
    quality: str
    value: float | None = None


class _Record(msgspec.Struct):
    device: str
    readings: list[_Reading]
    snapshot: bool = False


class Counts:
    """What arrived of nodes that count, without snapshots."""

    def __init__(self) -> None:
        self._decode = msgspec.json.Decoder(_Record).decode
        self._last: dict[tuple[str, str], float] = {}
        self.readings: dict[str, int] = defaultdict(int)
        self.lost: dict[str, int] = defaultdict(int)
        self.bad: dict[str, int] = defaultdict(int)
        self.gaps = 0

    def hear(self, topic: str, payload: bytes, *, retained: bool) -> None:
        """One message."""
        if topic.endswith("/gaps"):
            self.gaps += 1
        if retained or not topic.endswith("/readings"):
            return
        record = self._decode(payload)
        if record.snapshot:
            return
        device = record.device
        self.readings[device] += len(record.readings)
        for one in record.readings:
            if one.value is None:
                self.bad[device] += 1
                continue
            key = (device, one.tag)
            before = self._last.get(key)
            self._last[key] = one.value
            if before is not None:
                self.lost[device] += max(0, round(one.value - before) - 1)

    def tags(self, device: str) -> int:
        """How many of a device have said something."""
        return sum(name == device for name, _ in self._last)


def _device(server: Foreign, nodes: int, *, tag: dict[str, Any], **keys: Any) -> dict[str, Any]:
    tags = {f"v{number}": {"node": f"{server.node}{number}", **tag} for number in range(nodes)}
    return {"type": "opcua", "url": server.url, "tags": tags, **keys}


async def load(folder: Path) -> bool:
    """Measure and print; whether nothing was lost and no cycle left out."""
    with ExitStack() as servers:
        polled = servers.enter_context(foreign("o6", folder / "polled", nodes=POLLED, every=1000))
        changing = servers.enter_context(
            foreign("node-opcua", folder / "changing", nodes=CHANGING, every=100, fastest=0)
        )
        every_change = {"sampling_interval": "0ms", "queue_size": 100}
        devices = {
            "polled": _device(polled, POLLED, tag={}, mode="poll", interval="1s"),
            "changing": _device(changing, CHANGING, tag=every_change, interval="100ms"),
        }
        counts = Counts()
        measured = await measure(devices, window=SECONDS, warm_up=10.0, hear=counts.hear)
    lost, bad = counts.lost["changing"], counts.bad["changing"] + counts.bad["polled"]
    tags = counts.tags("polled"), counts.tags("changing")
    print(f"  {measured.line(f'{POLLED} @ 1 s and {CHANGING} @ 10 Hz')}")  # noqa: T201
    print(  # noqa: T201
        f"  in {measured.wall:.0f} s: cycles skipped {measured.skipped}; in all: changes heard "
        f"{counts.readings['changing']}, lost {lost}, bad {bad}, gaps {counts.gaps}; tags heard {tags[0]} + {tags[1]}",
        flush=True,
    )
    return tags == (POLLED, CHANGING) and not (lost or bad or counts.gaps or measured.skipped)
