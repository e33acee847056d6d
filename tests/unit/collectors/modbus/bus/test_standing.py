"""The dead must not take the time of the living."""

from __future__ import annotations

import pytest

from agent.collectors.modbus.bus.standing import UnitStanding
from agent.collectors.modbus.bus.turns import NOBODY
from agent.testing.clock import ManualClock


async def test_all_that_are_lost_share_a_small_part_of_the_time() -> None:
    """Twenty dead units with time-outs of a second: together they take less than a tenth of ten minutes."""
    clock = ManualClock()
    standing = UnitStanding(clock)
    standing.answered(1, 0.02)
    for unit in range(20, 40):
        standing.lost(unit)
    spent, until = 0.0, clock.monotonic() + 600
    while clock.monotonic() < until:
        free = [unit for unit in range(20, 40) if standing.wait(unit) == 0]
        assert standing.wait(1) == 0
        if free:
            standing.silent(free[0], 1.0)
            spent += 1.0
        await clock.advance(0.5)
    assert 30 < spent < 60


def test_where_nobody_lives_nobody_waits() -> None:
    """A bus that is dead as a whole is asked as often as its devices want: its return is seen at once."""
    standing = UnitStanding(ManualClock())
    for unit in (1, 2):
        standing.lost(unit)
        standing.silent(unit, 100.0)
    assert standing.wait(1) == standing.wait(2) == 0
    standing.answered(1, 0.02)
    assert standing.wait(2) == 0, "the outage is not on its account"
    standing.silent(2, 1.0)
    assert standing.wait(2) > 0
    standing.forget(1)
    assert standing.wait(2) == 0, "nobody is left to be hurt"


def test_an_unknown_unit_is_not_waited_for_longer_than_others_take() -> None:
    """Twice; then, and once it has answered, it gets the time it is configured to have."""
    standing = UnitStanding(ManualClock())
    assert standing.patience(5, 1.0) == 1.0, "nobody to compare with"
    standing.answered(1, 0.05)
    assert standing.patience(1, 1.0) == 1.0
    assert [standing.patience(5, 1.0) for _ in range(3)] == [0.5, 0.5, 1.0]
    assert standing.patience(6, 0.3) == 0.3
    standing.answered(1, 10.0)
    for _ in range(20):
        standing.answered(1, 0.05)
    assert 0.5 < standing.patience(7, 1.0) < 0.9, "one answer that took long does not count for long"
    standing.answered(6, 0.001)
    assert standing.patience(6, 0.3) == 0.3


@pytest.mark.parametrize("spent", [0.0, 1.0])
def test_an_unknown_unit_stands_behind_the_others(spent: float) -> None:
    """Once silent units have used up their share, those nobody knows wait until nobody else wants to ask."""
    standing = UnitStanding(ManualClock())
    standing.answered(1, 0.02)
    standing.silent(9, spent)
    assert standing.waits_behind(5) is (spent > 0)
    assert not standing.waits_behind(1)
    assert standing.wait(5) == 0


def test_who_is_known_to_answer_shows_what_a_silent_unit_costs() -> None:
    """What a silence does to the rest of the bus is seen at a unit that is known to answer, where there is one."""
    standing = UnitStanding(ManualClock())
    assert not standing.unproven(5, 9), "nobody is known"
    standing.answered(9, 0.02)
    assert not standing.unproven(5, 9), "nobody but the silent one"
    standing.answered(1, 0.02)
    assert standing.unproven(5, 9)
    assert not standing.unproven(1, 9)
    assert not standing.unproven(NOBODY, 9), "a connection is not a unit"


async def test_units_that_are_refused_slowly_for_long_count_as_lost() -> None:
    """A gateway that says `device failure` of units that are not there, half a second each: the living keep their time.

    One that is refused quickly, or has a value between, is asked whenever it wants.
    """
    clock = ManualClock()
    standing = UnitStanding(clock)
    for _ in range(15):
        for unit, seconds in ((5, 0.5), (6, 0.02), (7, 0.5)):
            standing.refused(unit, seconds)
        standing.answered(1, 0.02)
        standing.answered(7, 0.02)
        await clock.advance(1.0)
    assert standing.wait(5) > 0
    assert [standing.wait(unit) for unit in (1, 6, 7)] == [0, 0, 0]
    standing.answered(5, 0.02)
    assert standing.wait(5) == 0
