"""The condition of a device that answers: online or degraded. Pure, with hysteresis so that a status does not flap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: Cycles must have been on time for this long before a slow device counts as recovered, seconds.
CALM = 30.0
#: A new achieved period is news only beyond this ratio to the one said.
NEWS = 1.25


@dataclass(frozen=True, slots=True)
class Condition:
    """What to say of a device that answers."""

    state: Literal["online", "degraded"]
    reason: str | None = None
    achieved_ms: int | None = None


class Judge:
    """Remembers slowness of one device."""

    def __init__(self) -> None:
        self._late_at: float | None = None
        self._achieved: int | None = None

    def answered(
        self,
        now: float,
        *,
        skipped: int,
        achieved_ms: int | None,
        bad: int,
        tags: int,
        complaint: str | None = None,
    ) -> Condition:
        """The condition after a sample; `now` in monotonic seconds, `bad` of `tags` read tags are bad.

        `complaint`: what the device says of itself.
        """
        if skipped:
            self._late_at = now
            if achieved_ms is not None:
                said = self._achieved
                if said is None or not said / NEWS <= achieved_ms <= said * NEWS:
                    self._achieved = achieved_ms
        elif self._late_at is not None and now - self._late_at >= CALM:
            self._late_at = self._achieved = None
        reasons = []
        if self._late_at is not None:
            reasons.append("slower than its interval, cycles are skipped")
        if complaint is not None:
            reasons.append(complaint)
        if bad:
            reasons.append(f"{bad} of {tags} tags are bad")
        if reasons:
            return Condition("degraded", "; ".join(reasons), self._achieved)
        return Condition("online")
