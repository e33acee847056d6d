"""Since when a unit keeps silent: known long before enough requests were in vain to call it lost. Pure.

One silence is nothing yet: whoever is there answers the next request at once. Only where none does for a moment is
silence told, of those that wait: all units behind a dead gateway, before each of them was asked. Where a unit that is
there takes its time, it is waited for: one dead unit beside slow ones is no dead gateway.
"""

from __future__ import annotations

from typing import NamedTuple

_MOMENT = 0.5  #: seconds after a silence in which an answer makes it one lost packet
_FORGETS = 0.9  #: what one quick answer leaves of the time a slow one took


class _Silence(NamedTuple):
    asked_at: float  #: monotonic
    ended_at: float


class Quiet:
    """Silences of one bus that no answer has ended."""

    def __init__(self) -> None:
        self._units: dict[int, _Silence] = {}
        self._bus: _Silence | None = None  #: the first since anybody answered
        self._ended = 0.0  #: when the newest silence ended
        self._took: dict[int, float] = {}  #: seconds an answer takes: the slowest of late

    def silent(self, unit: int, asked_at: float, now: float) -> None:
        """A unit did not answer in time."""
        silence = _Silence(asked_at, now)
        self._units.setdefault(unit, silence)
        self._bus, self._ended = self._bus or silence, now

    def asked(self, now: float) -> None:
        """The next request goes out: a moment in which nobody was asked has shown nothing."""
        if self._bus is not None:
            self._bus = self._bus._replace(ended_at=self._bus.ended_at + now - self._ended)
            self._ended = now

    def answered(self, unit: int, asked_at: float, now: float, *, there: bool = True) -> None:
        """It did; not `there`: its gateway, in its place."""
        self._bus = None
        if there:
            self._units.pop(unit, None)
            self._took[unit] = max(now - asked_at, self._took.get(unit, 0.0) * _FORGETS)
        else:
            self._units.setdefault(unit, _Silence(asked_at, asked_at))

    def forget(self, unit: int) -> None:
        """Nobody asks it any more."""
        self._units.pop(unit, None)
        self._took.pop(unit, None)

    def since(self, unit: int, now: float, *, waits: bool) -> float | None:
        """Since when (monotonic) there is no answer; `waits`: the unit has asked for something."""
        own, bus = self._units.get(unit), self._bus
        told = [] if own is None or now - own.ended_at < _MOMENT else [own.asked_at]
        if bus is not None and (waits or own is not None):
            slowest = max(self._took.values(), default=0.0)
            told += [bus.asked_at] if now - bus.ended_at >= _MOMENT + slowest else []
        return min(told, default=None)
