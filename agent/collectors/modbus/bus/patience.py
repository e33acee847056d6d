"""How long answers take behind a gateway that converts. Pure.

Such a gateway asks one unit after the other and has a time-out of its own, often 3 s. For so long a dead unit holds up
the requests behind it: a healthy unit answers late, and is not to blame. So after the first silence the next unit is
given more time; what comes late, or takes long then, tells how long the gateway takes, and from then on it is waited
for.
"""

from __future__ import annotations

from typing import NamedTuple

from agent.collectors.modbus.bus.gateway import NOT_THERE
from agent.collectors.modbus.bus.transaction import LateAnswer

_SILENCES = 3.5  #: time-outs of a silent unit for which a gateway may be held up, …
_AT_LEAST = 3.5  #: … and at least so many seconds
_MOST = 30.0  #: no gateway waits longer
_MARGIN = 1.1  #: it is not exact


class _Held(NamedTuple):
    """A request without an answer that may hold up the gateway."""

    unit: int
    asked_at: float
    until: float


class Patience:
    """What is known of one connection's gateway."""

    def __init__(self) -> None:
        self.learned = 0.0  #: seconds it may take to give a unit up; 0: not known, or nobody is held up
        self._held: _Held | None = None
        self._seen = False  #: what a silent unit does to the others has been looked at

    @property
    def known(self) -> bool:
        """Whether it is known what a silent unit does to the others."""
        return self._seen and self._held is None

    def held_up_by(self, unit: int) -> int | None:
        """The silent unit that may hold up the gateway while this one is asked."""
        return self._held.unit if self._held is not None and self._held.unit != unit else None

    def held_for(self, now: float) -> float:
        """Seconds for which a silent unit may still hold up the gateway; 0: nobody does, as far as is known."""
        return 0.0 if self._held is None else max(0.0, self._held.until - now)

    def timeout(self, unit: int, wanted: float, now: float) -> float:
        """Seconds to wait for this unit."""
        held = self._held
        if self.learned:
            return max(wanted, self.learned)
        if held is None or held.unit == unit or now >= held.until:
            return wanted
        return max(wanted, held.until - now)

    def silent(self, unit: int, asked_at: float, timeout: float, now: float) -> None:
        """A request had no answer."""
        if self._held is not None and self._held.unit != unit:
            self._held = None  # nobody answers: that is no gateway held up
        if self._held is None and not self.learned and not self._seen:
            self._seen = True
            self._held = _Held(unit, asked_at, max(asked_at + max(timeout * _SILENCES, _AT_LEAST), now))

    def answered(self, unit: int, asked_at: float, wanted: float, now: float) -> float | None:
        """A request was answered. Seconds the gateway takes, where that is news."""
        held = self._held
        if held is None or held.unit == unit:
            return None
        self._held = None
        if now - asked_at <= wanted:
            return None  # nobody was held up
        return self._learn(now - held.asked_at)

    def came_late(self, answer: LateAnswer) -> float | None:
        """What the gateway says itself, late, is how long it takes."""
        return self._learn(answer.seconds) if answer.code in NOT_THERE else None

    def _learn(self, seconds: float) -> float | None:
        seconds = min(seconds * _MARGIN, _MOST)
        if seconds <= self.learned:
            return None
        self._held, self.learned = None, seconds
        return seconds
