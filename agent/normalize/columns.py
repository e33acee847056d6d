"""Whole columns at once: the path of nearly every reading of a polled device.

A column is compiled once per `Answer.tags` tuple. Its tags fall into groups whose values are worked off by one
expression each, and a rest that is worked off value by value. A group only takes what is wholly ordinary (every status
good, every value finite and of the right type); for anything else it says None and the careful path has it. Times are
no reason for that: source times that stand still or fall back are worked off as columns too. Neither are values out of
range: a sensor at fault must not cost its neighbours the path.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import repeat
from math import inf, isfinite
from operator import itemgetter, le
from typing import Any

import msgspec

from agent.core.columns import ColumnLayout, ReadingColumns
from agent.core.flow import Reading
from agent.core.quality import UNCERTAIN_ENGINEERING_UNITS_EXCEEDED, name_of
from agent.normalize.instants import Times, instants
from agent.normalize.rules import Kind, Rule
from agent.normalize.state import TagStates
from agent.normalize.still import Still, may_stand

_reading: Callable[..., Reading] = Reading
#: Raises for an integer beyond 64 bits and for text that is not UTF-8, at a fifth of the price of looking for either.
_pack = msgspec.msgpack.Encoder().encode
_NUMBERS = frozenset((int, float))
_SUMMABLE = frozenset((int, float, bool))
_SCALARS = frozenset((int, float, bool, str, bytes))

#: Smaller groups are not worth their set-up per answer.
_SMALLEST = 4


class Group:
    """Tags of one column that one expression serves."""

    def __init__(
        self, kind: Kind, tags: tuple[int, ...], names: Sequence[str], rules: Sequence[Rule], state: TagStates
    ) -> None:
        mine = [rules[i] for i in tags]
        self._kind = kind
        self._tags = tags
        self._state = state
        self._layout = _layout_of(tags, names, rules)
        linear, rounded = kind in ("linear", "linear_rounded"), kind in ("rounded", "linear_rounded")
        self._scales = [rule.scale for rule in mine] if linear else []
        self._offsets = [rule.offset for rule in mine] if linear else []
        self._digits = [rule.digits for rule in mine] if rounded else []
        limited = any(rule.low > -inf or rule.high < inf for rule in mine)
        self._limits = ([rule.low for rule in mine], [rule.high for rule in mine]) if limited else None
        self._integral = kind in ("rounded", "bounded") or any(
            isinstance(rule.scale, int) and isinstance(rule.offset, int) for rule in mine
        )
        self._owns = False
        self._stamp: Times = 0
        self._src: Sequence[int | None] | None = None

    def read(
        self, values: Sequence[Any], ts: int, srcs: Sequence[int | None] | None, out: list[Reading],
        whole: list[ReadingColumns],
    ) -> bool:  # fmt: skip
        """Append what one answer's values become, to `whole` also where all is good. False: each needs a look."""
        try:
            made = self._converted(values)
        except (OverflowError, UnicodeEncodeError):
            return False
        if made is None or (not self._owns and not self._take()):  # taken last: a value that stays bad costs no taking
            return False
        columns = ReadingColumns(self._layout, made, *self._times(ts, srcs))
        readings = readings_of(columns)
        out += readings
        if self._limits is None or not _doubt(readings, made, *self._limits):
            whole.append(columns)
        return True

    def _times(self, ts: int, srcs: Sequence[int | None] | None) -> tuple[Times, Sequence[int | None] | None]:
        """`ts` and `src` of the readings; both are remembered."""
        last, self._src = self._stamp, srcs
        if srcs is None and isinstance(last, int) and ts > last:  # nearly every answer of a device that is polled
            self._stamp = ts
            return ts, None
        wanted: Any = ts if srcs is None else srcs
        if srcs is not None and None in srcs:
            wanted = [ts if one is None else one for one in srcs]
        when = self._stamp = instants(wanted, last, ts)
        if isinstance(when, int):
            if when == last:
                self._state.crowded += self._tags
            return when, srcs
        if when is srcs:
            return when, None
        if when is not wanted:
            before = repeat(last) if isinstance(last, int) else last
            self._state.crowded += [i for i, new, old in zip(self._tags, when, before) if new == old]  # noqa: B905 - one may be endless
        return when, None if srcs is None else [None if src == new else src for src, new in zip(srcs, when)]  # noqa: B905 - checked

    def _converted(self, values: Sequence[Any]) -> Sequence[Any] | None:
        types = set(map(type, values))
        if self._kind == "plain":
            if not types <= _SCALARS:
                return None
            if int in types or str in types:
                _pack(values)
            if float in types:
                floats = values if types <= _SUMMABLE else [value for value in values if type(value) is float]
                if not isfinite(sum(floats)):  # one NaN or infinity makes the sum one; so may an overflow: no harm
                    return None
            return values
        if not types <= _NUMBERS:
            return None
        made: Sequence[Any] = values
        if self._kind == "rounded":  # without arithmetic: times 1.0 an integer were none, plus 0 there were no -0.0
            made = list(map(round, values, self._digits))
        elif self._kind == "linear":
            made = [value * scale + offset for value, scale, offset in zip(values, self._scales, self._offsets)]  # noqa: B905 - checked
        elif self._kind == "linear_rounded":
            made = [
                round(value * scale + offset, digits)
                for value, scale, offset, digits in zip(values, self._scales, self._offsets, self._digits)  # noqa: B905 - checked
            ]
        if self._integral and int in types:
            _pack(made)
        return made if isfinite(sum(made)) else None

    def _take(self) -> bool:
        """Become the owner of these tags' times; not while one of them has something extraordinary to say."""
        state, tags = self._state, self._tags
        if any(state.pending[i] for i in tags):
            return False
        for i in tags:
            owner = state.owner[i]
            if owner is not None:
                owner.release()
        for i in tags:
            state.owner[i] = self
        self._stamp = [state.stamp[i] for i in tags]
        self._owns = True
        return True

    def release(self) -> None:
        """Write the times back, so that the careful path finds them."""
        if not self._owns:
            return
        self._owns = False
        state = self._state
        for n, i in enumerate(self._tags):
            state.owner[i] = None
            state.stamp[i] = self._stamp if isinstance(self._stamp, int) else self._stamp[n]
            state.src[i] = None if self._src is None else self._src[n]


