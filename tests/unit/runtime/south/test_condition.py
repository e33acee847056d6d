"""Online or degraded, and who is to blame."""

from __future__ import annotations

from agent.core.flow import Answer, Sample
from agent.runtime.south.condition import CALM, SETTLES, Condition, Judge

BLAME = "unit 3 on the same bus does not answer"


class Bench:
    """One device's judge, and its clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self._judge = Judge()

    def answers(self, seconds: float = 1.0, *, bad: int = 0, **sample: object) -> Condition:
        """A sample with an answer, so long after the last one."""
        self.now += seconds
        answered = Sample(ts=0, answers=[Answer((0,), [1.5], ts=0)], **sample)  # type: ignore[arg-type]
        return self._judge.answered(self.now, answered, bad=bad, tags=20)

    def is_there(self, seconds: float = 1.0, *, bad: int = 0) -> Condition:
        """A sample that says only that the device is there."""
        self.now += seconds
        return self._judge.answered(self.now, Sample(ts=0), bad=bad, tags=20)


def test_skipped_cycles_degrade_until_it_was_calm() -> None:
    """One late cycle degrades; the device is online again only after a calm while, so a status does not flap."""
    bench = Bench()
    assert bench.answers().state == "online"
    slow = bench.answers(skipped=2, achieved_ms=3000)
    assert (slow.state, slow.achieved_ms, slow.causes) == ("degraded", 3000, ("late",))
    assert bench.answers(achieved_ms=2900).state == "degraded"
    assert bench.answers(CALM, achieved_ms=1100) == Condition("online")


def test_a_similar_period_is_no_news() -> None:
    """The achieved period is published anew only when it moved by a quarter, also while it gets better."""
    bench = Bench()
    first = bench.answers(skipped=1, achieved_ms=2000)
    assert bench.answers(skipped=1, achieved_ms=2200) == first
    assert bench.answers(skipped=1, achieved_ms=4000).achieved_ms == 4000
    assert bench.answers(achieved_ms=3300).achieved_ms == 4000
    assert bench.answers(achieved_ms=3100).achieved_ms == 3100


def test_who_is_late_because_of_a_neighbour_stays_online() -> None:
    """While it meets nine cycles in ten it is online, and the reason names the unit that costs the time."""
    bench = Bench()
    late = bench.answers(skipped=1, achieved_ms=1050, met=0.95, blame=BLAME)
    assert (late.state, late.causes, late.achieved_ms) == ("online", ("neighbour",), 1050)
    assert late.reason == f"cycles are late because {BLAME}"
    assert bench.answers(CALM) == Condition("online")


def test_a_neighbour_may_cost_too_much() -> None:
    """Below nine in ten it is degraded, the neighbour is named all the same, and it does not flap around the bound."""
    bench = Bench()
    late = bench.answers(skipped=1, achieved_ms=1200, met=0.89, blame=BLAME)
    assert (late.state, late.reason) == ("degraded", f"cycles are late because {BLAME}")
    assert bench.answers(met=0.91).state == "degraded"
    assert bench.answers(met=0.93).state == "online"
    assert bench.answers(met=0.91).state == "online"


def test_its_own_slowness_is_no_neighbours() -> None:
    """A device that is late by itself is degraded, whatever share of its cycles it meets."""
    assert Bench().answers(skipped=1, achieved_ms=1020, met=0.98).state == "degraded"


def test_bad_tags_degrade() -> None:
    """A device with bad tags is degraded and says how many, also while a neighbour makes it late."""
    condition = Bench().answers(bad=3)
    assert (condition.state, condition.reason, condition.causes) == ("degraded", "3 of 20 tags are bad", ("tags",))
    both = Bench().answers(bad=3, skipped=1, met=0.98, blame=BLAME)
    assert (both.state, both.causes) == ("degraded", ("neighbour", "tags"))


def test_tags_that_are_bad_since_the_loss_are_not_judged_yet() -> None:
    """A device that is back is degraded by what it says of its tags; where it says nothing, after a while."""
    bench = Bench()
    assert bench.is_there(bad=20).state == "online"
    assert bench.answers(bad=2).reason == "2 of 20 tags are bad"
    assert bench.is_there(bad=2).state == "degraded"
    silent = Bench()
    assert silent.is_there(bad=20).state == "online"
    assert silent.is_there(SETTLES, bad=20).reason == "20 of 20 tags are bad"


def test_what_a_device_says_of_itself_degrades_it() -> None:
    """A server that answers but is suspended is read, and not as it should be."""
    bench = Bench()
    condition = bench.answers(complaint="its state is suspended")
    assert (condition.state, condition.reason) == ("degraded", "its state is suspended")
    assert condition.causes == ("complaint",)
    assert bench.answers().state == "online"
