"""Whole samples: columns and their neighbours, many blocks, and history."""

from __future__ import annotations

import math
from typing import Any

import pytest

from agent.core.flow import Answer, Sample
from agent.core.quality import number_of
from agent.normalize.columns import readings_of
from tests.unit.normalize.bench import T0, Bench

# --- columns ----------------------------------------------------------------------------------------------------------


def test_repeated_tags_keep_their_order():
    """A tag may occur several times in one answer: oldest first, each said."""
    bench = Bench({}, {})
    bench.read(0, 0)
    tags = (0, 1, 0, 0)
    for _ in range(3):
        batch = bench.batch(1, 9, 2, 3, tags=tags)
        assert batch is not None
        assert [reading.value for reading in batch.readings if reading.tag == "t0"] == [1, 2, 3]
        assert batch.columns is None  # in columns each tag is there once


def test_repeated_tags_may_have_nothing_to_say():
    """Values out of a server's queue, all of them within the deadband: not a word, and no bug."""
    bench = Bench({"deadband": 5}, {"report": "on_change"})
    tags = (0, 0, 1, 1)
    bench.warm(1, 2, 3, 3, tags=tags)
    assert bench.batch(2, 1, 3, 3, tags=tags) is None
    assert [reading.value for reading in bench.read(1, 9, 3, 4, tags=tags)] == [9, 4]


def test_mixed_column():
    """In a warm column each tag keeps its own rules."""
    keys: list[dict[str, Any]] = [{}] * 4 + [{"scale": 2}] * 4 + [{"scale": 0.5, "round": 0}] * 4
    bench = Bench(*keys, {"deadband": 5}, {"enum": {3: "three"}})
    bench.warm(*[3] * 14)
    readings = {reading.tag: reading for reading in bench.read(*[3] * 14)}
    assert [readings[f"t{n}"].value for n in range(12)] == [3] * 4 + [6] * 4 + [2.0] * 4
    assert "t12" not in readings
    assert readings["t13"].label == "three"


def test_a_batch_of_whole_columns_has_them():
    """Of several kinds of tags, too; the same scan has the same layout. One extraordinary value, and it has none."""
    bench = Bench(*[{"unit": "V"}] * 4, *[{"scale": 2}] * 4)
    bench.warm(*[3] * 8)
    one, two = bench.batch(*range(8)), bench.batch(*[4] * 8)
    assert one is not None
    assert one.columns is not None
    assert two is not None
    assert two.columns is not None
    assert readings_of(one.columns) == one.readings
    assert one.columns.layout is two.columns.layout
    assert one.columns.layout.units == ("V",) * 4 + (None,) * 4
    bad = bench.batch(*[4] * 7, math.nan)
    assert bad is not None
    assert bad.columns is None


MIXED: list[dict[str, Any]] = [
    {}, {}, {}, {}, {}, {"unit": "kW", "scale": 0.1}, {"null_values": [-9999]},
    {"enum": {1: "running"}}, {"unit": "A", "range": {"max": 5}},
]  # fmt: skip


def test_a_device_of_many_kinds_of_tags_has_columns():
    """Also of the few that are looked at one by one, and their labels."""
    bench = Bench(*MIXED)
    bench.warm(*[1] * 9)
    batch = bench.batch(*[1] * 9)
    assert batch is not None
    assert batch.columns is not None
    assert readings_of(batch.columns) == batch.readings
    assert list(batch.columns.labels or ()) == [None] * 7 + ["running", None]


@pytest.mark.parametrize("odd", [{6: -9999}, {8: 7}, {"status": 0x00A60000}], ids=str)
def test_one_that_says_more_than_columns_can(odd):
    """A value that means none, one out of range, a good status with a word of its own: they are single readings."""
    bench = Bench(*MIXED)
    bench.warm(*[1] * 9)
    values = [odd.get(at, 1) for at in range(9)]
    batch = bench.batch(*values, status=[0] * 8 + [odd.get("status", 0)])
    assert batch is not None
    assert (batch.columns, len(batch.readings)) == (None, 9)


