"""Readings become one row a tag and minute."""

from __future__ import annotations

import random
from typing import Any

import pytest

from agent.core.flow import Batch, Quality, Reading
from agent.runtime.history.rollup import Minutes
from agent.runtime.history.running import LONGEST_TEXT, MINUTE, MinuteRow

T0 = 1_763_760_000_000  # begins a minute


def reading(at_s: float, value: object, quality: Quality = "good", tag: str = "t") -> Reading:
    return Reading(tag, value, T0 + round(at_s * 1000), quality)


def rolled(*readings: Reading, until_s: float = 60) -> list[MinuteRow]:
    minutes = Minutes("press-01")
    for one in readings:
        minutes.take(Batch("press-01", one.ts, [one]))
    return [row for rows in minutes.roll(T0 + round(until_s * 1000), 100) for row in rows]


def test_the_mean_is_weighted_by_time() -> None:
    """10 for 45 s and 20 for 15 s are 12.5; the value that is held counts to the end of the minute."""
    assert rolled(reading(0, 10), reading(45, 20)) == [MinuteRow(T0, "press-01", "t", 10, 12.5, 20, 20, 60_000)]


def test_what_is_held_goes_on_in_the_next_minute() -> None:
    """A tag that is reported on change only has its row in each minute."""
    assert rolled(reading(30, 7), until_s=180) == [
        MinuteRow(T0, "press-01", "t", 7, 7.0, 7, 7, 30_000),
        MinuteRow(T0 + MINUTE, "press-01", "t", 7, 7.0, 7, 7, MINUTE),
        MinuteRow(T0 + 2 * MINUTE, "press-01", "t", 7, 7.0, 7, 7, MINUTE),
    ]


@pytest.mark.parametrize("quality", ["bad", "uncertain"])
def test_good_time_ends_with_a_reading_that_is_not_good(quality: Quality) -> None:
    """A value that is not good is in no figure."""
    rows = rolled(reading(0, 10), reading(20, 99, quality), reading(50, 30))
    assert rows == [MinuteRow(T0, "press-01", "t", 10, 50 / 3, 30, 30, 30_000)]


def test_a_minute_that_was_bad_has_a_row_without_figures() -> None:
    """The agent was there, and nothing was good: not the same as a minute nobody knows of."""
    assert rolled(reading(10, None, "bad")) == [MinuteRow(T0, "press-01", "t", None, None, None, None, 0)]


def test_nothing_is_known_between_a_bad_reading_and_the_next_after_minutes() -> None:
    """Where nobody rolled meanwhile."""
    rows = rolled(reading(10, None, "bad"), reading(190, 1), until_s=240)
    assert [(row.minute - T0, row.good_ms) for row in rows] == [(0, 0), (3 * MINUTE, 50_000)]


def test_a_stretch_of_time_nobody_looked_at_is_not_filled_in() -> None:
    """A row for each minute of six years would be three million for every tag."""
    rows = rolled(reading(0, 5), reading(10, 5), reading(100_000, 7), until_s=100_080)
    assert [(row.minute - T0, row.good_ms) for row in rows] == [
        (0, 10_000),
        (99_960_000, 20_000),
        (100_020_000, MINUTE),
    ]
    rows = rolled(reading(0, 5), until_s=100_000)
    assert [(row.minute - T0, row.good_ms) for row in rows] == [(0, 0)]


@pytest.mark.parametrize(
    ("value", "last"), [("running", "running"), ("x" * 1000, "x" * (LONGEST_TEXT - 1) + "…"), ([1, 2], None)]
)
def test_what_is_no_number_has_good_time_only(value: object, last: object) -> None:
    """And its last value, where that is a text, cut short."""
    assert rolled(reading(15, value)) == [MinuteRow(T0, "press-01", "t", None, None, None, last, 45_000)]


def test_booleans_are_numbers() -> None:
    """The mean is the share of the time it was on."""
    assert rolled(reading(0, True), reading(15, False)) == [
        MinuteRow(T0, "press-01", "t", False, 0.25, True, False, MINUTE)
    ]


