from __future__ import annotations

from agent.collectors.modbus.bus.culprits import WINDOW, Culprits


def test_a_silent_neighbour_is_named() -> None:
    """Who lost its turn to a unit's time-outs learns which unit that was; the unit itself has nobody to blame."""
    culprits = Culprits()
    culprits.took(0.0, 3, 2.0, answered=False)
    culprits.took(0.1, 1, 0.11, answered=True)
    assert culprits.of(1, 1.0) == "unit 3 on the same bus does not answer"
    assert culprits.of(3, 1.0) is None
    assert culprits.of(1, WINDOW + 1) is None


def test_who_is_slower_than_all_others_blames_nobody() -> None:
    """A unit that takes most of the bus itself is late by itself."""
    culprits = Culprits()
    culprits.took(0.0, 3, 0.5, answered=False)
    culprits.took(1.0, 1, 0.7, answered=True)
    assert culprits.of(1, 1.0) is None
    assert culprits.of(2, 1.0) == "unit 1 on the same bus answers slowly"


def test_several_are_named_in_one_sentence() -> None:
    """The first three silent units are named in the order of their numbers, so that the words stay the same."""
    culprits = Culprits()
    for unit in (9, 4, 7, 12, 5):
        culprits.took(0.0, unit, 1.0, answered=False)
    assert culprits.of(1, 0.0) == "units 4, 5, 7 and 2 more on the same bus do not answer"


def test_quick_answers_are_nobodys_fault() -> None:
    """A busy bus of quick units is not blamed on anybody, and costs no memory."""
    culprits = Culprits()
    for turn in range(1000):
        culprits.took(turn / 100, 3, 0.09, answered=True)
    assert culprits.of(1, 10.0) is None
