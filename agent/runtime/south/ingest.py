"""Samples of one device → readings, in the image and in the outboxes.

    sample ─▶ normalizer ─▶ batch ─▶ image, held back for `batch.max_delay`, outbox of each route

Nothing here waits for anything up north: appending to an outbox returns at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import structs

from agent.core.clock import Clock
from agent.core.flow import Answer, Batch, Gap, Loss, Sample, TagFacts
from agent.core.ids import ulid
from agent.core.image import Image
from agent.core.quality import BAD_OUT_OF_SERVICE
from agent.core.text import carried
from agent.runtime.south.holding import Holding
from agent.runtime.south.work import Work
from agent.runtime.steps import LONGEST_SAMPLE_MS, Steps, put_right
from agent.telemetry import metrics
from agent.telemetry.logging import get_logger

log = get_logger("device")


class Ingest:
    """Takes the samples of one device. `append` is the outlet of its batches."""

    def __init__(
        self,
        name: str,
        work: Work,
        image: Image,
        append: Callable[[Batch | Gap], None],
        *,
        clock: Clock,
        steps: Steps,
        max_delay: float,
    ) -> None:
        self.work = work
        self.holding = Holding(name, max_delay, append, clock)
        self.tags = 0  #: that are read: those of the configuration, and those that were found
        self._name = name
        self._image = image
        self._append = append
        self._clock = clock
        self._steps = steps
        self._undo = [steps.set_back(self._set_back), steps.set_forward(self._clock_was_set)]
        if max_delay:
            self._undo.append(image.settles(self.holding.release))
        self._under_way = 0  # by how much the clock was set, while a sample may have times from before
        self._under_way_until = 0.0
        self._awaited = 0
        self._good, self._uncertain, self._bad = (
            metrics.READINGS.labels(name, quality) for quality in ("good", "uncertain", "bad")
        )
        self._count_tags()

    def end(self) -> None:
        """Nothing of it is left behind."""
        while self._undo:
            self._undo.pop()()

    def go_on(self, work: Work) -> None:
        """Other tags from now on."""
        self.work = work
        self._count_tags()

    def say_disabled(self, tags: tuple[int, ...]) -> None:
        """These are not read."""
        if tags:
            now = self._clock.now_ms()
            nothing = [None] * len(tags)
            out_of_service = Answer(tags=tags, values=nothing, ts=now, status=BAD_OUT_OF_SERVICE, reason="disabled")
            self.take(Sample(ts=now, answers=[out_of_service]))

    def take(self, sample: Sample) -> None:
        """Normalize a sample and hand its readings on. Never waits."""
        self._steps.look()
        if self._under_way:
            sample = put_right(sample, self._under_way, self._clock.now_ms())
            if self._clock.monotonic() > self._under_way_until:
                self._under_way = 0
        if sample.complaint is not None or sample.found or sample.facts or sample.types or sample.losses:
            self._heed_device(sample)
        awaited = self._image.devices[self._name].awaited
        if awaited != self._awaited:
            self._awaited = awaited
            self.work.normalizer.awaits(awaited)
        batch = self.work.normalizer(sample)
        if batch is None:
            return
        if not batch.backfill:
            self._image.update(batch)
        self._good.value += len(batch.readings) - batch.bad - batch.uncertain
        self._bad.value += batch.bad
        self._uncertain.value += batch.uncertain
        self.holding.put(batch, wait=sample.outage is None and not batch.backfill)

    def _heed_device(self, sample: Sample) -> None:
        """What the device says beside its readings; any text of it may be broken."""
        if sample.complaint is not None:
            sample.complaint = carried(sample.complaint)
        if sample.found:
            sample.found = [carried(name) for name in sample.found]
            self._find(sample.found, sample.facts or {})
        if sample.facts:
            self._tell(sample.facts)
        if sample.types:
            self._learn(sample.types)
        for loss in sample.losses:
            self._declare(loss)

    def _learn(self, raw: Mapping[int, str]) -> None:
        types = {position: self.work.value_type(position, carried(kind)) for position, kind in raw.items()}
        if self._image.describe(self._name, types):
            log.info("device.types_learned", device=self._name, tags=len(types))

    def _find(self, names: Sequence[str], facts: Mapping[int, TagFacts]) -> None:
        """The device has tags nobody configured. One that had none begins with a snapshot, as every device does."""
        first = len(self._image.devices[self._name].tags)
        bare = not first
        self._image.extend(
            self._name, [self.work.found_info(name, facts.get(at)) for at, name in enumerate(names, first)]
        )
        self.tags += len(names)
        metrics.TAGS_CONFIGURED.labels(self._name).inc(len(names))
        if bare:
            for batch in self._image.snapshot(
                self._name, self._clock.now_ms(), clock=None if self._clock.synced else "unsynced"
            ):
                self._append(batch)

    def _tell(self, facts: Mapping[int, TagFacts]) -> None:
        """What the device says about tags it was found to have; types that were learned stay."""
        tags = self._image.devices[self._name].tags
        said = {at: self.work.found_info(tags[at].tag, one) for at, one in facts.items()}
        self._image.revise(self._name, {at: structs.replace(info, type=tags[at].type) for at, info in said.items()})

    def _declare(self, loss: Loss) -> None:
        """A loss before us has no sequence numbers; it is declared on every route, beside the readings."""
        info = self._image.devices[self._name].tags
        self._append(
            Gap(
                id=ulid(self._clock.now_ms()),
                kind="missed",
                device=self._name,
                from_ts=loss.from_ts,
                to_ts=loss.to_ts,
                reason=carried(loss.reason),
                tags=None if loss.tags is None else [info[position].tag for position in loss.tags],
                readings=loss.readings,
            )
        )

    # --- the clock, and the number of tags ----------------------------------------------------------------------------

    def _set_back(self, by: int) -> None:
        self.holding.release()
        self.work.normalizer.set_back(by)
        self._clock_was_set(by)

    def _clock_was_set(self, by: int) -> None:
        self._under_way, self._under_way_until = by, self._clock.monotonic() + LONGEST_SAMPLE_MS / 1000

    def _count_tags(self) -> None:
        configured = len(self._image.devices[self._name].tags)
        self.tags = configured - len(self.work.disabled_tags)
        metrics.TAGS_CONFIGURED.labels(self._name).set(configured)
