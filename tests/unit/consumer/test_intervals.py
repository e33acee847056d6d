from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from agent.consumer.intervals import IntervalSet

spans = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 8)), max_size=40)


@given(spans=spans, first=st.integers(0, 70), length=st.integers(0, 70))
def test_an_interval_set_is_a_set(spans, first, length):
    """Whatever is added in whatever order, membership and holes are those of a plain set."""
    intervals = IntervalSet()
    model: set[int] = set()
    for start, size in spans:
        intervals.add(start, start + size)
        model.update(range(start, start + size))
    end = first + length
    assert all((number in intervals) == (number in model) for number in range(80))
    holes = [number for start, stop in intervals.holes(first, end) for number in range(start, stop)]
    assert holes == [number for number in range(first, end) if number not in model]


@given(spans=spans)
def test_intervals_stay_sorted_and_apart(spans):
    """No two intervals touch, so memory follows the holes."""
    intervals = IntervalSet()
    for start, size in spans:
        intervals.add(start, start + size)
    listed = list(intervals)
    assert all(start < end for start, end in listed)
    assert all(one[1] < other[0] for one, other in pairwise(listed))


def test_a_million_numbers_in_order_are_one_interval():
    """What arrives in order costs nothing."""
    intervals = IntervalSet()
    for number in range(1, 1_000_001):
        intervals.add(number)
    assert list(intervals) == [(1, 1_000_001)]
    twin = intervals.copy()
    twin.add(2_000_000)
    assert len(intervals) == 1
