"""A device at work: what its consumer gets when it answers, is slow, is lost and comes back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from agent.collectors.common.sampling import Sampling
from agent.core.errors import ConnectionLost
from agent.core.flow import MAX_BATCH_READINGS, Answer, Batch, Gap, Loss, Sample
from agent.core.image import AgentInfo, Image, TagInfo
from agent.normalize import compile_normalizer
from agent.runtime.south.device import Device
from agent.runtime.south.work import Work
from agent.settings.tags import TagBase
from agent.testing.clock import ManualClock
from agent.testing.collector import ScriptedCollector

TAGS = (0, 1)


async def iter_of(samples: Sequence[Sample]) -> AsyncIterator[Sample]:
    for sample in samples:
        yield sample
    await asyncio.get_running_loop().create_future()


class Bench:
    """One scripted device with an image and a list for an outbox."""

    def __init__(self, *, disabled: tuple[int, ...] = (), max_delay: float = 0.0) -> None:
        self.clock = ManualClock()
        self.collector = ScriptedCollector()
        self.image = Image(AgentInfo("gw", "0", "h"))
        self.image.add("press", location=["x"], tags=[TagInfo("a"), TagInfo("b")], cat=1, now=0)
        self.batches: list[Batch] = []
        self.slow = 0.0  #: seconds of processor time a batch takes
        self.gaps: list[Gap] = []
        table = {name: TagBase(enabled=position not in disabled) for position, name in enumerate("ab")}
        self.device = Device(
            "press",
            Work(
                self.collector,
                compile_normalizer("press", table, cat=lambda: 1, clock=self.clock),
                disabled,
                value_type=lambda position, raw: f"{raw} of {position}",
            ),
            self.image,
            self._append,
            clock=self.clock,
            max_delay=max_delay,
        )

    def _append(self, content: Batch | Gap) -> None:
        until = time.thread_time() + self.slow
        while time.thread_time() < until:
            pass
        if isinstance(content, Gap):
            self.gaps.append(content)
        else:
            self.batches.append(content)

    def sample(self, *values: object, skipped: int = 0, achieved_ms: int | None = None) -> Sample:
        now = self.clock.now_ms()
        answers = [Answer(tags=TAGS, values=list(values), ts=now)]
        return Sample(ts=now, answers=answers, skipped=skipped, achieved_ms=achieved_ms)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.device.run())
            await self.clock.advance(0)
            yield
            task.cancel()

    def seen(self) -> list[tuple[str, object, str, str | None]]:
        return [(r.tag, r.value, r.quality, r.why) for batch in self.batches for r in batch.readings]


class Queue(Sampling):
    """Samples that are there at once, taken without a task."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = list(samples)

    def next_sample(self) -> Sample | None:
        return self._samples.pop(0) if self._samples else None


@pytest.mark.parametrize("how", [iter_of, Queue])
async def test_what_takes_long_is_rested_from(how: Callable[[Sequence[Sample]], AsyncIterator[Sample]]) -> None:
    """However samples come: what is slow to take leaves the loop to other devices for a while."""
    bench = Bench()
    bench.image.add("other", location=["x"], tags=[TagInfo("a")], cat=1, now=0)
    bench.slow = 0.05
    samples = how([bench.sample(at, at) for at in range(3)])
    bench.collector._samples = lambda: samples  # type: ignore[method-assign]  # its script, in other form
    async with bench.running():
        await bench.clock.advance(0.1)
        assert len(bench.batches) == 1
        await bench.clock.advance(5)
        assert len(bench.batches) == 3


async def test_a_lost_device_says_each_tag_bad_once_and_restates_it_on_return() -> None:
    """One bad reading per tag at the loss, none while it lasts, every tag restated when it is over."""
    bench = Bench()
    async with bench.running():
        bench.collector.feed(bench.sample(1, 2))
        await bench.clock.advance(0.1)
        bench.batches.clear()
        bench.collector.refuse = ConnectionLost("cable out")
        bench.collector.feed(ConnectionLost("cable out"))
        await bench.clock.advance(60)
        assert bench.seen() == [("a", None, "bad", "offline"), ("b", None, "bad", "offline")]
        assert (bench.image.devices["press"].state, bench.image.devices["press"].reason) == ("offline", "cable out")
        bench.batches.clear()
        bench.collector.refuse = None
        bench.collector.feed(bench.sample(1, 2))
        await bench.clock.advance(20)
        assert bench.seen() == [("a", 1, "good", "recovered"), ("b", 2, "good", "recovered")]
        assert bench.image.devices["press"].state == "online"
    assert bench.collector.opened == bench.collector.closed == 2


async def test_a_device_that_never_was_there_is_bad_not_silent() -> None:
    """A failed first connection is said as well: no failed read is silent."""
    bench = Bench()
    bench.collector.refuse = ConnectionLost("refused")
    async with bench.running():
        await bench.clock.advance(1)
    assert [quality for _, _, quality, _ in bench.seen()] == ["bad", "bad"]


