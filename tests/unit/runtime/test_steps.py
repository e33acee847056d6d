"""The wall clock is set while a device is read: what its consumer gets is said for the time it was true."""

from __future__ import annotations

from typing import Literal

import pytest
from structlog.testing import capture_logs

from agent.core.flow import Answer, Sample
from agent.core.image import AgentInfo, Image, TagInfo
from agent.core.ports import BuildContext, Collector
from agent.normalize import compile_normalizer
from agent.runtime.south.ingest import Ingest
from agent.runtime.south.work import Work
from agent.runtime.steps import Steps, put_right
from agent.settings.devices import DeviceConfig
from agent.settings.tags import TagBase
from agent.testing.clock import ManualClock
from agent.testing.collector import ScriptedCollector
from tests.unit.runtime.test_topology import _config, stage

HOUR = 3600_000


class Bench:
    """Two devices under one clock, with the ends of sessions among what was appended."""

    def __init__(self):
        self.clock = ManualClock()
        self.steps = Steps(self.clock)
        self.image = Image(AgentInfo("gw", "0", "h"))
        self.appended = []
        self.devices = {name: self._device(name) for name in ("fast", "slow")}
        self.steps.set_back(self._ended, last=True)

    def _device(self, name):
        self.image.add(name, location=["x"], tags=[TagInfo("a")], cat=1, now=self.clock.now_ms())
        normalizer = compile_normalizer(name, {"a": TagBase()}, cat=lambda: 1, clock=self.clock)
        work = Work(ScriptedCollector(), normalizer)
        return Ingest(name, work, self.image, self.appended.append, clock=self.clock, steps=self.steps, max_delay=0)

    def _ended(self, by):
        self.image.set_back(by, self.clock.now_ms())
        self.appended.append("ended")

    def take(self, name, *ages):
        """A sample that closes now, with answers that arrived so many milliseconds ago by the clock of then."""
        now = self.clock.now_ms()
        self.devices[name].take(Sample(ts=now, answers=[Answer(tags=(0,), values=[1], ts=now - age) for age in ages]))

    def times(self):
        """`ts` of the readings that were appended, and the ends of sessions."""
        times: list[int | str] = []
        for one in self.appended:
            times += [one] if isinstance(one, str) else [reading.ts for reading in one.readings]
        return times


def test_set_back_nothing_is_said_for_a_time_to_come():
    """The session ends before anything is said for an earlier time; no newest value lies in the future."""
    bench = Bench()
    before = bench.clock.now_ms()
    bench.take("fast", 0)
    bench.take("slow", 0)
    bench.clock.step_wall(-3600)
    with capture_logs() as logs:
        bench.take("fast", 0)
        bench.take("fast", 0)
    assert [(line["event"], line["seconds"]) for line in logs] == [("agent.clock_stepped", -3600.0)]
    now = bench.clock.now_ms()
    assert bench.times() == [before, before, "ended", now + 1, now + 2]
    (snapshot,) = bench.image.snapshot("slow", now)
    assert [reading.ts for reading in snapshot.readings] == [before - HOUR]
    assert bench.image.devices["slow"].since == before - HOUR
    assert bench.image.devices["slow"].last_good == before - HOUR


def test_a_sample_that_was_under_way_moves_along():
    """What arrived before the step has the old clock's time in its hands, and what arrived after it the new one's."""
    bench = Bench()
    bench.take("fast", 1000)
    bench.clock.step_wall(-3600)
    bench.take("fast", 20 - HOUR, 0)
    now = bench.clock.now_ms()
    assert bench.times()[1:] == ["ended", now - 20, now]


def test_a_sample_that_was_under_way_when_a_clock_was_set_at_last_moves_along():
    """Else it would reach the consumer unmarked, with a time six years ago: the clock counts as set by now."""
    bench = Bench()
    years = 6 * 365 * 24 * HOUR
    bench.take("fast", 1000)
    bench.clock.step_wall(years / 1000)
    bench.take("fast", years + 20, 0)
    now = bench.clock.now_ms()
    assert bench.times()[1:] == [now - 20, now]
    assert all(batch.clock is None for batch in bench.appended)


@pytest.mark.parametrize("seconds", [3600, 1, -1])
def test_forward_and_small_steps_end_no_session(seconds):
    """Times go on, or stand still for a second."""
    bench = Bench()
    bench.take("fast", 0)
    before = bench.clock.now_ms()
    bench.clock.step_wall(seconds)
    bench.take("fast", 0)
    assert bench.times() == [before, max(before, bench.clock.now_ms())]


def test_small_steps_add_up():
    """Three times half a second back is a step back."""
    bench = Bench()
    bench.take("fast", 0)
    for _ in range(3):
        bench.clock.step_wall(-0.5)
        bench.steps.look()
    assert bench.times()[1:] == ["ended"]


def test_a_sample_in_order_is_left_alone():
    """The same object."""
    sample = Sample(ts=5, answers=[Answer(tags=(0,), values=[1], ts=4)])
    assert put_right(sample, -HOUR, 5) is sample
    assert put_right(sample, HOUR, 5) is sample


class Stamped(DeviceConfig):
    """`type: stamped`: one tag, read once, for the time it is then."""

    type: Literal["stamped"] = "stamped"

    @property
    def tag_table(self) -> dict[str, TagBase]:
        return {"a": TagBase()}

    def build(self, name: str, context: BuildContext) -> Collector:
        now, collector = context.clock.now_ms(), ScriptedCollector()
        collector.feed(Sample(ts=now, answers=[Answer((0,), [1], now)]))
        return collector


async def test_a_device_that_comes_back_after_the_clock_was_set_back_is_not_said_for_a_time_to_come() -> None:
    """It was removed by a reload while the clock was an hour ahead, and is added again when the clock is right."""
    clock = ManualClock()
    async with stage(clock) as one:
        for step, devices in ((0, {"press": Stamped()}), (0, {}), (-HOUR, {"press": Stamped()})):
            clock.step_wall(step / 1000)
            one.steps.look()
            await one.to(_config(devices, {}))
        assert one.image.devices["press"].newest["a"].ts - clock.now_ms() <= 1
