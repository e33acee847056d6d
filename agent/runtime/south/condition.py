"""The condition of a device that answers: online or degraded, and which device is the cause. Pure, with hysteresis, so
that a status does not flap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agent.core.flow import Sample
from agent.core.image import Cause

#: Cycles must have been on time for this long before a slow device counts as recovered, seconds.
CALM = 30.0
#: A new achieved period is news only beyond this ratio to the one published.
NEWS = 1.25
#: A device that is back is not judged by tags that are bad since it was lost, until it has told of one, or seconds.
SETTLES = 10.0
#: Who is late because of a neighbour stays online while it meets this share of its cycles, and is so again from there.
MEETS, MEETS_AGAIN = 0.9, 0.92


@dataclass(frozen=True, slots=True)
class Condition:
    """What to publish of a device that answers."""

    state: Literal["online", "degraded"]
    reason: str | None = None
    achieved_ms: int | None = None
    causes: tuple[Cause, ...] = ()


#: That of a device with which all is well, the very same each time.
ONLINE = Condition("online")


class Judge:
    """Remembers slowness of one device, from one loss of it to the next."""

    def __init__(self) -> None:
        self._settled_at: float | None = None
        self._late_at: float | None = None
        self._achieved: int | None = None
        self._blame: str | None = None
        self._misses = False  #: too many cycles, although a neighbour is to blame

    def answered(self, now: float, sample: Sample, *, bad: int, tags: int) -> Condition:
        """The condition after a sample; `now` in monotonic seconds, `bad` of `tags` read tags are bad."""
        if sample.answers:
            self._settled_at = now
        elif self._settled_at is None:
            self._settled_at = now + SETTLES
        if not (bad or sample.skipped or sample.complaint is not None or self._late_at is not None):
            return ONLINE
        self._keep_pace(now, sample)
        reasons: list[str] = []
        causes: list[Cause] = []
        state: Literal["online", "degraded"] = "online"
        if self._late_at is not None and self._blame is not None:
            reasons.append(f"cycles are late because {self._blame}")
            causes.append("neighbour")
            state = "degraded" if self._misses else "online"
        elif self._late_at is not None:
            reasons.append("slower than its interval, cycles are skipped")
            causes.append("late")
        if sample.complaint is not None:
            reasons.append(sample.complaint)
            causes.append("complaint")
        if bad and now >= self._settled_at:
            reasons.append(f"{bad} of {tags} tags are bad")
            causes.append("tags")
        if not reasons:
            return ONLINE
        if causes != ["neighbour"]:
            state = "degraded"
        return Condition(state, "; ".join(reasons), self._achieved, tuple(causes))

    def _keep_pace(self, now: float, sample: Sample) -> None:
        if sample.skipped:
            self._late_at, self._blame = now, sample.blame
        elif self._late_at is not None and now - self._late_at >= CALM:
            self._late_at = self._achieved = self._blame = None
        if self._late_at is None:
            self._misses = False
            return
        self._misses = sample.met < (MEETS_AGAIN if self._misses else MEETS)
        achieved = sample.achieved_ms
        if achieved is not None and not (self._achieved and self._achieved / NEWS <= achieved <= self._achieved * NEWS):
            self._achieved = achieved
