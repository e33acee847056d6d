"""What the units of one bus need, as their devices say. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class _Need(NamedTuple):
    unit: int
    pause: float
    any_unit: bool


class Needs:
    """Of all devices of a bus together."""

    def __init__(self) -> None:
        self.pauses: dict[int, float] = {}  #: seconds before and after a unit's requests
        self.any_unit: set[int] = set()  #: units that answer with another unit id
        self.alone = False  #: a single unit, that cannot hurt another
        self._said: dict[object, _Need] = {}

    def add(self, unit: int, pause: float, *, any_unit: bool) -> Callable[[], None]:
        """What one unit needs, until the undo is called."""
        key = object()
        self._said[key] = _Need(unit, pause, any_unit)
        self._sum_up()

        def undo() -> None:
            self._said.pop(key, None)
            self._sum_up()

        return undo

    def _sum_up(self) -> None:
        self.pauses.clear()
        self.any_unit.clear()
        for unit, pause, any_unit in self._said.values():
            if pause:
                self.pauses[unit] = max(pause, self.pauses.get(unit, 0.0))
            if any_unit:
                self.any_unit.add(unit)
        self.alone = len({need.unit for need in self._said.values()}) == 1
