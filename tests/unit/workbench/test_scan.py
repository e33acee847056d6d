from __future__ import annotations

import pytest

from agent.workbench.ranges import Span
from agent.workbench.scan import UnitFound, devices_of


@pytest.mark.parametrize(
    ("most", "limit"),
    [
        ({"holding": 20}, 20),
        ({"holding": 125, "input": 60}, 60),
        ({"holding": 40, "input": 60}, 40),
        ({}, None),  # nothing that can be read was refused
        ({"coil": 100}, None),  # bits have a limit of their own
    ],
)
def test_the_smaller_limit_of_registers_counts(most: dict[str, int], limit: int | None) -> None:
    """Where both areas have one."""
    areas = {area: [Span(0, 299)] for area in ("holding", "input", "coil")}
    (device,) = devices_of("tcp://h", [UnitFound(3, areas=areas, most=most)]).values()
    assert device.get("max_registers") == limit
