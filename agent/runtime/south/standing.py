"""How a device stands: its state in the image, in the metrics and in the log."""

from __future__ import annotations

from agent.core.clock import Clock
from agent.core.flow import Sample
from agent.core.image import Cause, Image
from agent.runtime.south.condition import ONLINE, Judge
from agent.runtime.supervisor import Failure
from agent.telemetry import metrics
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Flapping

log = get_logger("device")


class Standing:
    """Of one device, for as long as it is read."""

    def __init__(self, name: str, image: Image, clock: Clock) -> None:
        self._name = name
        self._image = image
        self._clock = clock
        self._judge = Judge()
        self._offline = Flapping(said=True)
        self._degraded = Flapping()
        self._failures = 0
        self._down_since = clock.monotonic()
        self._up = metrics.DEVICE_UP.labels(name)
        self._last_good = metrics.DEVICE_LAST_GOOD.labels(name)
        self._bad = metrics.TAGS_BAD.labels(name)
        self._skipped = metrics.SCANS_SKIPPED.labels(name)

    def answered(self, sample: Sample, tags: int) -> None:
        """The device has answered; its readings are in the image. So many `tags` are read."""
        device = self._image.devices[self._name]
        device.heard = sample.ts
        self._bad.value = device.bad
        if device.last_good is not None:
            self._last_good.value = device.last_good / 1000
        if sample.skipped:
            self._skipped.inc(sample.skipped)
        condition = self._judge.answered(self._clock.monotonic(), sample, bad=device.bad, tags=tags)
        if condition is ONLINE and device.state == "online" and device.reason is None:
            return
        before = device.state
        changed = self._image.set_state(
            self._name, condition.state, now=sample.ts, reason=condition.reason, achieved_ms=condition.achieved_ms,
            causes=condition.causes,
        )  # fmt: skip
        if before == "offline":
            self._up.set(1)
            down_for = round(self._clock.monotonic() - self._down_since, 1)
            if self._offline.ended():
                log.info("device.online", device=self._name, down_for=down_for, attempts=self._failures)
            self._failures = 0
        if condition.state == "degraded" and (changed or not self._degraded.said):
            if (repeats := self._degraded.lasts(self._clock.monotonic(), news=changed)) is not None:
                log.warning(
                    "device.degraded", device=self._name, reason=condition.reason, achieved_ms=condition.achieved_ms,
                    repeats=repeats,
                )  # fmt: skip
        elif before == "degraded" and condition.state == "online" and self._degraded.ended():
            log.info("device.recovered", device=self._name)

    def lost(self, failure: Failure, now: int) -> None:
        """The connection to it is; its tags are bad in the image already. `now`: epoch milliseconds."""
        device = self._image.devices[self._name]
        if device.state != "offline" or not self._failures:
            self._down_since = self._clock.monotonic()
        self._failures += 1
        self._up.set(0)
        self._bad.set(device.bad)
        self._judge = Judge()
        cause: Cause = "misconfigured" if failure.kind == "permanent" else "silent"
        self._image.set_state(self._name, "offline", now=now, reason=failure.reason, causes=(cause,))
        self._degraded.ended()
        if (repeats := self._offline.lasts(self._clock.monotonic())) is not None:
            log.warning(
                "device.offline", device=self._name, reason=failure.reason, retry_in_s=failure.retry_in_s,
                repeats=repeats,
            )  # fmt: skip
