"""Rates, levels and the time left."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.runtime.status.room import WINDOW, Disk, Level, Rate, Room

MIB = 1 << 20


def test_a_rate_is_that_of_the_last_minutes() -> None:
    """It is not known at once, and what happened longer ago than the window does not count."""
    begun, rate = Rate(), Rate()
    begun.look(0, 0)
    begun.look(5, 9)
    assert begun.per_second is None
    rate.look(0, 0)
    for second in range(5, 1005, 5):
        rate.look(second, 0 if second <= 500 else (second - 500) * 7)
    assert rate.per_second == 7
    assert len(rate._looks) <= WINDOW / 5 + 2


def test_who_looks_often_costs_no_memory() -> None:
    """However often somebody asks, a rate keeps one look a second, and is right."""
    rate = Rate()
    for step in range(100_000):
        rate.look(step / 100, step / 10)
    assert len(rate._looks) <= WINDOW + 10
    assert round(rate.per_second or 0, 3) == 10


def test_a_counter_that_begins_anew_is_followed() -> None:
    """A file opened again counts from zero: its rate is never below zero."""
    rate = Rate(counter=True)
    for second, figure in ((0, 500), (10, 600), (20, 5), (30, 105)):
        rate.look(second, figure)
    assert rate.per_second == 10


def test_each_bound_is_news_once() -> None:
    """Passing a bound is news once, hovering around it is not, and being well again is."""
    level = Level(0.7, 0.9, slack=0.1)
    assert [level.look(share) for share in (0.5, 0.71, 0.69, 0.72, 0.91, 0.89, 0.92)] == [
        None, 1, None, None, 2, None, None,
    ]  # fmt: skip
    assert [level.look(share) for share in (0.75, 0.91, 0.65, 0.61, 0.59, 0.1, 0.95)] == [
        None, 2, None, None, 0, None, 2,
    ]  # fmt: skip


@given(st.lists(st.floats(0, 2), max_size=50))
def test_levels_follow_the_share(shares: list[float]) -> None:
    """Whatever comes, a level is never below the bounds that are passed, nor above those that were."""
    level = Level(0.7, 0.9, slack=0.1)
    for share in shares:
        level.look(share)
        assert (share >= 0.7) + (share >= 0.9) <= level.passed <= (share >= 0.6) + (share >= 0.8)


def test_room_lasts_as_long_as_what_comes_in_takes_to_fill_it() -> None:
    """While the broker takes everything, what comes in tells how long an outage may be; while it fills, how fast."""
    room = Room()
    for second in range(0, 60, 5):
        assert room.look(second, held=0, limit=10 * MIB, appended=second * 1024) is None
    assert (room.lasts, room.full_in) == (10 * 1024, None)
    news = [
        room.look(60 + second, held=second * 64 * 1024, limit=10 * MIB, appended=(60 + second) * 64 * 1024)
        for second in range(0, 160, 5)
    ]
    assert [one for one in news if one is not None] == [1, 2]
    assert room.left == 10 * MIB - 155 * 64 * 1024
    assert room.full_in is not None
    assert 5 <= room.full_in <= 10


def test_an_outbox_nothing_comes_into_lasts_for_ever() -> None:
    """Where nothing comes the time left is not known, and no number is made up."""
    room = Room()
    for second in range(0, 60, 5):
        room.look(second, held=0, limit=MIB, appended=0)
    assert (room.lasts, room.full_in) == (None, None)


def test_a_disk_warns_before_its_floor_and_at_it() -> None:
    """At twice the floor, with the time left; at the floor; and when there is enough again."""
    disk = Disk()
    news = {}
    for second in range(0, 400, 5):
        free = max(190, 500 - second)
        news[second] = disk.look(second, free=free * MIB, floor=200 * MIB)
        if second == 100:
            assert disk.floor_in == 200
    assert {second: one for second, one in news.items() if one is not None} == {100: 1, 300: 2}
    assert disk.low
    assert disk.look(400, free=900 * MIB, floor=200 * MIB) == 0
    assert not disk.low


def test_without_a_floor_a_disk_never_warns() -> None:
    """`min_free_disk: 0B` asks for no floor."""
    assert Disk().look(0, free=0, floor=0) is None
