"""Readings that come as whole columns make the same rows as the same readings one by one."""

from __future__ import annotations

import random
from itertools import chain
from typing import Any

import pytest
from msgspec import structs

from agent.core.columns import ColumnLayout, ReadingColumns
from agent.core.flow import Batch, Quality, Reading
from agent.runtime.history.columns import RunningColumn
from agent.runtime.history.rollup import Minutes
from agent.runtime.history.running import MINUTE, MinuteRow

T0 = 1_763_760_000_000  # begins a minute
FIRST = ColumnLayout(tuple(f"a{n}" for n in range(20)))
SECOND = ColumnLayout(tuple(f"b{n}" for n in range(18)))
SMALL = ColumnLayout(tuple(f"c{n}" for n in range(4)))
AGAIN = ColumnLayout((*FIRST.tags[:12], *SMALL.tags, *SECOND.tags[:6]))  # another plan of the same tags


def column(layout: ColumnLayout, at_s: float, values: Any) -> ReadingColumns:
    return ReadingColumns(layout, values, T0 + round(at_s * 1000))


def batch_of(*parts: ReadingColumns) -> Batch:
    readings = []
    for part in parts:
        each = [part.ts] * len(part.values) if isinstance(part.ts, int) else part.ts
        readings += [Reading(*one, "good") for one in zip(part.layout.tags, part.values, each, strict=True)]
    whole = ReadingColumns(ColumnLayout(()), (), 0, parts=parts) if len(parts) > 1 else parts[0]
    return Batch("press-01", T0, readings, columns=whole)


class Both:
    """The same, once with columns and once without."""

    def __init__(self) -> None:
        self.with_columns, self.without = Minutes("press-01"), Minutes("press-01")

    def take(self, batch: Batch) -> None:
        self.with_columns.take(batch)
        self.without.take(structs.replace(batch, columns=None))

    def lose(self, begin_s: float, end_s: float, tags: list[str] | None) -> None:
        for minutes in (self.with_columns, self.without):
            minutes.lose(T0 + round(begin_s * 1000), T0 + round(end_s * 1000), tags)

    def rows(self, way: str, *args: Any) -> list[MinuteRow]:
        """The rows of a call, which both ways give alike."""
        found, expected = ([*getattr(one, way)(*args)] for one in (self.with_columns, self.without))
        if way == "roll":  # in portions
            found, expected = [*chain.from_iterable(found)], [*chain.from_iterable(expected)]
        assert [(row, type(row.last), type(row.low)) for row in sorted(found, key=_place)] == [
            (row, type(row.last), type(row.low)) for row in sorted(expected, key=_place)
        ]
        return found


def _place(row: MinuteRow) -> Any:
    return row.tag, row.minute, row.good_ms, row.low is not None, row.low


def test_a_minute_of_whole_columns() -> None:
    """Most of it is taken without a look at any tag."""
    both = Both()
    begun: list[RunningColumn] = []
    for second in range(130):
        falling = tuple(float(n - second) for n in range(20))
        both.take(batch_of(column(FIRST, second, falling), column(SECOND, second + 0.002, (second,) * 18)))
        begun = begun or list(both.with_columns._columns.values())
    assert list(both.with_columns._columns.values()) == begun  # the end of a minute is taken as columns, too
    rows = both.rows("roll", T0 + 2 * MINUTE, 7)
    (row,) = [row for row in rows if row.tag == "b3" and row.minute == T0]
    assert (row.low, row.high, row.last, row.good_ms) == (0, 59, 59, MINUTE - 2)
    assert row.mean == pytest.approx(29.5, abs=0.01)
    assert list(both.with_columns._columns.values()) == begun


def test_a_loss_that_began_before_the_end_of_a_minute() -> None:
    """What was held since the newest reading is taken out of both minutes, though nothing was read in the second."""
    both = Both()
    for second in range(51):
        both.take(batch_of(column(FIRST, second, range(20))))
    both.rows("roll", T0 + MINUTE, 100)
    both.lose(55, 70, None)
    rows = both.rows("cut", T0 + 80_000, None)
    assert {(row.minute, row.good_ms) for row in rows} == {(T0, -5000), (T0 + MINUTE, -10_000), (T0 + MINUTE, 20_000)}


def test_what_is_read_between_two_portions() -> None:
    """Columns that have passed meanwhile, or were taken apart, are not looked at again."""
    both = Both()
    for second in range(2):
        both.take(batch_of(column(FIRST, second, range(20)), column(SECOND, second, range(18))))
    portions = [one.roll(T0 + MINUTE, 1) for one in (both.with_columns, both.without)]
    rows = [next(portion) for portion in portions]
    both.take(batch_of(column(FIRST, 61, range(20)), column(SECOND, 61, range(18))))
    both.take(Batch("press-01", T0, [Reading("b0", "a text", T0 + 62_000, "good")]))
    found, expected = ([*first, *chain.from_iterable(rest)] for first, rest in zip(rows, portions, strict=True))
    assert sorted(found, key=_place) == sorted(expected, key=_place)
    assert both.with_columns._columns.keys() == {FIRST}