def test_whole_numbers_beyond_what_a_browser_keeps() -> None:
    """Figures of them are rounded, the last value is text with each digit."""
    (row,) = rolled(reading(0, (1 << 64) - 1))
    assert row[3:] == (float(1 << 64), float(1 << 64), float(1 << 64), "18446744073709551615", MINUTE)


def test_a_late_whole_number_beyond_what_sqlite_keeps() -> None:
    """It would cost the minute of every tag: none could be written with it."""
    rows = rolled(reading(30, 1), reading(20, 2**64 - 1))
    assert rows[0][3:6] == (2.0**64,) * 3
    assert {type(figure) for figure in rows[0][3:6]} == {float}


def test_what_arrives_late_may_be_an_extreme_of_its_minute() -> None:
    """It holds for no time; the row is merged with that of its minute."""
    minutes = Minutes("press-01")
    minutes.take(Batch("press-01", T0, [reading(0, 5)]))
    list(minutes.roll(T0 + MINUTE, 100))
    minutes.take(Batch("press-01", T0, [reading(59, 50)]))
    rows = [row for rows in minutes.roll(T0 + 2 * MINUTE, 100) for row in rows]
    assert rows == [
        MinuteRow(T0, "press-01", "t", 50, 50, 50, None, 0),
        MinuteRow(T0 + MINUTE, "press-01", "t", 5, 5.0, 5, 5, MINUTE),
    ]


def test_a_clock_that_is_set_makes_no_time() -> None:
    """What was good until then is in the rows; it is held again from the new time on, for no second more."""
    minutes = Minutes("press-01")
    minutes.take(Batch("press-01", T0, [reading(0, 5)]))
    before = minutes.cut(T0 + 10_000, T0 + 3_600_000)
    after = [row for rows in minutes.roll(T0 + 3_660_000, 100) for row in rows]
    assert [(row.minute - T0, row.good_ms) for row in before + after] == [(0, 10_000), (3_600_000, MINUTE)]


def test_a_tag_that_is_no_longer_configured_has_its_last_row() -> None:
    """The others are not touched."""
    minutes = Minutes("press-01")
    minutes.take(Batch("press-01", T0, [reading(0, 1, tag="a"), reading(0, 2, tag="b")]))
    minutes.keep(frozenset({"b"}), T0 + 5000)
    rows = [row for rows in minutes.roll(T0 + MINUTE, 100) for row in rows]
    assert [(row.tag, row.low, row.good_ms) for row in rows] == [("a", 1, 5000), ("b", 2, MINUTE)]


@pytest.mark.parametrize("seed", range(5))
def test_any_readings_against_the_plain_way(seed: int) -> None:
    """The rows of random readings are what comes of looking at each millisecond."""
    draw = random.Random(seed)
    readings, at = [], 0.0
    while at < 170:
        quality: Quality = draw.choice(["good", "good", "good", "bad", "uncertain"])
        readings.append(reading(at, None if quality == "bad" else draw.randint(-5, 5), quality))
        at += draw.choice([0.001, 0.5, 7, 20])
    found = {row.minute: row for row in rolled(*readings, until_s=180)}
    for minute in range(T0, T0 + 3 * MINUTE, MINUTE):
        held: list[Any] = []
        seen: list[Any] = []
        for one, after in zip(readings, [*readings[1:], None], strict=True):
            begin, end = max(one.ts, minute), min(after.ts if after else T0 + 3 * MINUTE, minute + MINUTE)
            if one.quality == "good" and one.ts < minute + MINUTE and (end > begin or one.ts >= minute):
                held += [(one.value, max(0, end - begin))]
                seen += [one.value]
        good = sum(span for _, span in held)
        row = found[minute]
        assert row.good_ms == good
        assert (row.low, row.high) == ((min(seen), max(seen)) if seen else (None, None))
        if good:
            assert row.mean == pytest.approx(sum(value * span for value, span in held) / good)
