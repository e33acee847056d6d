"""Whatever configurations follow one another: what runs in the end is what a cold start of the last one runs.

Parts are scripted: a device that opens nothing, registers something at its bus, and is read as fast as the test wants.
"""

from __future__ import annotations

import asyncio
import gc
import os
import tempfile
import weakref
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.collectors.modbus.bus.bus import ModbusBus
from agent.collectors.modbus.bus.wire import MbapWire
from agent.collectors.modbus.config import ModbusConfig
from agent.config.diff import Difference, difference
from agent.config.model import AgentSettings, Config
from agent.core.clock import Clock
from agent.core.errors import PermanentError
from agent.core.flow import Answer, Sample
from agent.core.image import AgentInfo, Image
from agent.core.ports import BuildContext, Collector, Publisher
from agent.encoders.json import JsonConfig
from agent.runtime.control import Control
from agent.runtime.drafts import Draft
from agent.runtime.steps import Steps
from agent.runtime.topology import MOST_ENDED, MOST_LEFT, Topology, start_of
from agent.settings.devices import DeviceConfig
from agent.settings.outbox import OutboxSettings
from agent.settings.publishers import PublisherConfig, TopicConfig
from agent.settings.tags import TagBase
from agent.simulator.modbus import ModbusServer, Unit
from agent.telemetry import metrics
from agent.testing.clock import ManualClock
from agent.testing.publisher import ScriptedPublisher
from tests.support.waiting import eventually

#: `make soak` runs ten times as many.
EXAMPLES = int(os.environ.get("TOPOLOGY_EXAMPLES", "100"))


