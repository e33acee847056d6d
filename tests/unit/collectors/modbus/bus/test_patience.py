"""How long answers take behind a gateway that converts."""

from __future__ import annotations

from agent.collectors.modbus.bus.patience import Patience
from agent.collectors.modbus.bus.transaction import LateAnswer


def test_a_held_up_neighbour_teaches_how_long_the_gateway_takes() -> None:
    """After the first silence the next unit gets more time; that it needs it is what the gateway takes."""
    patience = Patience()
    assert patience.timeout(1, 1.0, 0.0) == 1.0
    patience.silent(9, 0.0, 1.0, 1.0)
    assert patience.held_up_by(1) == 9
    assert patience.timeout(1, 1.0, 1.0) == 2.5
    assert patience.timeout(9, 1.0, 1.0) == 1.0, "not the silent one itself"
    learned = patience.answered(1, 1.0, 1.0, 3.0)
    assert learned is not None
    assert 3.0 < learned < 3.5
    assert patience.timeout(2, 1.0, 4.0) == learned
    assert not patience.timeout(2, 5.0, 4.0) < 5.0


def test_a_quick_neighbour_shows_that_nobody_is_held_up() -> None:
    """Where a silent unit costs the others nothing no time is given away again."""
    patience = Patience()
    patience.silent(9, 0.0, 1.0, 1.0)
    before = patience.known
    assert patience.answered(1, 1.0, 1.0, 1.02) is None
    assert (before, patience.known) == (False, True)
    patience.silent(9, 5.0, 1.0, 6.0)
    assert patience.timeout(1, 1.0, 6.0) == 1.0


def test_what_the_gateway_says_late() -> None:
    """0B that comes late is the gateway's own time-out; a late value is not, and less than known is no news."""
    patience = Patience()
    assert patience.came_late(LateAnswer(9, 2.0, 0)) is None
    assert patience.came_late(LateAnswer(9, 3.0, 0x0B)) == patience.learned > 3.0
    assert patience.came_late(LateAnswer(9, 2.0, 0x0B)) is None
    assert patience.came_late(LateAnswer(9, 300.0, 0x0B)) == 30.0


def test_nobody_answers() -> None:
    """Two silent units are no gateway held up by one of them."""
    patience = Patience()
    patience.silent(9, 0.0, 1.0, 1.0)
    patience.silent(8, 1.0, 2.5, 3.5)
    assert patience.timeout(7, 1.0, 3.5) == 1.0
