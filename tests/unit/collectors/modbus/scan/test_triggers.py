from __future__ import annotations

import pytest

from agent.collectors.modbus.blocks.layout import Trigger
from agent.collectors.modbus.scan.triggers import Triggers


@pytest.mark.parametrize(
    ("rising", "falling", "fired"), [(True, False, [1, 4]), (False, True, [2, 5]), (True, True, [1, 2, 4, 5])]
)
def test_edges(rising: bool, falling: bool, fired: list[int]) -> None:
    """A change fires once, in its direction; what the bit is at first does not."""
    triggers = Triggers([Trigger(7, rising, falling, 0.0, ())])
    values = [False, True, False, False, True, False]
    assert [i for i, value in enumerate(values) if triggers.see([(7, value)], 0.0)] == fired
    assert Triggers([Trigger(7, rising, falling, 0.0, ())]).see([(7, True), (8, False)], 0.0) == []


def test_a_settle_time_is_waited_for() -> None:
    """A read with a settle time is due that long after the edge, once, however often the bit changes meanwhile."""
    triggers = Triggers([Trigger(7, True, False, 0.5, ()), Trigger(7, True, False, 0.2, ())])
    for now, value in ((0.0, False), (1.0, True), (1.1, False), (1.15, True)):
        assert triggers.see([(7, value)], now) == []
    assert triggers.next == 1.2
    assert triggers.due(1.1) == []
    assert triggers.due(1.3) == [1]
    assert triggers.due(2.0) == [0]
    assert triggers.next is None
