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


def test_silent_units_leave_the_bus_to_others() -> None:
    """All silent units together cost no more than a tenth of the time; each is asked every five minutes at least."""
    culprits = Culprits()
    assert culprits.courtesy(3, 0.0) == 0.0
    culprits.took(0.0, 3, 2.0, answered=False)
    assert culprits.courtesy(3, 0.0) == 24.0
    culprits.took(1.0, 4, 1.0, answered=False)
    assert culprits.courtesy(3, 1.0) == 36.0
    culprits.took(2.0, 4, 0.01, answered=True)
    assert culprits.courtesy(3, 2.0) == 24.0
    for unit in range(5, 60):
        culprits.took(3.0, unit, 1.0, answered=False)
    assert culprits.courtesy(3, 3.0) == 300.0
    culprits.took(1000.0, 3, 2.0, answered=False)
    assert culprits.courtesy(3, 1000.0) == 24.0


def test_a_silence_that_costs_nothing_needs_no_courtesy() -> None:
    """A gateway that says at once that a unit is not there takes nothing from its neighbours."""
    culprits = Culprits()
    culprits.took(0.0, 3, 0.01, answered=False)
    assert culprits.courtesy(3, 0.0) == 0.0