class Line:
    """A bus that knows who registered at it, and whether it runs."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.known: list[str] = []
        self.running = 0

    async def run(self) -> None:
        self.running += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.running -= 1

    def know(self, device: str) -> Callable[[], None]:
        self.known.append(device)
        return lambda: self.known.remove(device)


class Reads:
    """A collector that says 1 for every tag once, then nothing more; it can take other tags."""

    def __init__(self, tags: int, line: Line, *, retags: bool) -> None:
        self.tags, self.line, self.retags = tags, line, retags
        self.opened = 0

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterator[Sample]]:
        self.opened += 1
        try:
            yield self
        finally:
            self.opened -= 1

    def __aiter__(self) -> AsyncIterator[Sample]:
        self._said = False
        return self

    async def __anext__(self) -> Sample:
        if self._said:
            await asyncio.Event().wait()
        self._said = True
        tags = tuple(range(self.tags))
        return Sample(ts=1, answers=[Answer(tags, [1] * len(tags), 1)] if tags else [])

    async def prepare(self, successor: Collector, /) -> bool:
        return isinstance(successor, Reads) and self.retags

    def retag(self, successor: Collector, /) -> bool:
        assert isinstance(successor, Reads)
        self.tags, self._said = successor.tags, False
        return True


class Device(DeviceConfig):
    """`type: scripted`."""

    type: Literal["scripted"] = "scripted"
    bus: str
    retags: bool = True
    tags: dict[str, TagBase]

    @property
    def tag_table(self) -> dict[str, TagBase]:
        return dict(self.tags)

    def build(self, name: str, context: BuildContext) -> Collector:
        line: Line = context.bus(self.bus, lambda: Line(self.bus))
        context.while_running(lambda: line.know(name))
        return Reads(len(self.tags), line, retags=self.retags)


class Route(TopicConfig):
    """`type: scripted`."""

    type: Literal["scripted"] = "scripted"
    window: int = 20

    def build(self, name: str, context: BuildContext) -> Publisher:
        del name, context
        return ScriptedPublisher()


TAGS = st.dictionaries(
    st.sampled_from("abcd"), st.builds(TagBase, unit=st.sampled_from([None, "Cel"]), enabled=st.booleans()), max_size=3
)
DEVICES = st.builds(
    Device,
    bus=st.sampled_from(["line-1", "line-2"]),
    retags=st.booleans(),
    enabled=st.sampled_from([True, True, False]),
    location=st.sampled_from([None, ["hall"]]),
    timeout=st.sampled_from(["1s", "2s"]),
    tags=TAGS,
)
ROUTES: st.SearchStrategy[PublisherConfig] = st.builds(
    Route,
    encoder=st.just(JsonConfig()),
    window=st.sampled_from([5, 20]),
    root=st.sampled_from(["edge", "other"]),
    devices=st.sampled_from([["*"], ["d1"], ["d2", "d3"]]),
    outbox=st.sampled_from(
        [OutboxSettings.model_validate({"durability": "memory", "max_bytes": size}) for size in ("1MiB", "2MiB")]
    ),
)


def _config(devices: Mapping[str, DeviceConfig], publishers: Mapping[str, PublisherConfig]) -> Config:
    head = Config(agent=AgentSettings(id="gw", location=["plant"]), http=None)
    return head.model_copy(update={"devices": devices, "publishers": publishers})


CONFIGS = st.builds(
    _config,
    st.dictionaries(st.sampled_from(["d1", "d2", "d3"]), DEVICES, max_size=3),
    st.dictionaries(st.sampled_from(["p1", "p2"]), ROUTES, max_size=2),
)


class Stage:
    """One topology and everything around it."""

    def __init__(self, groups: Any, folder: Path, clock: Clock | None = None) -> None:
        self.clock = ManualClock()
        time = clock or self.clock
        self.image = Image(AgentInfo("gw", "0", "h"))
        self.steps = Steps(time)
        self.topology = Topology(
            groups, image=self.image, steps=self.steps, control=Control(folder, time), data_dir=folder,
            clock=time,
        )  # fmt: skip
        self.config: Config | None = None

    async def to(self, config: Config) -> None:
        """Put it in force."""
        diff = start_of(config) if self.config is None else difference(self.config, config)
        draft = self.topology.draft(config, diff)
        await self.topology.open(draft)
        await self.topology.leave(draft)
        await self.topology.begin(draft)
        self.config = config
        await eventually(self._settled, what="all parts work")

    def _settled(self) -> bool:
        south, north = self.topology.south, self.topology.north
        return all(device.back for device in south.running()) and all(
            route.state == "online" for route in north.running()
        )

    def runs(self) -> dict[str, Any]:
        """Everything that is there."""
        south, north = self.topology.south, self.topology.north
        lines: dict[str, Line] = south.buses.standing()  # type: ignore[assignment]
        return {
            "devices": {
                name: (
                    device.location, sorted(info.tag for info in device.tags), device.state, device.bad,
                    {tag: (reading.quality, reading.value) for tag, reading in device.newest.items()},
                )
                for name, device in self.image.devices.items()
            },
            "buses": {key: (sorted(line.known), line.running) for key, line in lines.items()},
            "routes": {
                name: (route.state, [device for device in ("d1", "d2", "d3") if route.wants(device)])
                for name, route in north.routes.items()
            },
            "told": (len(self.steps._back), len(self.steps._forward), len(self.image._listeners)),
        }  # fmt: skip


@asynccontextmanager
async def stage(clock: Clock | None = None) -> AsyncIterator[Stage]:
    """A topology; afterwards it has ended, and nothing of it is left."""
    with tempfile.TemporaryDirectory() as folder:
        async with asyncio.TaskGroup() as stores, asyncio.TaskGroup() as north, asyncio.TaskGroup() as south:
            made = Stage((stores, north, south), Path(folder), clock)
            yield made
            await made.topology.end()
            await made.topology.close()
        assert not made.topology.south.buses.standing()
        assert (made.steps._back, made.steps._forward, made.image._listeners) == ({}, {}, {})


def labels() -> set[tuple[str, str]]:
    """Which devices, publishers and components have metrics."""
    kinds = ("device", "publisher", "component")
    return {
        (kind, series.labels[kind])
        for metric in metrics.REGISTRY
        for series in metric.series()
        for kind in kinds
        if kind in series.labels
    }


@pytest.mark.timeout(600)  # a quarter of a minute where nothing else runs
@given(st.lists(CONFIGS, min_size=2, max_size=3))
@settings(max_examples=EXAMPLES, deadline=None)
def test_what_runs_after_reloads_is_what_a_cold_start_runs(configs: list[Config]) -> None:
    """Devices and what was read of them, buses and who is known there, routes and registrations; no label is left.

    Tags in another order are no change: they stay in the one they had.
    """

    async def compare() -> None:
        before = labels()
        async with stage() as changed, stage() as started:
            for config in configs:
                await changed.to(config)
            await started.to(configs[-1])
            assert changed.runs() == started.runs()
            await changed.to(_config({}, {}))
            await started.to(_config({}, {}))
            assert changed.runs()["buses"] == {}
        assert labels() <= before | {("component", "image")}

    asyncio.run(compare())


class Unbuildable(Device):
    """A plugin with a bug before anything runs."""

    def build(self, name: str, context: BuildContext) -> Collector:
        raise KeyError(name)


class WithoutLibrary(Route):
    """A publisher that needs what is not installed."""

    def build(self, name: str, context: BuildContext) -> Publisher:
        raise PermanentError("there is no library", "install it")


async def test_what_cannot_be_built_costs_itself_only() -> None:
    """The agent starts; the other device is read and the other publisher is online."""
    tags, outbox = {"a": TagBase()}, OutboxSettings(durability="memory")
    devices = {"good": Device(bus="b", tags=tags), "odd": Unbuildable(bus="b", tags=tags)}
    routes = {name: kind(encoder=JsonConfig(), outbox=outbox) for name, kind in (("p", Route), ("q", WithoutLibrary))}
    async with stage() as made:
        config = _config(devices, routes)
        draft = made.topology.draft(config, start_of(config))
        assert list(draft.unbuilt) == ["device odd", "publisher q"]
        await made.topology.open(draft)
        await made.topology.begin(draft)
        north = {route.name: route for route in made.topology.north.running()}
        await eventually(
            lambda: (
                (made.image.devices["good"].state, north["p"].state, made.image.devices["odd"].reason is not None)
                == ("online", "online", True)
            ),
            what="the others work",
        )
        odd = str(made.image.devices["odd"].reason)
        assert "KeyError: 'odd' -> this is a bug" in odd
        assert odd.endswith("; once that is mended, restart the agent")
        assert north["q"].state == "offline"


async def test_what_ended_in_a_cycle_is_found_in_the_end() -> None:
    """What is set aside while it lives is looked through no more: a gateway that is reloaded each day must not grow.

    But a little that was left holds up nobody.
    """
    async with stage() as made:
        config = _config({}, {})
        await made.topology.begin(Draft(config, Difference()))
        for objects, found in ((MOST_LEFT // 2, False), (MOST_LEFT, True)):
            part = Line("ended")
            part.itself = part, [[part] for _ in range(objects)]  # type: ignore[attr-defined]
            left = weakref.ref(part)
            gc.freeze()
            del part
            for _ in range(MOST_ENDED):
                assert left() is not None
                made.topology.look_through()
                await made.topology.begin(Draft(config, Difference()))
            made.topology.look_through()
            assert (left() is None) is found


async def test_a_modbus_device_that_ends_is_freed_at_once() -> None:
    """With its bus and its connection, and without a collection of garbage: that would hold up all other devices."""
    async with ModbusServer({1: Unit()}) as server, stage() as made:
        tags = {"a": {"address": "holding:0"}}
        device = ModbusConfig.model_validate({"type": "modbus", "url": server.url, "tags": tags})
        await made.to(_config({"press": device}, {}))
        (bus,) = made.topology.south.buses.standing().values()
        assert isinstance(bus, ModbusBus)
        assert isinstance(bus._link.wire, MbapWire)
        left: list[Callable[[], object]] = [weakref.ref(bus), weakref.ref(bus._link.wire._transactions)]
        del bus
        gc.freeze()  # as another reload would
        gc.disable()
        try:
            await made.to(_config({}, {}))
            await eventually(lambda: [one() for one in left] == [None, None], what="nothing is left")
        finally:
            gc.enable()