async def test_a_loss_before_us_is_declared() -> None:
    """What a server's queue lost becomes a gap of kind missed, with the names of the tags and no numbers."""
    bench = Bench()
    async with bench.running():
        bench.collector.feed(Sample(ts=9, losses=[Loss(from_ts=5, to_ts=9, reason="the queue overflowed", tags=(1,))]))
        await bench.clock.advance(0.1)
    (gap,) = bench.gaps
    assert (gap.kind, gap.tags, gap.from_ts, gap.to_ts, gap.epoch, gap.from_seq) == ("missed", ["b"], 5, 9, None, None)


async def test_disabled_tags_are_said_once() -> None:
    """A tag that is not read is bad, BadOutOfService, once."""
    bench = Bench(disabled=(1,))
    async with bench.running():
        bench.collector.feed(Sample(ts=1, answers=[Answer(tags=(0,), values=[5], ts=1)]))
        await bench.clock.advance(1)
    assert bench.seen() == [("b", None, "bad", "disabled"), ("a", 5, "good", "initial")]
    assert bench.batches[0].readings[0].code == "BadOutOfService"
    assert bench.image.devices["press"].state == "online"


async def test_a_disabled_device_is_never_opened() -> None:
    """enabled: false — its tags are said, nobody connects."""
    bench = Bench(disabled=(0, 1))
    async with bench.running():
        await bench.clock.advance(5)
    assert bench.collector.opened == 0
    assert [why for *_, why in bench.seen()] == ["disabled", "disabled"]


async def test_skipped_cycles_make_a_device_degraded_with_its_period() -> None:
    """A slow device is degraded and says what period it reaches; its readings flow."""
    bench = Bench()
    async with bench.running():
        bench.collector.feed(bench.sample(1, 2, skipped=3, achieved_ms=4000))
        await bench.clock.advance(0.1)
    device = bench.image.devices["press"]
    assert (device.state, device.achieved_ms) == ("degraded", 4000)
    assert len(bench.seen()) == 2


async def test_batches_may_wait_to_become_larger() -> None:
    """With batch.max_delay several scans leave as one batch, and nothing is left behind when the device is lost."""
    bench = Bench(max_delay=1.0)
    async with bench.running():
        bench.collector.feed(bench.sample(1, 2), bench.sample(3, 4))
        await bench.clock.advance(0.5)
        assert not bench.batches
        await bench.clock.advance(0.6)
        assert [len(batch.readings) for batch in bench.batches] == [4]
        bench.collector.feed(bench.sample(5, 6), ConnectionLost("gone"))
        await bench.clock.advance(0.1)
        assert [reading[1] for reading in bench.seen()] == [1, 2, 3, 4, 5, 6, None, None]


async def test_a_waiting_batch_leaves_when_it_is_full() -> None:
    """However long batch.max_delay is, no batch grows beyond its bound, and no reading is lost or doubled."""
    bench = Bench(max_delay=60.0)
    scans = MAX_BATCH_READINGS + 1
    for number in range(scans):
        bench.device._ingest.take(bench.sample(number, -number))
    assert [len(batch.readings) for batch in bench.batches] == [MAX_BATCH_READINGS] * 2
    async with bench.running():
        bench.collector.feed(ConnectionLost("gone"))
        await bench.clock.advance(0.1)
    values = [value for tag, value, _, why in bench.seen() if tag == "a" and why != "offline"]
    assert values == list(range(scans))


async def test_no_time_of_a_tag_goes_back_where_a_snapshot_meets_its_first_answer():
    """The answer came, then a session began with a snapshot without it, then the scan was done."""
    bench = Bench()
    under_way = bench.sample(1, 2)
    await bench.clock.advance(0.004)
    (snapshot,) = bench.image.snapshot("press", bench.clock.now_ms())
    bench.device._ingest.take(under_way)
    (batch,) = bench.batches
    assert [reading.ts for reading in batch.readings] == [reading.ts + 1 for reading in snapshot.readings]
    await bench.clock.advance(0.002)
    bench.device._ingest.take(bench.sample(1, 2))
    assert {reading.ts for reading in bench.batches[-1].readings} == {bench.clock.now_ms()}


def test_types_that_are_learned_are_those_of_the_values():
    """What the server tells is the type of the raw value."""
    bench = Bench()
    bench.device._ingest.take(Sample(ts=1, types={1: "uint8"}))
    assert [tag.type for tag in bench.image.devices["press"].tags] == [None, "uint8 of 1"]


async def test_a_device_that_flaps_does_not_fill_the_log() -> None:
    """Lost every five seconds for ten minutes: a few lines a minute say how often; the readings tell all of it."""
    bench = Bench()
    with capture_logs() as logs:
        async with bench.running():
            for _ in range(120):
                bench.collector.feed(bench.sample(1, 2))
                await bench.clock.advance(1)
                bench.collector.feed(ConnectionLost("reset by peer"))
                await bench.clock.advance(4)
    offline = [entry for entry in logs if entry["event"] == "device.offline"]
    online = [entry for entry in logs if entry["event"] == "device.online"]
    lost = sum(reading.why == "offline" for batch in bench.batches for reading in batch.readings) // 2
    assert lost > 60
    assert 27 <= len(offline) <= 30
    assert sum(entry["repeats"] for entry in offline) + len(offline) >= lost - 12
    assert len(online) <= len(offline) + 1
