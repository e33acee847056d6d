"""Since when a unit keeps silent: known long before enough requests were in vain to call it lost. Pure.

One silence is nothing yet: whoever is there answers the next request at once. Only where none does for a moment is
silence told, of those that wait: all units behind a dead gateway, before each of them was asked.
"""

from __future__ import annotations

from typing import NamedTuple

_MOMENT = 0.5  #: seconds after a silence in which an answer makes it one lost packet


class _Silence(NamedTuple):
    asked_at: float  #: monotonic
    ended_at: float


class Quiet:
    """Silences of one bus that no answer has ended."""

    def __init__(self) -> None:
        self._units: dict[int, _Silence] = {}
        self._bus: _Silence | None = None  #: the first since anybody answered

    def silent(self, unit: int, asked_at: float, now: float) -> None:
        """A unit did not answer in time."""
        silence = self._units.setdefault(unit, _Silence(asked_at, now))
        self._bus = self._bus or silence

    def answered(self, unit: int, gateway_since: float | None = None) -> None:
        """It did; or its gateway in its place, to what was asked at this time."""
        self._bus = None
        if gateway_since is None:
            self._units.pop(unit, None)
        else:
            self._units.setdefault(unit, _Silence(gateway_since, gateway_since))

    def forget(self, unit: int) -> None:
        """Nobody asks it any more."""
        self._units.pop(unit, None)

    def since(self, unit: int, now: float, *, waits: bool) -> float | None:
        """Since when (monotonic) there is no answer; `waits`: the unit has asked for something."""
        silence = self._units.get(unit) or (self._bus if waits else None)
        return None if silence is None or now - silence.ended_at < _MOMENT else silence.asked_at
