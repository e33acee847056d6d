"""Somebody sets the wall clock while we run.

Forward, only what is under way has times from before, which move along. Back would make liars of us: the time of a tag
never goes back within a live lane, so everything read from then on would be said for the time the clock was set back
from, until it gets there again. So who stamps is told at once, the times that lie in the future now move with the
clock, and every route begins another session.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import structs

from agent.core.clock import Clock
from agent.core.flow import Sample
from agent.telemetry.bugs import Bugs
from agent.telemetry.logging import get_logger

#: The wall clock moving against the monotonic one by more than this was set, milliseconds. Less is waited out.
STEP_MS = 1000

#: No sample is under way for longer, milliseconds.
LONGEST_SAMPLE_MS = 300_000

log = get_logger("pulse")


class Steps:
    """Notices them, and tells those who asked how far (milliseconds, back is below zero)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset = self._wall()
        self._bugs = Bugs("clock steps")
        self._back: dict[object, Callable[[int], None]] = {}
        self._last: dict[object, Callable[[int], None]] = {}
        self._forward: dict[object, Callable[[int], None]] = {}

    def set_back(self, tell: Callable[[int], None], *, last: bool = False) -> Callable[[], None]:
        """Call `tell(by)` when the clock was set back, `last`: after all others; the returned function ends that."""
        return _register(self._last if last else self._back, tell)

    def set_forward(self, tell: Callable[[int], None]) -> Callable[[], None]:
        """Call `tell(by)` when the clock was set forward; the returned function ends that."""
        return _register(self._forward, tell)

    def _wall(self) -> int:
        """Wall clock minus monotonic clock: it changes only when somebody sets the clock."""
        return self._clock.now_ms() - int(self._clock.monotonic() * 1000)

    def look(self) -> None:
        """Called before a time is stamped, and by the pulse."""
        by = self._wall() - self._offset
        if -STEP_MS <= by <= STEP_MS:
            return
        self._offset += by
        log.warning("agent.clock_stepped", seconds=by / 1000)
        for tell in [*self._back.values(), *self._last.values()] if by < 0 else tuple(self._forward.values()):
            try:
                tell(by)
            except Exception as error:  # noqa: BLE001 - the others must know, and whoever looked goes on
                self._bugs.met(error)


def _register(where: dict[object, Callable[[int], None]], tell: Callable[[int], None]) -> Callable[[], None]:
    key = object()
    where[key] = tell

    def undo() -> None:
        where.pop(key, None)

    return undo


def put_right(sample: Sample, by: int, now: int) -> Sample:
    """A sample that was under way when the clock was set: what it has of our own times from before moves along.

    After a step back they lie in the future. After one forward they are older than anything under way can be: a clock
    that was never set may be years behind. A step too small to tell by leaves them alone.
    """

    def before(ts: int) -> bool:
        return ts > now if by < 0 else ts < now - LONGEST_SAMPLE_MS

    if before(sample.ts) or any(before(answer.ts) for answer in sample.answers):
        answers = [structs.replace(one, ts=one.ts + by) if before(one.ts) else one for one in sample.answers]
        return structs.replace(sample, ts=sample.ts + by if before(sample.ts) else sample.ts, answers=answers)
    return sample