@pytest.mark.parametrize("raw", [None, math.nan, math.inf, "a\ud800", object(), [math.nan], 10**400])
@pytest.mark.parametrize(
    "keys",
    [
        {}, {"scale": 0.5}, {"scale": 2}, {"scale": 0.5, "round": 1}, {"scale": 1.0, "round": 1},
        {"range": {"min": 0}}, {"scale": 0.5, "range": {"min": 0}},
    ],
)  # fmt: skip
def test_one_bad_value_hurts_no_neighbour(raw, keys):
    """In a warm column one impossible value is bad alone; the next scan is whole again."""
    bench = Bench(*[keys] * 8)
    bench.warm(*[2] * 8)
    values: list[Any] = [2] * 8
    values[5] = raw
    hurt = bench.batch(*values)
    assert hurt is not None
    assert hurt.bad == 1
    assert [reading.tag for reading in hurt.readings if reading.quality == "bad"] == ["t5"]
    whole = bench.batch(*[2] * 8)
    assert whole is not None
    assert (whole.bad, len(whole.readings)) == (0, 8)


@pytest.mark.parametrize(
    "keys", [{}, {"scale": 2}, {"round": 1}, {"range": {"min": 0}}, {"scale": 1.0, "range": {"min": 0}}]
)
def test_an_integer_beyond_64_bits_in_a_column(keys):
    """It is bad alone, also where its range would hold it."""
    bench = Bench(*[keys] * 8)
    bench.warm(*[2] * 8)
    readings = bench.read(*[2] * 7, 2**64)
    assert [reading.quality for reading in readings] == ["good"] * 7 + ["bad"]


@pytest.mark.parametrize(
    ("keys", "highest", "beyond"),
    [({}, 4, 5), ({"scale": 2}, 2, 3), ({"round": 0}, 4.4, 4.6), ({"scale": 2.0, "round": 0}, 2.2, 2.3)],
)
def test_a_value_out_of_range_leaves_the_column_together(keys, highest, beyond):
    """It alone is uncertain, and the column goes on being worked off at once. Limits hold after scale and round."""
    bench = Bench(*[{**keys, "range": {"min": -4, "max": 4}}] * 8)
    bench.warm(*[1] * 8)
    values: list[Any] = [-2, *[1] * 5, highest, beyond]
    hurt = bench.batch(*values, src=[T0 + 5000] * 8)
    assert hurt is not None
    assert (hurt.bad, hurt.uncertain) == (0, 1)
    last = hurt.readings[-1]
    assert (last.tag, last.ts) == ("t7", T0 + 5000)
    assert isinstance(last.value, int | float)
    assert last.value > 4
    assert (last.quality, last.code) == ("uncertain", "UncertainEngineeringUnitsExceeded")
    assert last.status == number_of("UncertainEngineeringUnitsExceeded")
    owners = bench.normalize._values.state.owner
    assert owners[0] is not None
    assert set(owners) == {owners[0]}
    assert {reading.quality for reading in bench.read(*[1] * 8)} == {"good"}


def test_samples_are_left_alone():
    """Samples may be shared: nothing in them is changed, and readings do not change later."""
    bench = Bench(*[{"scale": 0.5}] * 8)
    bench.warm(*[2] * 8)
    values, src = [4] * 8, [T0 + 9000] * 8
    first = bench.read(*values, src=src)
    before = repr(first)
    bench.read(*[6] * 8, src=[T0 + 9500] * 8)
    bench.lost()
    assert (values, src, repr(first)) == ([4] * 8, [T0 + 9000] * 8, before)


def test_memory_is_bounded():
    """A stream of one-off tuples leaves nothing behind."""
    bench = Bench(*[{}] * 8)
    for n in range(3000):
        bench.read(n, n, tags=(n % 8, (n + 1) % 8))
    cache = bench.normalize._values._columns
    assert len(cache._columns) + len(cache._once) < 1000


def test_many_blocks_are_compiled():
    """A scan of many blocks is compiled at its second turn, however many there are."""
    bench = Bench(*[{}] * 4000)
    blocks = [tuple(range(n, n + 4)) for n in range(0, 4000, 4)]
    for _ in range(2):
        for block in blocks:
            bench.read(1, 2, 3, 4, tags=block)
    assert len(bench.normalize._values._columns._columns) == len(blocks)


def test_columns_of_different_length():
    """A collector that hands over columns of different length is a bug and is told so, not cut short in silence."""
    with pytest.raises(ValueError, match="differ in length"):
        Bench({}, {}).read(1)
    with pytest.raises(ValueError, match="differ in length"):
        Bench({}, {}).read(1, 2, src=[T0])
    with pytest.raises(ValueError, match="differ in length"):
        Bench({}, {}).read(1, 2, status=[])