def _doubt(readings: Sequence[Reading], values: Sequence[Any], lows: Sequence[float], highs: Sequence[float]) -> bool:
    """Mark the readings whose value is out of range; whether there are any."""
    if all(map(le, lows, values)) and all(map(le, values, highs)):
        return False
    doubted = [
        reading
        for reading, low, value, high in zip(readings, lows, values, highs, strict=True)
        if not low <= value <= high
    ]
    for reading in doubted:
        reading.quality, reading.status = "uncertain", UNCERTAIN_ENGINEERING_UNITS_EXCEEDED
        reading.code = name_of(UNCERTAIN_ENGINEERING_UNITS_EXCEEDED)
    return True


def _layout_of(tags: Sequence[int], names: Sequence[str], rules: Sequence[Rule]) -> ColumnLayout:
    units = tuple(rules[i].unit for i in tags)
    return ColumnLayout(tuple(names[i] for i in tags), units if any(units) else None)


def readings_of(c: ReadingColumns) -> list[Reading]:
    """One reading for each value of the columns."""
    layout, ts, src = c.layout, c.ts, c.src
    when = repeat(ts) if isinstance(ts, int) else ts
    if c.labels is not None:
        return list(
            map(
                _reading, layout.tags, c.values, when, repeat("good"), src or repeat(None),
                layout.units or repeat(None), c.labels,
            )
        )  # fmt: skip
    if layout.units is not None:
        return list(map(_reading, layout.tags, c.values, when, repeat("good"), src or repeat(None), layout.units))
    if src is not None:
        return list(map(_reading, layout.tags, c.values, when, repeat("good"), src))
    return list(map(_reading, layout.tags, c.values, when, repeat("good")))


def columns_of(layout: ColumnLayout, readings: Sequence[Reading]) -> ReadingColumns | None:
    """The columns of such readings; None where a tag says nothing, or one says more than columns can."""
    n = len(readings)
    if not n or n != len(layout.tags) or any(one.quality != "good" or one.status or one.why for one in readings):
        return None
    times, src, labels = [one.ts for one in readings], [one.src for one in readings], [one.label for one in readings]
    return ReadingColumns(
        layout,
        [one.value for one in readings],
        times[0] if times.count(times[0]) == n else times,
        None if src.count(None) == n else src,
        None if labels.count(None) == n else labels,
    )


Pick = Callable[[Sequence[Any]], tuple[Any, ...]]


class Column:
    """The tags of one `Answer.tags` tuple, grouped."""

    def __init__(self, tags: tuple[int, ...], names: Sequence[str], rules: Sequence[Rule], state: TagStates) -> None:
        self.tags = tags  # held, so that its id stays its own
        self.groups: list[tuple[Pick | None, Group, tuple[int, ...]]] = []
        self.stills: list[tuple[Pick | None, Still, tuple[int, ...]]] = []
        rest: list[int] = list(range(len(tags)))
        single = len(set(tags)) == len(tags)
        if single:
            for kind in ("plain", "bounded", "linear", "rounded", "linear_rounded"):
                places = [place for place in rest if rules[tags[place]].kind == kind]
                if len(places) < _SMALLEST:
                    continue
                taken = set(places)
                rest = [place for place in rest if place not in taken]
                members = tuple(tags[place] for place in places)
                pick = None if len(places) == len(tags) else itemgetter(*places)
                self.groups.append((pick, Group(kind, members, names, rules, state), members))
            places = [place for place in rest if may_stand(rules[tags[place]])]
            if len(places) >= _SMALLEST:
                taken = set(places)
                rest = [place for place in rest if place not in taken]
                members = tuple(tags[place] for place in places)
                pick = None if len(places) == len(tags) else itemgetter(*places)
                self.stills.append((pick, Still(members, state), members))
        self.still = self.stills[0][1] if self.stills and self.stills[0][0] is None else None  #: of all its tags
        self.rest: list[int] = rest
        self.rest_tags = tuple(tags[place] for place in rest)
        self.rest_layout = _layout_of(self.rest_tags if single else (), names, rules)

    def release(self) -> None:
        """Give all tags back."""
        for _, group, _ in self.groups:
            group.release()
        for _, still, _ in self.stills:
            still.release()
