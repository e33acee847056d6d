"""The device `_agent`: what the agent knows of itself, as readings every ten seconds. Plants alarm in SCADA.

The page and the history have it always; it is published where `agent: {self: true}` says so.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from agent.config.model import Config
from agent.core.clock import Clock
from agent.core.flow import Batch, Reading, Why
from agent.core.image import SELF, AgentInfo, DeviceImage, Image, TagInfo
from agent.runtime.steps import Steps
from agent.runtime.topology import Topology

EVERY, FIRST = 10.0, 1.0  #: seconds from one time to the next, and from the start to the first

_DESCRIPTION = "the agent itself"
_INTERVAL = round(EVERY * 1000)
TAGS = (
    TagInfo("outbox_records", "uint64", None, "records that wait, of all publishers", _INTERVAL),
    TagInfo("outbox_bytes", "uint64", "By", "bytes of those records", _INTERVAL),
    TagInfo("publish_age_s", "float64", "s", "age of the oldest record that waits; 0 where none does", _INTERVAL),
    TagInfo("devices_online", "uint32", None, "devices that are read as configured", _INTERVAL),
    TagInfo("devices", "uint32", None, "devices that are to be read", _INTERVAL),
    TagInfo("loop_late_ms", "uint32", "ms", "by how much the agent's loop was late, at worst", _INTERVAL),
    TagInfo("cpu_percent", "float64", "%", "of one core", _INTERVAL),
    TagInfo("rss_bytes", "uint64", "By", "memory of the process", _INTERVAL),
)

Figures = Mapping[str, float | int]


class Myself:
    """Belongs to the event loop."""

    def __init__(
        self,
        image: Image,
        topology: Topology,
        steps: Steps,
        figures: Callable[[], Figures],
        late_ms: Callable[[], int],
        clock: Clock,
    ) -> None:
        self._public = image
        self._private = Image(AgentInfo(image.agent.id, image.agent.version, image.agent.config))
        self._private.add(SELF, location=(), tags=TAGS, cat=1, now=clock.now_ms(), description=_DESCRIPTION)
        self._image = self._private
        self._topology = topology
        self._figures = figures
        self._late_ms = late_ms
        self._clock = clock
        self._cpu = time.process_time(), clock.monotonic()
        self._last = 0
        self._why: Why | None = "initial"
        topology.outlet.publish(SELF, on=False)
        steps.set_back(self._set_back)

    @property
    def device(self) -> DeviceImage:
        """As it stands now, published or not."""
        return self._image.devices[SELF]

    def apply(self, config: Config) -> None:
        """Publish it or not, as this says."""
        now, known = self._clock.now_ms(), self._public.devices.get(SELF)
        if not config.agent.self:
            if known is not None:
                self._topology.outlet.publish(SELF, on=False)
                self._image = self._private
                self._public.remove(SELF)
            return
        location = list(config.agent.location)
        if config.agent.shard.count > 1:  # the shards share a location, and each has its own figures
            location.append(config.agent.id)
        if known is None:
            cat, tags = self._topology.version(SELF, TAGS)
            self._public.add(SELF, location=location, tags=tags, cat=cat, now=now, description=_DESCRIPTION)
            self._public.set_state(SELF, "online", now=now)
            self._image, self._why = self._public, "initial"
            self._topology.outlet.publish(SELF, on=True)
        elif known.location != tuple(location):
            self._public.renew(
                SELF,
                location=location,
                tags=known.tags,
                cat=known.cat,
                description=_DESCRIPTION,
                keep=lambda _tag: True,
            )

    async def run(self) -> None:
        """Measure every ten seconds, until cancelled."""
        due = self._clock.monotonic() + FIRST
        while True:
            await self._clock.sleep(due - self._clock.monotonic())
            self._tell(self._measure())
            due = max(due + EVERY, self._clock.monotonic())

    def _measure(self) -> Figures:
        (cpu, at), self._cpu = self._cpu, (time.process_time(), self._clock.monotonic())
        used, passed = self._cpu[0] - cpu, self._cpu[1] - at
        return {
            **self._figures(),
            "loop_late_ms": self._late_ms(),
            "cpu_percent": round(100 * used / passed, 2) if passed > 0 else 0.0,
            "rss_bytes": resident_bytes(),
        }

    def _tell(self, figures: Figures) -> None:
        ts = self._last = max(self._clock.now_ms(), self._last + 1)
        device = self.device
        readings = [Reading(one.tag, figures[one.tag], ts, "good", unit=one.unit, why=self._why) for one in device.tags]
        batch = Batch(SELF, ts, readings, cat=device.cat, clock=None if self._clock.synced else "unsynced")
        self._why = None
        device.heard = ts
        self._image.update(batch)
        self._topology.outlet.at(SELF)(batch)

    def _set_back(self, _by: int) -> None:
        self._last = 0


def resident_bytes() -> int:
    """Memory of this process that is in RAM; 0 where that cannot be known."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