def test_nothing_to_say():
    """A sample that says nothing gives no batch."""
    assert Bench({}).quiet() == []
    bench = Bench({"report": "on_change"})
    bench.read(1)
    assert bench.batch(1) is None


@pytest.mark.parametrize("tags", [1, 8])
def test_a_clock_that_is_set_back_is_believed(tags):
    """Times that are still to come hold nothing back; those before are kept, and from there on none goes back."""
    bench = Bench(*[{}] * tags)
    bench.warm(*[1] * tags)
    said = bench.clock.now_ms()
    bench.read(*[1] * tags)
    bench.clock.step_wall(-3600)
    assert {reading.ts for reading in bench.read(*[2] * tags)} == {said}
    bench.normalize.set_back(-3600_000)
    now = bench.clock.now_ms()
    assert {reading.ts for reading in bench.read(*[3] * tags)} == {now + 1}
    bench.clock.step_wall(-0.5)
    assert {reading.ts for reading in bench.read(*[4] * tags)} == {now + 2}
    bench.normalize.set_back(-500)
    assert {reading.ts for reading in bench.read(*[5] * tags)} == {now - 497}


@pytest.mark.parametrize("tags", [1, 8])
def test_a_first_value_is_not_older_than_the_word_that_it_is_awaited(tags):
    """A snapshot said that nothing was read yet; the answer under way then is said for a millisecond later."""
    bench = Bench(*[{}] * tags)
    snapshot = bench.clock.now_ms() + 4
    bench.normalize.awaits(snapshot)
    assert {(reading.ts, reading.why) for reading in bench.read(*[1] * tags)} == {(snapshot + 1, "initial")}
    bench.normalize.awaits(snapshot + 1000)  # what has a value waits no more
    bench.clock.step_wall(0.1)
    assert {reading.ts for reading in bench.read(*[2] * tags)} == {bench.clock.now_ms()}


# --- history ----------------------------------------------------------------------------------------------------------


def test_history_is_converted_and_nothing_else():
    """Scale, range and labels apply; no deadband, no why, no place in what is remembered; ts is the source's."""
    bench = Bench({"scale": 2, "deadband": 100, "max_silence": "1s"}, {"enum": {1: "on"}, "range": {"max": 5}})
    bench.read(1, 1)
    past = Answer(
        tags=(0, 0, 0, 1, 1, 1),
        values=[10, 11, None, 1, 9, 1],
        ts=bench.clock.now_ms(),
        status=[0, 0, number_of("BadSensorFailure"), 0, 0, 0],
        src=[T0 - 3, T0 - 2, T0 - 1, T0 - 3, T0 - 2, None],
        reason={2: "broken"},
    )
    batch = bench.normalize(Sample(ts=bench.clock.now_ms(), history=[past]))
    assert batch is not None
    assert (batch.backfill, batch.bad, batch.uncertain) == (True, 1, 1)
    assert [(r.tag, r.value, r.ts, r.quality, r.label, r.why) for r in batch.readings] == [
        ("t0", 20, T0 - 3, "good", None, None),
        ("t0", 22, T0 - 2, "good", None, None),
        ("t0", None, T0 - 1, "bad", None, None),
        ("t1", 1, T0 - 3, "good", "on", None),
        ("t1", 9, T0 - 2, "uncertain", None, None),
    ]
    assert batch.readings[2].reason == "broken"
    assert bench.read(1, 1, tags=(0, 1)) != []


def test_tags_a_device_is_found_to_have():
    """They follow the table, are said like any other, and change nothing for those that were there."""
    bench = Bench(*[{"unit": "Cel"}] * 5)
    bench.warm(*[1] * 5)
    now = bench.clock.now_ms()
    answer = Answer(tags=(0, 5, 6), values=[2, 7, 8], ts=now)
    batch = bench.normalize(Sample(ts=now, answers=[answer], found=["x", "y"]))
    assert batch is not None
    assert [(r.tag, r.value, r.unit, r.why) for r in batch.readings] == [
        ("t0", 2, "Cel", None),
        ("x", 7, None, "initial"),
        ("y", 8, None, "initial"),
    ]
    assert {r.tag for r in bench.lost()} == {"t0", "t1", "t2", "t3", "t4", "x", "y"}
