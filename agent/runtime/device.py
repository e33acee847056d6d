"""Southbound: one device from its collector to the outboxes and the image.

    collector ─▶ sample ─▶ normalizer ─▶ batch ─▶ image, outbox of each route

Nothing here waits for anything up north: appending to an outbox returns at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from agent.core.backoff import Backoff
from agent.core.clock import Clock
from agent.core.errors import TransientError
from agent.core.flow import MAX_BATCH_READINGS, Answer, Batch, Gap, Loss, Sample
from agent.core.ids import ulid
from agent.core.image import Cause, Image, TagInfo
from agent.core.ports import Collector, Normalizer
from agent.core.quality import BAD_OUT_OF_SERVICE
from agent.core.text import carried
from agent.runtime.condition import Judge
from agent.runtime.files import Files
from agent.runtime.steps import LONGEST_SAMPLE_MS, Steps, put_right
from agent.runtime.supervisor import Attempt, Failure, Supervisor
from agent.telemetry import metrics
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Repeats

#: Reopening a device: first and longest delay, seconds. Short, because the break is often a cable or a PLC restart.
FIRST_RETRY = 0.5
LONGEST_RETRY = 15.0

log = get_logger("device")


class Device:
    """One configured device at work. `append` are the outboxes of the routes that want it."""

    def __init__(  # noqa: PLR0913 - what app.py puts together
        self,
        name: str,
        collector: Collector,
        normalizer: Normalizer,
        image: Image,
        append: Sequence[Callable[[Batch | Gap], None]],
        *,
        clock: Clock,
        steps: Steps | None = None,
        disabled_tags: tuple[int, ...] = (),
        max_delay: float = 0.0,
        finds_tags: bool = False,
        value_type: Callable[[int, str], str] = lambda _position, raw: raw,
        files: Sequence[tuple[str, Path]] = (),
    ) -> None:
        """`files`: key and path of each secret or certificate without which it cannot connect."""
        self.name = name
        self._collector = collector
        self._normalize = normalizer
        self._image = image
        self._append = append
        self._clock = clock
        self._steps = steps or Steps(clock)
        self._undo = [self._steps.set_back(self._set_back), self._steps.set_forward(self._clock_was_set)]
        self._under_way = 0  # by how much the clock was set, while a sample may have times from before
        self._under_way_until = 0.0
        self._awaited = 0
        self._disabled = disabled_tags
        self._max_delay = max_delay
        self._finds_tags = finds_tags
        self._value_type = value_type
        self._held: Batch | None = None
        self._held_since = asyncio.Event()
        self._files = Files(f"device {name}", files, clock, self._waits)
        self._judge = Judge()
        backoff = Backoff(first=FIRST_RETRY, cap=LONGEST_RETRY)
        self._supervisor = Supervisor(f"device {name}", clock=clock, backoff=backoff, report=self._lost)
        self._repeats = Repeats()
        self._failures = 0
        self._down_since = clock.monotonic()
        self._readings = {quality: metrics.READINGS.labels(name, quality) for quality in ("good", "uncertain", "bad")}
        self._up = metrics.DEVICE_UP.labels(name)
        self._last_good = metrics.DEVICE_LAST_GOOD.labels(name)
        self._bad = metrics.TAGS_BAD.labels(name)
        self._skipped = metrics.SCANS_SKIPPED.labels(name)
        self._tags = len(image.devices[name].tags) - len(disabled_tags)
        if max_delay:
            self._undo.append(image.settles(self._release))
        metrics.TAGS_CONFIGURED.labels(name).set(len(image.devices[name].tags))

    async def run(self) -> None:
        """Read the device until cancelled."""
        if self._disabled:
            self.take(Sample(ts=self._clock.now_ms(), answers=[_out_of_service(self._disabled, self._clock.now_ms())]))
        if not self._tags and not self._finds_tags:
            now = self._clock.now_ms()
            self._image.set_state(self.name, "offline", now=now, reason="disabled", causes=("disabled",))
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
        async with self._holding(), self._collector.open() as samples:
            async for sample in samples:
                attempt.healthy()
                self.take(sample)
                self._answers(sample)
        reason = "the collector ended without saying why"
        raise TransientError(reason)

    def _waits(self, reason: str) -> None:
        self._image.set_state(self.name, "offline", now=self._clock.now_ms(), reason=reason)

    def _set_back(self, by: int) -> None:
        self._release()
        self._normalize.set_back(by)
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
        batch = self._normalize(sample)
        if batch is None:
            return
        if not batch.backfill:
            self._image.update(batch)
        self._readings["good"].inc(len(batch.readings) - batch.bad - batch.uncertain)
        if batch.bad:
            self._readings["bad"].inc(batch.bad)
        if batch.uncertain:
            self._readings["uncertain"].inc(batch.uncertain)
        if self._max_delay and sample.outage is None and not batch.backfill:
            self._hold(batch)
        else:
            self._release()
            for append in self._append:
                append(batch)

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
        types = {position: self._value_type(position, carried(kind)) for position, kind in raw.items()}
        if self._image.describe(self.name, types):
            log.info("device.types_learned", device=self.name, tags=len(types))

    def _heed_snapshots(self) -> None:
        awaited = self._image.devices[self.name].awaited
        if awaited != self._awaited:
            self._awaited = awaited
            self._normalize.awaits(awaited)

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
                for append in self._append:
                    append(batch)

    def _declare(self, loss: Loss) -> None:
        """A loss before us has no sequence numbers; it is declared on every route, beside the readings."""
        info = self._image.devices[self.name].tags
        for append in self._append:
            append(
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

    def _hold(self, batch: Batch) -> None:
        held = self._held
        if held is not None and (
            held.cat != batch.cat
            or held.clock != batch.clock
            or len(held.readings) + len(batch.readings) > MAX_BATCH_READINGS
        ):
            self._release()
            held = None
        if held is None:  # ours alone until it is released, so that it may grow
            held = self._held = Batch(device=batch.device, ts=batch.ts, readings=[], cat=batch.cat, clock=batch.clock)
            self._held_since.set()
        held.ts = batch.ts
        held.readings.extend(batch.readings)
        held.bad += batch.bad
        held.uncertain += batch.uncertain
        if len(held.readings) >= MAX_BATCH_READINGS:
            self._release()

    def _release(self) -> None:
        batch, self._held = self._held, None
        self._held_since.clear()
        if batch is not None:
            for append in self._append:
                append(batch)

    @asynccontextmanager
    async def _holding(self) -> AsyncIterator[None]:
        """Batches wait up to `batch.max_delay` to become larger, and are let go at the end of the attempt."""
        if not self._max_delay:
            yield
            return
        try:
            async with asyncio.TaskGroup() as group:
                releaser = group.create_task(self._release_late(), name=f"batches of {self.name}")
                yield
                releaser.cancel()
        finally:
            self._release()

    async def _release_late(self) -> None:
        while True:
            await self._held_since.wait()
            await self._clock.sleep(self._max_delay)
            self._release()

    # --- state --------------------------------------------------------------------------------------------------------

    def _answers(self, sample: Sample) -> None:
        device = self._image.devices[self.name]
        self._bad.set(device.bad)
        if device.last_good is not None:
            self._last_good.set(device.last_good / 1000)
        if sample.skipped:
            self._skipped.inc(sample.skipped)
        condition = self._judge.answered(self._clock.monotonic(), sample, bad=device.bad, tags=self._tags)
        before = device.state
        changed = self._image.set_state(
            self.name,
            condition.state,
            now=sample.ts,
            reason=condition.reason,
            achieved_ms=condition.achieved_ms,
            causes=condition.causes,
        )
        if before == "offline":
            self._up.set(1)
            self._repeats.over("down")
            down_for = round(self._clock.monotonic() - self._down_since, 1)
            log.info("device.online", device=self.name, down_for=down_for, attempts=self._failures)
            self._failures = 0
        if condition.state == "degraded" and changed:
            repeats = self._repeats.due("degraded", self._clock.monotonic())
            if repeats is not None:
                log.warning(
                    "device.degraded",
                    device=self.name,
                    reason=condition.reason,
                    achieved_ms=condition.achieved_ms,
                    repeats=repeats,
                )
        elif before == "degraded" and condition.state == "online":
            log.info("device.recovered", device=self.name)

    def _lost(self, failure: Failure) -> None:
        now = self._clock.now_ms()
        self.take(Sample.lost(failure.reason, now))
        was_up = self._image.devices[self.name].state != "offline"
        if was_up or not self._failures:
            self._down_since = self._clock.monotonic()
        self._failures += 1
        self._up.set(0)
        self._bad.set(self._image.devices[self.name].bad)
        self._judge = Judge()
        cause: Cause = "misconfigured" if failure.kind == "permanent" else "silent"
        self._image.set_state(self.name, "offline", now=now, reason=failure.reason, causes=(cause,))
        repeats = self._repeats.due("down", self._clock.monotonic())
        if repeats is not None:
            log.warning(
                "device.offline",
                device=self.name,
                reason=failure.reason,
                retry_in_s=failure.retry_in_s,
                repeats=repeats,
            )


def _out_of_service(tags: tuple[int, ...], ts: int) -> Answer:
    return Answer(tags=tags, values=[None] * len(tags), ts=ts, status=BAD_OUT_OF_SERVICE, reason="disabled")