@pytest.mark.parametrize("late", [False, True])
def test_one_that_is_not_ordinary_is_looked_at_with_its_column(late: bool) -> None:
    """For the rest of the minute; in the next one they go on together."""
    both = Both()
    for second in range(3):
        both.take(batch_of(column(FIRST, second, range(20))))
    assert both.with_columns._columns
    odd = Reading("a3", 7, T0 + 1500, "good") if late else Reading("a3", None, T0 + 3500, "bad")
    both.take(Batch("press-01", T0, [odd]))
    both.take(batch_of(column(FIRST, 4, range(20))))
    assert not both.with_columns._columns
    both.rows("roll", T0 + MINUTE, 100)
    both.take(batch_of(column(FIRST, 61, range(20))))
    both.take(batch_of(column(FIRST, 62, range(20))))
    assert both.with_columns._columns
    both.rows("roll", T0 + 2 * MINUTE, 100)


def test_a_list_that_is_filled_anew() -> None:
    """What is held is what was read, not what the plugin's list holds by now."""
    both, values = Both(), [0] * 20
    for second in range(3):
        values[:] = [second] * 20
        both.take(batch_of(column(FIRST, second, values)))
    values[:] = [1000] * 20
    assert {row.last for row in both.rows("cut", T0 + 4000, None)} == {2}


def test_no_tag_is_by_itself_for_one_scan() -> None:
    """The first scan comes without columns: it waits for the second, which has them."""
    both = Both()
    scan = batch_of(column(FIRST, 0, range(20)), column(SMALL, 0, range(4)))
    both.take(structs.replace(scan, columns=None))
    assert not both.with_columns._tags
    both.take(batch_of(column(FIRST, 1, range(20))))
    assert both.with_columns._columns.keys() == {FIRST}
    assert len(both.rows("roll", T0 + MINUTE, 100)) == 24


@pytest.mark.parametrize("seed", range(12))
def test_any_readings_against_one_by_one(seed: int) -> None:
    """Whatever comes between: times that stand still or fall back, texts, bad values, losses, another plan, a step."""
    draw, both, at, step = random.Random(seed), Both(), 0.0, seed % 3 * 8 + 1

    def values(n: int) -> Any:
        kinds: list[Any] = [draw.randint(-5, 5), draw.uniform(-5, 5), draw.random() < 0.5]
        kinds.append((1 << 63) - draw.randint(0, 9))
        if draw.random() < 0.03:
            kinds.append("a text")
        return draw.choice([list, tuple])(draw.choice(kinds) for _ in range(n))

    first = batch_of(column(AGAIN, at, values(22))).readings  # without columns; in some cases each tag twice
    both.take(Batch("press-01", T0, first * (seed % 3)))
    for _ in range(150):
        at += draw.choice([0.001, 0.5, 1, 1, 1, 1, 1, 1, step])
        if draw.random() < 0.04:
            at += draw.choice([-1.5, 0, 130, 2 * 3600 + 70])
        chance = draw.random()
        layouts = draw.choice([[FIRST, SECOND, SMALL]] * 8 + [[FIRST], [AGAIN], [AGAIN, FIRST]])
        parts = [column(one, at + n / 1000, values(len(one.tags))) for n, one in enumerate(layouts)]
        if chance < 0.03:
            tags = list(FIRST.tags if chance < 0.01 else AGAIN.tags[::2])
            quality: Quality = draw.choice(["good", "bad", "uncertain"])
            now = T0 + round(at * 1000)
            both.take(
                Batch("press-01", now, [Reading(tag, None if quality == "bad" else 1, now, quality) for tag in tags])
            )
        elif chance < 0.05:
            both.lose(at - draw.choice([0.5, 70]), at, draw.choice([None, ["a1", "b2", "none"]]))
        elif chance < 0.08:
            both.rows("roll", T0 + round(at * 1000) // MINUTE * MINUTE, draw.choice([1, 7, 100]))
        elif chance < 0.09:
            going_on = draw.choice([None, at + draw.choice([-3600, 50])])
            both.rows("cut", T0 + round(at * 1000), None if going_on is None else T0 + round(going_on * 1000))
            at = going_on or at
        elif chance < 0.10:
            for one in (both.with_columns, both.without):
                one.keep(frozenset([*FIRST.tags, *SMALL.tags]), T0 + round(at * 1000))
        else:
            if draw.random() < 0.03:
                parts[0].ts = [T0 + round(at * 1000) + draw.randint(0, 3) for _ in parts[0].values]
            both.take(batch_of(*parts))
    both.rows("roll", T0 + round(at * 1000), 100)
    both.rows("cut", T0 + round(at * 1000) + 500, None)
