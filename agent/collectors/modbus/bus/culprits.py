"""Who holds a bus up: transactions that took long, by unit. Pure; belongs to the bus.

While a unit keeps silent nobody else on its bus is served, so its neighbours miss cycles through no fault of theirs.
They are told who it is.
"""

from __future__ import annotations

from typing import NamedTuple

#: Transactions are remembered for so long, seconds, and only those that took at least so long.
WINDOW, LONG = 90.0, 0.1
_NAMED = 3  #: so many culprits are named


class _Took(NamedTuple):
    at: float
    unit: int
    seconds: float
    answered: bool


class Culprits:
    """What the long transactions of one bus cost, and whose they were."""

    def __init__(self) -> None:
        self._long: list[_Took] = []

    def took(self, now: float, unit: int, seconds: float, *, answered: bool) -> None:
        """A transaction has ended."""
        if seconds >= LONG:
            self._long.append(_Took(now, unit, seconds, answered))
            self._forget(now)

    def _forget(self, now: float) -> None:
        while self._long and self._long[0].at <= now - WINDOW:
            del self._long[0]

    def of(self, unit: int, now: float) -> str | None:
        """Who made `unit` late, in words; None where nobody else took more of the bus than it did itself."""
        self._forget(now)
        silent: dict[int, float] = {}
        slow: dict[int, float] = {}
        own = 0.0
        for one in self._long:
            if one.unit == unit:
                own += one.seconds
            else:
                which = slow if one.answered else silent
                which[one.unit] = which.get(one.unit, 0.0) + one.seconds
        found, verbs = silent, ("does not answer", "do not answer")
        if sum(slow.values()) > sum(silent.values()):
            found, verbs = slow, ("answers slowly", "answer slowly")
        if not found or sum(found.values()) <= own:
            return None
        return f"{_units(sorted(found))} on the same bus {verbs[len(found) > 1]}"


def _units(units: list[int]) -> str:
    named = [str(unit) for unit in units[:_NAMED]]
    if len(units) > _NAMED:
        named.append(f"{len(units) - _NAMED} more")
    if len(named) == 1:
        return f"unit {named[0]}"
    return f"units {', '.join(named[:-1])} and {named[-1]}"
