"""Southbound: one device is opened, read until its connection is lost, and opened again. Samples go to ingest.py.

Other tags are taken over between two samples, where the collector can.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path

from agent.core.backoff import Backoff
from agent.core.clock import Clock
from agent.core.each import EachSample
from agent.core.errors import TransientError
from agent.core.flow import Batch, Gap, Sample
from agent.core.image import Image
from agent.core.patient import Patient
from agent.core.ports import Collector, Normalizer, Retaggable
from agent.core.smallevent import SmallEvent
from agent.runtime.files import Files
from agent.runtime.south.ingest import Ingest
from agent.runtime.south.scans import Owed
from agent.runtime.south.share import Share
from agent.runtime.south.standing import Standing
from agent.runtime.south.work import Work
from agent.runtime.steps import Steps
from agent.runtime.supervisor import Attempt, Failure, Supervisor

#: Reopening a device: first and longest delay, seconds. Short, because the break is often a cable or a PLC restart.
FIRST_RETRY = 0.5
LONGEST_RETRY = 15.0


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
        self._image = image
        self._clock = clock
        self._ingest = Ingest(name, work, image, append, clock=clock, steps=steps or Steps(clock), max_delay=max_delay)
        self._share = Share()
        self._pause: asyncio.Timeout | None = None  # ends the wait for a sample, while there is a connection
        self._next: Work | None = None
        self._taken_over = SmallEvent()
        self._files = Files(f"device {name}", files, clock, self._waits)
        self._scanned = scanned
        self._owed = Owed(work.intervals, clock.monotonic())
        self._standing = Standing(name, image, clock)
        backoff = Backoff(first=FIRST_RETRY, cap=LONGEST_RETRY)
        self._supervisor = Supervisor(f"device {name}", clock=clock, backoff=backoff, report=self._lost)
        self._patient = work.collector if isinstance(work.collector, Patient) else None

    @property
    def normalizer(self) -> Normalizer:
        """It knows where each tag leaves off."""
        return self._ingest.work.normalizer

    @property
    def collector(self) -> Collector:
        """It knows until when the device was heard."""
        return self._ingest.work.collector

    def end(self) -> None:
        """After :meth:`run` was cancelled: nothing of it is left behind."""
        self._ingest.end()

    async def run(self) -> None:
        """Read the device until cancelled."""
        self._ingest.say_disabled(self._ingest.work.disabled_tags)
        if not self._ingest.work.reads_any(len(self._image.devices[self.name].tags)):
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

    @property
    def unanswered(self) -> float | None:
        """Since when (monotonic) it is asked in vain, where it is not lost yet."""
        lost = self._image.devices[self.name].state == "offline"
        return None if lost or self._patient is None else self._patient.unanswered

    async def _attempt(self, attempt: Attempt) -> None:
        await self._files.usable()
        try:
            async with self._ingest.holding.open(), self._ingest.work.collector.open() as samples:
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
        take = partial(self._take, attempt)
        while isinstance(samples, EachSample):
            await self._clock.sleep(await samples.each_sample(take))
        async for sample in samples:
            if rest := take(sample):
                await self._clock.sleep(rest)
        reason = "the collector ended without saying why"
        raise TransientError(reason)

    def _take(self, attempt: Attempt, sample: Sample) -> float:
        """How long to rest afterwards."""
        began = time.thread_time()
        attempt.healthy()
        self._ingest.take(sample)
        self._count_scans(sample.scans, sample.skipped)
        self._standing.answered(sample, self._ingest.tags)
        self.back = True
        if self._next is not None:
            self._take_over()
        rest = self._share.took(time.thread_time() - began, self._clock.monotonic())
        return rest if len(self._image.devices) > 1 else 0.0

    # --- other tags ---------------------------------------------------------------------------------------------------

    async def retag(self, work: Work) -> None:
        """Go on with other tags over the connection there is; it did where :attr:`normalizer` is `work`'s afterwards.

        Not where there is no connection, or the collector cannot. Returns when the cycle under way is over.
        """
        collector = self._ingest.work.collector
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
        collector = self._ingest.work.collector
        if self._next is None or not isinstance(collector, Retaggable) or not collector.retag(self._next.collector):
            return
        self._ingest.holding.release()
        work, self._next = self._next, None
        work.before(self._ingest.work)
        self._ingest.go_on(work._replace(collector=collector))
        self._count_scans(0, 0)
        self._owed = Owed(work.intervals, self._clock.monotonic())
        self._ingest.say_disabled(work.disabled_now)
        self._taken_over.set()

    def _count_scans(self, done: int, late: int) -> None:
        owed = self._owed.more(self._clock.monotonic())
        if owed or done or late:
            self._scanned(owed, done, late)

    def _waits(self, reason: str) -> None:
        self._image.set_state(self.name, "offline", now=self._clock.now_ms(), reason=reason)

    # --- how it stands ------------------------------------------------------------------------------------------------

    def _lost(self, failure: Failure) -> None:
        now = self._clock.now_ms()
        self._count_scans(0, 0)
        self._ingest.take(Sample.lost(failure.reason, now))
        self._standing.lost(failure, now)
