"""Southbound: one device from its collector to the outboxes and the image.

    collector ─▶ sample ─▶ normalizer ─▶ batch ─▶ image, outbox of each route

Nothing here waits for anything up north: appending to an outbox returns at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from agent.core.backoff import Backoff
from agent.core.clock import Clock
from agent.core.errors import TransientError
from agent.core.flow import Answer, Batch, Gap, Loss, Sample
from agent.core.ids import ulid
from agent.core.image import Image, TagInfo
from agent.core.ports import Collector, Normalizer, Retaggable
from agent.core.quality import BAD_OUT_OF_SERVICE
from agent.core.text import carried
from agent.runtime.files import Files
from agent.runtime.holding import Holding
from agent.runtime.scans import Owed
from agent.runtime.standing import Standing
from agent.runtime.steps import LONGEST_SAMPLE_MS, Steps, put_right
from agent.runtime.supervisor import Attempt, Failure, Supervisor
from agent.telemetry import metrics
from agent.telemetry.logging import get_logger

#: Reopening a device: first and longest delay, seconds. Short, because the break is often a cable or a PLC restart.
FIRST_RETRY = 0.5
LONGEST_RETRY = 15.0

log = get_logger("device")


class Work(NamedTuple):
    """What of a device changes with its tags."""

    collector: Collector
    normalizer: Normalizer
    disabled_tags: tuple[int, ...] = ()
    disabled_now: tuple[int, ...] = ()  #: those that were not disabled before
    finds_tags: bool = False
    intervals: Sequence[float] = ()  #: of its poll groups, seconds
    value_type: Callable[[int, str], str] = lambda _position, raw: raw
    before: Callable[[Work], None] = lambda _work: None  #: called with what it takes the place of, at that instant

    def reads_any(self, tags: int) -> bool:
        """Whether there is anything to read, where so many tags are configured."""
        return self.finds_tags or tags > len(self.disabled_tags)


class Device:
    """One configured device at work. `append` is the outlet of its batches."""

    def __init__(  # noqa: PLR0913 - what southbound.py puts together
        self,
        name: str,
        work: Work,
        image: Image,
        append: Callable[[Batch | Gap], None],
        *,
        scanned: Callable[[int, int, int], None] = lambda _due, _done, _late: None,
        clock: Clock,
        steps: Steps | None = None,
        max_delay: float = 0.0,
        files: Sequence[tuple[str, Path]] = (),
    ) -> None:
        """`files`: key and path of each secret or certificate without which it cannot connect."""
        self.name = name
        self.back = False  #: it has answered since it was configured as it is
        self._work = work
        self._image = image
        self._append = append
        self._clock = clock
        self._steps = steps or Steps(clock)
        self._undo = [self._steps.set_back(self._set_back), self._steps.set_forward(self._clock_was_set)]
        self._under_way = 0  # by how much the clock was set, while a sample may have times from before
        self._under_way_until = 0.0
        self._awaited = 0
        self._holding = Holding(name, max_delay, append, clock)
        self._pause: asyncio.Timeout | None = None  # ends the wait for a sample, while there is a connection
        self._next: Work | None = None
        self._taken_over = asyncio.Event()
        self._files = Files(f"device {name}", files, clock, self._waits)
        self._scanned = scanned
        self._owed = Owed(work.intervals, clock.monotonic())
        self._standing = Standing(name, image, clock)
        backoff = Backoff(first=FIRST_RETRY, cap=LONGEST_RETRY)
        self._supervisor = Supervisor(f"device {name}", clock=clock, backoff=backoff, report=self._lost)
        self._readings = {quality: metrics.READINGS.labels(name, quality) for quality in ("good", "uncertain", "bad")}
        if max_delay:
            self._undo.append(image.settles(self._holding.release))
        self._count_tags()

    @property
    def normalizer(self) -> Normalizer:
        """It knows where each tag leaves off."""
        return self._work.normalizer

    @property
    def collector(self) -> Collector:
        """It knows until when the device was heard."""
        return self._work.collector

    def end(self) -> None:
        """After :meth:`run` was cancelled: nothing of it is left behind."""
        while self._undo:
            self._undo.pop()()

    def _count_tags(self) -> None:
        """Those of the configuration, and those that were found before."""
        configured = len(self._image.devices[self.name].tags)
        self._tags = configured - len(self._work.disabled_tags)
        metrics.TAGS_CONFIGURED.labels(self.name).set(configured)

    async def run(self) -> None:
        """Read the device until cancelled."""
        self._say_disabled(self._work.disabled_tags)
        if not self._work.reads_any(len(self._image.devices[self.name].tags)):
            now = self._clock.now_ms()
            self._image.set_state(self.name, "offline", now=now, reason="disabled", causes=("disabled",))
            self.back = True
            return
        await self._supervisor.run(self._attempt)

    def wake(self) -> None:
        """Try again now where it waits: what stood in the way may have changed."""
        self._supervisor.wake()

    @property
    def next_attempt(self) -> float | None:
        """When a lost device is tried again, monotonic seconds; None while it is read or tried."""
        return self._supervisor.next_attempt

    async def _attempt(self, attempt: Attempt) -> None:
        await self._files.usable()
        try:
            async with self._holding.open(), self._work.collector.open() as samples:
                while True:
                    try:
                        async with asyncio.timeout(None) as self._pause:
                            await self._read(samples, attempt)
                    except TimeoutError:
                        if self._pause is None or not self._pause.expired():
                            raise
                    self._take_over()
        finally:
            self._pause, self._next = None, None
            self._taken_over.set()

    async def _read(self, samples: AsyncIterator[Sample], attempt: Attempt) -> None:
        async for sample in samples:
            attempt.healthy()
            self.take(sample)
            self._answers(sample)
            self._take_over()
        reason = "the collector ended without saying why"
        raise TransientError(reason)

    # --- other tags ---------------------------------------------------------------------------------------------------

    async def retag(self, work: Work) -> None:
        """Go on with other tags over the connection there is; it did where :attr:`normalizer` is `work`'s afterwards.

        Not where there is no connection, or the collector cannot. Returns when the cycle under way is over.
        """
        collector = self._work.collector
        if self._pause is None or not isinstance(collector, Retaggable):
            return
        if not await collector.prepare(work.collector) or not self._connected:
            return
        self._next = work
        self._taken_over.clear()
        self._pause.reschedule(asyncio.get_running_loop().time())
        await self._taken_over.wait()

    @property
    def _connected(self) -> bool:
        """Whether samples are waited for over a connection."""
        return self._pause is not None

    def _take_over(self) -> None:
        """Between two samples: where other tags wait and no cycle is under way, they are read from now on."""
        collector = self._work.collector
        if self._next is None or not isinstance(collector, Retaggable) or not collector.retag(self._next.collector):
            return
        self._holding.release()
        work, self._next = self._next, None
        work.before(self._work)
        self._work = work._replace(collector=collector)
        self._count_scans(0, 0)
        self._owed = Owed(work.intervals, self._clock.monotonic())
        self._count_tags()
        self._say_disabled(work.disabled_now)
        self._taken_over.set()

    def _count_scans(self, done: int, late: int) -> None:
        owed = self._owed.more(self._clock.monotonic())
        if owed or done or late:
            self._scanned(owed, done, late)

    def _say_disabled(self, tags: tuple[int, ...]) -> None:
        if tags:
            self.take(Sample(ts=self._clock.now_ms(), answers=[_out_of_service(tags, self._clock.now_ms())]))

    def _waits(self, reason: str) -> None:
        self._image.set_state(self.name, "offline", now=self._clock.now_ms(), reason=reason)

    def _set_back(self, by: int) -> None:
        self._holding.release()
        self._work.normalizer.set_back(by)
        self._clock_was_set(by)

    def _clock_was_set(self, by: int) -> None:
        self._under_way, self._under_way_until = by, self._clock.monotonic() + LONGEST_SAMPLE_MS / 1000

    # --- readings -----------------------------------------------------------------------------------------------------

    def take(self, sample: Sample) -> None:
        """Normalize a sample and hand its readings on. Never waits."""
        self._steps.look()
        if self._under_way:
            sample = put_right(sample, self._under_way, self._clock.now_ms())
            if self._clock.monotonic() > self._under_way_until:
                self._under_way = 0
        self._heed_device(sample)
        self._heed_snapshots()
        batch = self._work.normalizer(sample)
        if batch is None:
            return
        if not batch.backfill:
            self._image.update(batch)
        self._readings["good"].inc(len(batch.readings) - batch.bad - batch.uncertain)
        if batch.bad:
            self._readings["bad"].inc(batch.bad)
        if batch.uncertain:
            self._readings["uncertain"].inc(batch.uncertain)
        self._holding.put(batch, wait=sample.outage is None and not batch.backfill)

    def _heed_device(self, sample: Sample) -> None:
        """What the device says beside its readings; any text of it may be broken."""
        if sample.complaint is not None:
            sample.complaint = carried(sample.complaint)
        if sample.found:
            sample.found = [carried(name) for name in sample.found]
            self._find(sample.found)
        if sample.types:
            self._learn(sample.types)
        for loss in sample.losses:
            self._declare(loss)

    def _learn(self, raw: Mapping[int, str]) -> None:
        types = {position: self._work.value_type(position, carried(kind)) for position, kind in raw.items()}
        if self._image.describe(self.name, types):
            log.info("device.types_learned", device=self.name, tags=len(types))

    def _heed_snapshots(self) -> None:
        awaited = self._image.devices[self.name].awaited
        if awaited != self._awaited:
            self._awaited = awaited
            self._work.normalizer.awaits(awaited)

    def _find(self, names: Sequence[str]) -> None:
        """The device has tags nobody configured. One that had none begins with a snapshot, as every device does."""
        bare = not self._image.devices[self.name].tags
        self._image.extend(self.name, [TagInfo(tag=name) for name in names])
        self._tags += len(names)
        metrics.TAGS_CONFIGURED.labels(self.name).inc(len(names))
        if bare:
            for batch in self._image.snapshot(
                self.name, self._clock.now_ms(), clock=None if self._clock.synced else "unsynced"
            ):
                self._append(batch)

    def _declare(self, loss: Loss) -> None:
        """A loss before us has no sequence numbers; it is declared on every route, beside the readings."""
        info = self._image.devices[self.name].tags
        self._append(
            Gap(
                id=ulid(self._clock.now_ms()),
                kind="missed",
                device=self.name,
                from_ts=loss.from_ts,
                to_ts=loss.to_ts,
                reason=carried(loss.reason),
                tags=None if loss.tags is None else [info[position].tag for position in loss.tags],
                readings=loss.readings,
            )
        )

    # --- state --------------------------------------------------------------------------------------------------------

    def _answers(self, sample: Sample) -> None:
        self._count_scans(sample.scans, sample.skipped)
        self._standing.answered(sample, self._tags)
        self.back = True

    def _lost(self, failure: Failure) -> None:
        now = self._clock.now_ms()
        self._count_scans(0, 0)
        self.take(Sample.lost(failure.reason, now))
        self._standing.lost(failure, now)


def _out_of_service(tags: tuple[int, ...], ts: int) -> Answer:
    return Answer(tags=tags, values=[None] * len(tags), ts=ts, status=BAD_OUT_OF_SERVICE, reason="disabled")
