"""The device that an agent is to itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import cast

from agent.config.model import AgentSettings, Config
from agent.core.flow import Batch, Gap
from agent.core.image import SELF, AgentInfo, Image, TagInfo
from agent.runtime.myself import TAGS, Myself
from agent.runtime.outlet import Append, Outlet
from agent.runtime.status.summary import enabled_devices
from agent.runtime.steps import Steps
from agent.runtime.topology import Topology
from agent.testing.clock import ManualClock


class Parts:
    """What it needs of a topology."""

    def __init__(self) -> None:
        self.outlet = Outlet()

    def version(self, _device: str, tags: Sequence[TagInfo]) -> tuple[int, tuple[TagInfo, ...]]:
        return 3, tuple(tags)


class Scene:
    def __init__(self) -> None:
        self.clock, self.parts = ManualClock(), Parts()
        self.steps = Steps(self.clock)
        self.image = Image(AgentInfo("gw-01", "0.2", "abc"))
        self.published: list[Batch] = []
        self.seen: list[Batch] = []
        self.parts.outlet.route("plant", lambda _: True, self._keep(self.published))
        self.parts.outlet.tap("history", self._keep(self.seen))
        figures = {"outbox_records": 7, "outbox_bytes": 900, "publish_age_s": 1.5, "devices_online": 3, "devices": 4}
        self.myself = Myself(
            self.image, cast("Topology", self.parts), self.steps, lambda: figures, lambda: 12, self.clock
        )

    @staticmethod
    def _keep(where: list[Batch]) -> Append:
        def keep(content: Batch | Gap) -> None:
            assert isinstance(content, Batch)
            where.append(content)

        return keep

    def configure(self, *, publish: bool, location: str = "hall", shards: int = 1) -> None:
        keys = {"id": "gw-01", "location": [location], "self": publish, "shard": {"index": 0, "count": shards}}
        settings = AgentSettings.model_validate(keys)
        self.myself.apply(Config(agent=settings))


@asynccontextmanager
async def running() -> AsyncIterator[Scene]:
    scene = Scene()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(scene.myself.run())
        yield scene
        task.cancel()


async def test_taps_have_it_and_routes_where_they_are_to() -> None:
    """Every ten seconds all of its tags; it is in the image where it is published, and never counted."""
    async with running() as at:
        at.configure(publish=False)
        await at.clock.advance(11)
        assert (len(at.seen), at.published, SELF in at.image.devices) == (2, [], False)
        at.configure(publish=True)
        await at.clock.advance(20)
        assert (len(at.seen), len(at.published), enabled_devices(at.image)) == (4, 2, [])
        assert [one.tag for one in at.published[0].readings] == [info.tag for info in TAGS]
        assert {one.why for one in at.published[0].readings} == {"initial"}
        assert {one.why for one in at.published[1].readings} == {None}
        assert (at.published[0].cat, at.image.devices[SELF].state) == (3, "online")
        values = {one.tag: one.value for one in at.published[1].readings}
        assert (values["outbox_records"], values["loop_late_ms"]) == (7, 12)
        at.configure(publish=True, location="yard")
        assert at.image.devices[SELF].location == ("yard",)
        at.configure(publish=True, shards=3)  # they share a location
        assert at.image.devices[SELF].location == ("hall", "gw-01")
        at.configure(publish=False)
        await at.clock.advance(10)
        assert (len(at.seen), len(at.published), SELF in at.image.devices) == (5, 2, False)


async def test_its_time_rises_and_goes_back_with_the_clock_only() -> None:
    """As that of any tag does within a session."""
    async with running() as at:
        await at.clock.advance(11)
        at.clock.step_wall(-0.999 - 10)
        at.steps.look()
        await at.clock.advance(10)
        first, second, third = (batch.ts for batch in at.seen)
        assert first < second
        assert third < second
        at.clock.step_wall(-0.5)
        await at.clock.advance(10)
        assert at.seen[-1].ts > third
