"""A Modbus unit that has what the tags of a configuration ask for, and nothing else. Pure."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter

from agent.collectors.modbus.blocks.layout import Layout
from agent.collectors.modbus.blocks.plan import plan
from agent.collectors.modbus.config import ModbusConfig
from agent.collectors.modbus.tags.points import TIMES, ModbusPoint
from agent.settings.tags import TagBase
from agent.simulator.modbus import Unit
from agent.simulator.points import Area
from agent.simulator.rehearsal.encode import Raw, limits_of, words_of
from agent.simulator.rehearsal.signals import Signal

#: The decimal exponent that scale factors of a rehearsal say.
EXPONENT = -1
_LARGEST = 2000  #: no value takes more registers or bits


@dataclass(frozen=True, slots=True)
class _Spot:
    """One point, and what it says."""

    offset: int
    point: ModbusPoint
    signal: Signal | None  #: None: a scale factor
    exponent: int = 0  #: its value is multiplied with ten to the power of this by whoever reads it
    nulls: tuple[object, ...] = ()

    @property
    def merged(self) -> bool:
        """Whether it is only a part of its registers."""
        return self.point.form.bit is not None or self.point.form.bits is not None


class StandIn(Unit):
    """Takes the place of one unit. What a block of the agent covers beside its tags reads 0."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        super().__init__()
        self._now_ms = now_ms
        self._spots: dict[Area, list[_Spot]] = {"coil": [], "discrete": [], "input": [], "holding": []}
        self._there: dict[Area, set[int]] = {"coil": set(), "discrete": set(), "input": set(), "holding": set()}

    def take_in(self, name: str, device: ModbusConfig) -> None:
        """Have the tags of this device, too."""
        layout, tags = device.layout(), list(device.tags.items())
        for points in _reads(layout):
            for block in plan([one for one in points if one.position not in layout.unread], device.limits):
                self._there[block.area].update(range(block.offset, block.offset + block.count))
            factors = {point.factor for point in points if point.factor is not None}
            exponent = {one.position: 0 if one.form.type == "uint16" else EXPONENT for one in points}
            for point in points:
                if point.position in factors or point.position >= len(tags):
                    spot = _Spot(point.offset, point, None, exponent[point.position])
                else:
                    tag, keys = tags[point.position]
                    nulls = _nulls(keys.for_normalizer(device.null_values), point)
                    scaled = exponent[point.factor] if point.factor is not None else 0
                    spot = _Spot(point.offset, point, Signal(name, tag, keys), scaled, nulls)
                insort(self._spots[point.area], spot, key=attrgetter("offset"))
                self._there[point.area].update(range(point.offset, point.end))

    def cells(self, area: Area, address: int, count: int, t: float) -> list[int] | None:
        """The values at t seconds; None where one of these places is in no tag's block."""
        places = range(address, address + count)
        if not self._there[area].issuperset(places):
            return None
        found = dict.fromkeys(range(address - _LARGEST, address + count + _LARGEST), 0)
        near = list(self._near(area, address, count))
        for spot in [*(one for one in near if not one.merged), *(one for one in near if one.merged)]:
            point = spot.point
            if area in ("coil", "discrete"):
                assert spot.signal is not None  # noqa: S101  # a scale factor is a register
                for step in range(point.size):
                    found[point.offset + step] = int(spot.signal.switch(t + step))
                continue
            held = [found[place] for place in range(point.offset, point.end)]
            found.update(enumerate(words_of(point.form, self._values(spot, t), held), point.offset))
        return [found[place] for place in places]

    def _near(self, area: Area, address: int, count: int) -> Iterator[_Spot]:
        spots = self._spots[area]
        start = bisect_left(spots, address - _LARGEST, key=attrgetter("offset"))
        for spot in spots[start:]:
            if spot.offset >= address + count:
                return
            if spot.point.end > address:
                yield spot

    def _values(self, spot: _Spot, t: float) -> list[Raw]:
        return [self._value(spot, t, number) for number in range(spot.point.form.items or 1)]

    def _value(self, spot: _Spot, t: float, shift: int) -> Raw:
        form, signal = spot.point.form, spot.signal
        if signal is None:
            return spot.exponent
        if form.type == "string":
            return signal.text
        if form.type in TIMES:
            return datetime.fromtimestamp(self._now_ms() // 1000, UTC)
        if form.bit is not None or form.type == "bool":
            return signal.switch(t)
        limits = limits_of(form)
        if limits is not None:
            return signal.whole(t, limits, spot.nulls, shift, exponent=spot.exponent)
        return signal.raw(t, shift) * 10.0**-spot.exponent


def _reads(layout: Layout) -> Iterable[tuple[ModbusPoint, ...]]:
    yield from (points for _, points in layout.groups)
    yield from (trigger.points for trigger in layout.triggers)


def _nulls(tag: TagBase, point: ModbusPoint) -> tuple[object, ...]:
    """Raw values that mean "no value"."""
    return tuple(tag.null_values or ()) + tuple(raw for raw, _ in point.form.nulls)
