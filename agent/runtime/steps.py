"""Somebody sets the wall clock while we run.

Forward is no harm. Back would make liars of us: the time of a tag never goes back within a live lane, so everything
read from then on would be said for the time the clock was set back from, until it gets there again. So who stamps is
told at once, the times that lie in the future now move with the clock, and every route begins another session.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import structs

from agent.core.clock import Clock
from agent.core.flow import Answer, Sample
from agent.telemetry.logging import get_logger

#: The wall clock moving against the monotonic one by more than this was set, milliseconds. Less is waited out.
STEP_MS = 1000

log = get_logger("pulse")


class Steps:
    """Notices them, and tells `set_back` how far (milliseconds, below zero), in the order they were added."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset = self._wall()
        self.set_back: list[Callable[[int], None]] = []

    def _wall(self) -> int:
        """Wall clock minus monotonic clock: it changes only when somebody sets the clock."""
        return self._clock.now_ms() - int(self._clock.monotonic() * 1000)

    def look(self) -> None:
        """Whoever is about to stamp looks first; so does the pulse."""
        by = self._wall() - self._offset
        if -STEP_MS <= by <= STEP_MS:
            return
        self._offset += by
        log.warning("agent.clock_stepped", seconds=by / 1000)
        if by < 0:
            for tell in self.set_back:
                tell(by)


def put_right(sample: Sample, by: int, now: int) -> Sample:
    """A sample that was under way when the clock was set back: what it has of our own times from before moves along."""
    if sample.ts > now or any(answer.ts > now for answer in sample.answers):
        answers = [_put_right(answer, by, now) for answer in sample.answers]
        return structs.replace(sample, ts=_moved(sample.ts, by, now), answers=answers)
    return sample


def _put_right(answer: Answer, by: int, now: int) -> Answer:
    return structs.replace(answer, ts=_moved(answer.ts, by, now)) if answer.ts > now else answer


def _moved(ts: int, by: int, now: int) -> int:
    return ts + by if ts > now else ts
