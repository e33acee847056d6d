"""Which units of a bus may be asked now: the dead must not take the time of the living. Pure but for the clock.

A unit that answers is asked whenever it wants. All that are lost share a tenth of the time, whatever their number, as
long as there is anybody who answers. One nobody knows yet is asked as soon as nobody else wants to, and not waited for
much longer than the others take: where it is only slow, its late answer shows that it is there.
"""

from __future__ import annotations

from agent.collectors.modbus.bus.allowance import Allowance
from agent.core.clock import Clock

_SHARE = 1 / 13  #: of the time for all that are lost, so that the others begin nine cycles in ten on time
_FIRST = 2  #: requests to a unit that never answered for which nobody waits long, …
_SLOWER, _QUICK = 10.0, 0.2  #: … so many times what others take, but at least so many seconds
_COSTLY = 0.1  #: seconds of a refusal from which on it costs the others more than a value would
_BARREN, _BARREN_FOR = 3, 10.0  #: such refusals in a row, and seconds they go on, after which a unit counts as lost
_LATELY = 4  #: answers whose times are remembered, about


class UnitStanding:
    """What the units of one bus have shown of themselves."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._alive: set[int] = set()
        self._lost: set[int] = set()
        self._barren: dict[int, tuple[int, float]] = {}  #: costly refusals in a row, and when they began
        self._asked: dict[int, int] = {}  #: how often units were asked that have never answered
        self._usual = 0.0  #: seconds an answer takes: a mean that forgets, so that one hiccup does not count for long
        self._allowance = Allowance(clock.monotonic(), _SHARE)

    def answered(self, unit: int, seconds: float) -> None:
        """It answered something of its own, in so much time; 0: in a time that says nothing."""
        if seconds:
            self._usual += (seconds - self._usual) / (_LATELY if self._usual else 1)
        self._barren.pop(unit, None)
        if unit not in self._alive:
            self._alive.add(unit)
            self._lost.discard(unit)
            self._asked.pop(unit, None)

    def refused(self, unit: int, seconds: float) -> None:
        """It answered with an exception, after so much time. Some gateways say so of units that are not there."""
        if seconds < _COSTLY:
            self.answered(unit, seconds)
            return
        now = self._clock.monotonic()
        times, since = self._barren.get(unit, (0, now))
        if times >= _BARREN and now - since >= _BARREN_FOR:
            self.lost(unit)
        else:
            self.answered(unit, 0.0)
        self._barren[unit] = times + 1, since
        self.silent(unit, seconds)

    def patience(self, unit: int, wanted: float) -> float:
        """Seconds to wait for this unit."""
        if unit in self._alive or unit in self._lost or not self._alive:
            return wanted
        asked = self._asked[unit] = self._asked.get(unit, 0) + 1
        return wanted if asked > _FIRST else min(wanted, max(_QUICK, self._usual * _SLOWER))

    def lost(self, unit: int) -> None:
        """Its collector has given it up until it answers a probe."""
        self._alive.discard(unit)
        self._lost.add(unit)

    def forget(self, unit: int) -> None:
        """Nobody reads it any more."""
        self._alive.discard(unit)
        self._lost.discard(unit)
        self._barren.pop(unit, None)

    def silent(self, unit: int, seconds: float) -> None:
        """It did not answer, and that took so long."""
        if unit not in self._alive and self._alive:
            self._allowance.spend(seconds)

    def wait(self, unit: int) -> float:
        """Seconds until it may be asked for the sake of the others."""
        if not self._alive or unit not in self._lost:
            return 0.0
        self._allowance.earn(self._clock.monotonic())
        return self._allowance.wait

    def unproven(self, unit: int, silent: int) -> bool:
        """Whether another unit, known to answer, shows better what the silent one does to the rest of the bus."""
        return unit >= 0 and unit not in self._alive and not self._alive <= {silent}

    def waits_behind(self, unit: int) -> bool:
        """Whether others go first."""
        if unit in self._alive or not self._alive:
            return False
        self._allowance.earn(self._clock.monotonic())
        return not self._allowance.free
