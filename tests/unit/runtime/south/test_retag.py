"""Other tags for several devices at once: none waits for another, and none is hurt by what another's part raises."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal

from structlog.testing import capture_logs

from agent.core.flow import Answer, Sample
from agent.core.ports import BuildContext, Collector
from agent.settings.devices import DeviceConfig
from agent.settings.tags import TagBase
from tests.support.waiting import eventually
from tests.unit.runtime.test_topology import Stage, _config, stage


class Reads:
    """A collector that says 1 for every tag once; whether it takes other tags is scripted."""

    def __init__(self, tags: int, script: str) -> None:
        self.tags, self.script = tags, script
        self.over = asyncio.Event()  #: the cycle under way

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterator[Sample]]:
        yield self

    def __aiter__(self) -> AsyncIterator[Sample]:
        self._said = False
        return self

    async def __anext__(self) -> Sample:
        if self._said:
            await self.over.wait()
            self.over.clear()
            return Sample(ts=1)
        self._said = True
        return Sample(ts=1, answers=[Answer(tuple(range(self.tags)), [1] * self.tags, 1)])

    async def prepare(self, successor: Collector, /) -> bool:
        assert isinstance(successor, Reads)
        if self.script == "raises":
            raise ValueError(self.script)
        return True

    def retag(self, successor: Collector, /) -> bool:
        assert isinstance(successor, Reads)
        if self.script == "mid-cycle":
            return False
        self.tags, self._said = successor.tags, False
        return True


class Device(DeviceConfig):
    """`type: scripted`."""

    type: Literal["scripted"] = "scripted"
    script: str = ""
    tags: dict[str, TagBase]

    @property
    def tag_table(self) -> dict[str, TagBase]:
        return dict(self.tags)

    def build(self, name: str, context: BuildContext) -> Collector:
        if self.script == "registers":
            context.while_running(_raises)
            context.while_running(lambda: _fails)
        reads = Reads(len(self.tags), self.script)
        BUILT.setdefault(name, reads)
        return reads


#: The first collector of each device.
BUILT: dict[str, Reads] = {}


def _raises() -> Callable[[], None]:
    raise ValueError


def _fails() -> None:
    raise ValueError


def plant(tags: str, **scripts: str) -> Any:
    """A configuration of these devices, each with the same tags."""
    table = {tag: TagBase() for tag in tags}
    return _config({name: Device(script=script, tags=table) for name, script in scripts.items()}, {})


def tags_of(one: Stage, device: str) -> list[str]:
    """What has been read of a device."""
    return list(one.image.devices[device].newest)


async def test_a_cycle_that_takes_its_time_holds_no_other_device_up() -> None:
    """Two devices are in the middle of a cycle: the third has its new tags, and a new device is read, meanwhile."""
    async with stage() as one, asyncio.TaskGroup() as group:
        scripts = {"slow": "mid-cycle", "slower": "mid-cycle", "quick": ""}
        await one.to(plant("a", **scripts))
        changing = group.create_task(one.to(plant("ab", **scripts, new="")))
        await eventually(lambda: tags_of(one, "quick") == ["a", "b"] and "new" in one.image.devices)
        assert tags_of(one, "slow") == ["a"]
        assert not changing.done()
        for name in ("slow", "slower"):
            BUILT[name].script = ""
            BUILT[name].over.set()
        await changing
        await eventually(lambda: tags_of(one, "slow") == tags_of(one, "slower") == ["a", "b"])


async def test_what_a_part_raises_costs_its_device_only() -> None:
    """While tags are prepared, and where it begins and ends: the others change, its own goes on as it says now."""
    scripts = {"a": "raises", "b": "registers", "c": ""}
    with capture_logs() as logs:
        async with stage() as one:
            await one.to(plant("a", **scripts))
            await one.to(plant("ab", **scripts))
            await eventually(lambda: [tags_of(one, name) for name in "abc"] == [["a", "b"]] * 3)
            await one.to(plant("ab", c=""))
            assert list(one.image.devices) == ["c"]
    bugs = [line["component"] for line in logs if line["event"] == "component.bug"]
    assert sorted(set(bugs)) == ["device a", "device b"]
