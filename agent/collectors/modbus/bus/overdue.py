"""Answers that were given up on and may still come: whom they keep from being asked, and for how long. Pure.

They are remembered over connections: a serial server may pass a request on after its client has gone.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import NamedTuple

from agent.collectors.modbus.bus.framing import Form

#: An answer later than this never comes, seconds.
FORGET = 60.0


class Overdue(NamedTuple):
    """One of them. Times are monotonic seconds."""

    unit: int
    form: Form
    asked_at: float
    until: float  #: its unit rests so long
    on: object  #: the connection it was asked on

    def concerns(self, unit: int, any_unit: AbstractSet[int]) -> bool:
        """Whether it may be mistaken for an answer of this unit. `any_unit`: those that answer with another unit id."""
        return unit == self.unit or (unit >= 0 and (self.form.unit is None or unit in any_unit))


class OverdueAnswers:
    """Of one way to a bus, whatever connections it has had."""

    def __init__(self) -> None:
        self._all: list[Overdue] = []

    @property
    def forms(self) -> list[Form]:
        """What they would look like."""
        return [one.form for one in self._all]

    def add(self, overdue: Overdue) -> None:
        """The answer did not come."""
        self._all = [one for one in self._all if (one.unit, one.form) != (overdue.unit, overdue.form)]
        self._all.append(overdue)

    def came(self, form: Form) -> Overdue:
        """It has come; `form` is one of :attr:`forms`, itself."""
        found = next(one for one in self._all if one.form is form)
        self._all.remove(found)
        return found

    def in_step(self, unit: int, any_unit: AbstractSet[int]) -> None:
        """The unit has answered something that cannot be mistaken: what it owed does not come any more."""
        self._all = [one for one in self._all if not one.concerns(unit, any_unit)]

    def forget(self, now: float) -> None:
        """Those that are too old to come."""
        self._all = [one for one in self._all if one.until > now - FORGET]

    def rest(self, unit: int, any_unit: AbstractSet[int], now: float) -> float:
        """Seconds until this unit may be asked."""
        return max((one.until - now for one in self._all if one.concerns(unit, any_unit)), default=0.0)

    def on(self, connection: object, unit: int, any_unit: AbstractSet[int]) -> bool:
        """Whether one for this unit is owed on this connection."""
        return any(one.on is connection and one.concerns(unit, any_unit) for one in self._all)

    def sizes(self, unit: int, any_unit: AbstractSet[int]) -> set[int]:
        """Sizes that an answer of this unit must not have now."""
        return {one.form.size for one in self._all if one.concerns(unit, any_unit)}
