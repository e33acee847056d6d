"""A device under a normalizer, read at a second's pace."""

from __future__ import annotations

from typing import Any

from agent.core.flow import Answer, Batch, Reading, Sample
from agent.core.quality import number_of
from agent.normalize import compile_normalizer
from agent.settings.tags import TagBase
from agent.testing.clock import ManualClock

T0 = 1_763_760_000_000
GOOD = 0


class Bench:
    """One device with given tags, read at a second's pace."""

    def __init__(self, *tags: dict[str, Any], **options: Any) -> None:
        self.clock = ManualClock(T0)
        table = {f"t{n}": TagBase.model_validate(keys) for n, keys in enumerate(tags)}
        self.tags = tuple(range(len(table)))
        self.normalize = compile_normalizer("d", table, cat=lambda: 3, clock=self.clock, **options)

    def wait(self, seconds: float = 1.0) -> None:
        """Time passes; nobody sleeps on this clock."""
        self.clock._move_to(self.clock.monotonic() + seconds)

    def batch(self, *values: Any, tags: tuple[int, ...] | None = None, **columns: Any) -> Batch | None:
        """One answer, arrived now."""
        now = self.clock.now_ms()
        answer = Answer(tags=self.tags if tags is None else tags, values=list(values), ts=now, **columns)
        return self.normalize(Sample(ts=now + 3, answers=[answer]))

    def read(self, *values: Any, **columns: Any) -> list[Reading]:
        """Readings of one answer."""
        batch = self.batch(*values, **columns)
        return [] if batch is None else batch.readings

    def warm(self, *values: Any, **columns: Any) -> None:
        """Three scans, so that the column is compiled and past its first readings."""
        for _ in range(3):
            self.read(*values, **columns)
            self.wait()

    def lost(self, reason: str = "no route") -> list[Reading]:
        """The device is lost now."""
        batch = self.normalize(Sample.lost(reason, self.clock.now_ms()))
        return [] if batch is None else batch.readings

    def quiet(self) -> list[Reading]:
        """The subscription says: unchanged."""
        batch = self.normalize(Sample(ts=self.clock.now_ms()))
        return [] if batch is None else batch.readings


def value_of(keys: dict[str, Any], raw: Any) -> Any:
    """The value of `raw` under one tag's keys, which must be good."""
    (reading,) = Bench(keys).read(raw)
    assert reading.quality == "good", reading
    return reading.value


def bad_of(keys: dict[str, Any], raw: Any) -> str | None:
    """The code of `raw` under one tag's keys, which must be bad and without a value."""
    (reading,) = Bench(keys).read(raw)
    assert (reading.quality, reading.value) == ("bad", None)
    assert reading.reason
    assert reading.status == number_of(reading.code or "")
    return reading.code
