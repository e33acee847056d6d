"""What can be read of an area is found, with few requests, whatever the manners of the device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from agent.workbench.ranges import Ranges, Span


@dataclass
class Device:
    """What can be read, and in which requests."""

    spans: list[tuple[int, int]]
    takes: Callable[[int, int], bool] = lambda offset, count: True  # noqa: ARG005
    requests: int = 0

    def searched(self, last: int, most: int = 125, ranges: Ranges | None = None) -> Ranges:
        ranges = ranges or Ranges(0, last, most, registers=most == 125)
        while (asked := ranges.ask()) is not None:
            self.requests += 1
            offset, count = asked
            assert 0 <= offset <= offset + count - 1 <= last
            assert count <= most
            there = any(first <= offset and offset + count - 1 <= end for first, end in self.spans)
            ranges.told(readable=there and self.takes(offset, count))
        return ranges

    @property
    def all(self) -> list[Span]:
        return [Span(*one) for one in self.spans]


SCATTERED = [(0, 0), (7, 7), (40, 43), (71, 71), (123, 126), (300, 300), (500, 998)]


def test_a_short_range_is_told_place_by_place() -> None:
    """No place is left out, no place is invented."""
    device = Device(SCATTERED)
    found = device.searched(999)
    assert found.spans == device.all
    assert found.left is None


@pytest.mark.parametrize("most", [125, 2000])
def test_an_area_of_nothing_costs_a_third(most: int) -> None:
    """Of long gaps only round places are asked, of registers in pairs too; it was 1.3 requests a place."""
    device = Device([])
    assert device.searched(9999, most).spans == []
    assert device.requests < 3_300


def test_everything_takes_no_more_than_the_largest_requests() -> None:
    """80 requests of 125 are 10,000 registers."""
    device = Device([(0, 9999)])
    assert device.searched(9999).spans == device.all
    assert device.requests == 80


@pytest.mark.parametrize("first", [1000, 4096, 4095, 2991, 8007])
def test_behind_a_long_gap(first: int) -> None:
    """What lies at a round place, or is as long as the way to the next one, is found whole."""
    device = Device([(0, 20), (first, first + 10)])
    found = device.searched(9999)
    assert found.spans == device.all
    assert found.left is not None


@pytest.mark.parametrize("values", [[(4243, 4243), (7777, 7778)], [(4243, 4244), (7777, 7778)], [(9999, 9999)]])
def test_what_was_passed_over_is_asked_place_by_place(values: list[tuple[int, int]]) -> None:
    """A lone value far from any round place; also one of 32 bits at an odd place, half of which is refused."""
    whole = all(last > first for first, last in values)
    device = Device(values, lambda _, count: count == 2 or not whole)
    found = device.searched(9999)
    assert found.spans == []
    assert found.left == Span(33, 9999)
    found.deepen()
    assert device.searched(9999, ranges=found).spans == device.all
    assert device.requests < 23_000
    assert found.left is None


def test_a_limit_is_learned() -> None:
    """What is too long is asked once or twice, not of each stretch again."""
    device = Device([(0, 9999)], lambda _, count: count <= 20)
    found = device.searched(9999)
    assert found.spans == device.all
    assert found.most <= 20
    assert device.requests < 10_000 / 16 + 10


def test_meters_that_refuse_half_a_value() -> None:
    """Those of one that takes but even counts from even offsets, 80 at most, with holes."""
    device = Device(
        [(0, 85), (200, 207), (224, 269), (334, 381)],
        lambda offset, count: not offset % 2 and not count % 2 and count <= 80,
    )
    assert device.searched(9999).spans == device.all
