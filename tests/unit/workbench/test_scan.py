from __future__ import annotations

import pytest

from agent.workbench.ranges import Span
from agent.workbench.scan import UnitFound, devices_of


@pytest.mark.parametrize(
    ("areas", "most", "limit"),
    [
        ({"holding": [Span(0, 299)], "input": [Span(0, 5)]}, {"holding": 20, "input": 6}, 20),
        ({"holding": [Span(0, 299)], "input": [Span(0, 299)]}, {"holding": 125, "input": 60}, 60),
        ({"holding": [Span(0, 299)], "input": [Span(0, 299)]}, {"holding": 40, "input": 60}, 40),
        ({"holding": [Span(0, 299)], "input": [Span(0, 299)]}, {"holding": 125, "input": 125}, None),
        ({"holding": [Span(0, 5)]}, {"holding": 6}, None),  # nobody asked for more
        ({"coil": [Span(0, 999)]}, {"coil": 100}, None),  # bits have a limit of their own
    ],
)
def test_the_smaller_limit_of_registers_counts(
    areas: dict[str, list[Span]], most: dict[str, int], limit: int | None
) -> None:
    """Of the areas in which a larger request would have fitted."""
    (device,) = devices_of("tcp://h", [UnitFound(3, areas=areas, most=most)]).values()
    assert device.get("max_registers") == limit
