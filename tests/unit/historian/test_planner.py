from __future__ import annotations

import time

import pytest

from agent.historian.agents import MOST_AGENTS, Agents
from agent.historian.items import AgentState
from agent.historian.planner import AGAIN, FIRST, GIVE_UP_MS, MOST_ASKED, MOST_NUMBERS, SOON, Planner
from agent.historian.stores.port import Hole, Way
from agent.historian.ways import Ways
from tests.support.historian import NOW, key


def state(agent="gw-01", *, online=True, resend=True, session="s", source="plant"):
    word = "online" if online else "offline"
    return AgentState(source, agent, NOW, word, session, "1", None, None, None, "0/1", "plant", resend)


def hole(first, last, stream=1):
    return Hole(stream, "plant", key(), first, last)


class Desk:
    """A planner, the agents, and a clock."""

    def __init__(self, marks=()):
        self.now = 0.0
        self.agents = Agents()
        self.agents.heard(state())
        self.planner = Planner(marks, 0.0)

    def look(self, *holes, after=0.0):
        self.now += after
        self.plan = self.planner.look(holes, self.agents, self.now, NOW + round(self.now * 1000))
        return [(ask.hole.first, ask.hole.last) for ask in self.plan.asks]

    @property
    def repairs(self):
        return [mark.repair for mark in self.plan.marks]


@pytest.fixture
def desk():
    return Desk()


def test_a_hole_is_asked_for_when_it_is_old_enough_and_then_more_and_more_rarely(desk):
    """After 30 s, then 30 s, 60 s, every 2 min."""
    assert desk.look(hole(2, 5)) == []
    assert desk.repairs == ["open"]
    assert desk.look(hole(2, 5), after=FIRST - 1) == []
    assert desk.look(hole(2, 5), after=1) == [(2, 5)]
    assert desk.repairs == ["waiting"]
    for wait in (*AGAIN, AGAIN[-1]):
        assert desk.look(hole(2, 5), after=wait - 1) == []
        assert desk.look(hole(2, 5), after=1) == [(2, 5)]


def test_while_the_answer_comes_it_is_not_asked_again(desk):
    """What is left waits 30 s from the last record that came."""
    desk.look(hole(1, 100))
    assert desk.look(hole(1, 100), after=FIRST) == [(1, 100)]
    for left in range(2, 10):
        assert desk.look(hole(left, 100), after=20) == []
    assert desk.look(hole(9, 50), hole(60, 100), after=20) == []
    assert desk.look(hole(9, 50), hole(60, 100), after=AGAIN[0]) == [(9, 100)]  # near enough for one request


def test_a_new_session_asks_at_once(desk):
    """Also for what is noticed shortly after."""
    desk.look(hole(1, 2))
    desk.look(hole(1, 2), after=FIRST)
    desk.planner.hurry(["gw-01"], desk.now)
    assert desk.look(hole(1, 2)) == [(1, 2)]
    assert desk.look(hole(1, 2), hole(50, 60)) == []
    assert desk.look(hole(1, 2), hole(50, 60), after=SOON) == [(50, 60)]


def test_requests_are_bounded_in_numbers_and_at_a_time(desk):
    """An agent takes 10,000 numbers a request and lets ten wait."""
    huge = hole(1, 25 * MOST_NUMBERS)
    desk.look(huge)
    asks = desk.look(huge, after=FIRST)
    assert len(asks) == MOST_ASKED
    assert all(last - first + 1 == MOST_NUMBERS for first, last in asks)
    assert desk.look(huge, after=1) == []
    rest = hole(MOST_NUMBERS + 1, 25 * MOST_NUMBERS)  # the first is answered: the next may be asked
    assert desk.look(rest, after=1) == [(8 * MOST_NUMBERS + 1, 9 * MOST_NUMBERS)]


def test_as_many_holes_as_anybody_can_make_cost_little(desk):
    """It looks every second, on the event loop: 5,000 holes of a stream took 14 s of it, beside 10,000 agents."""
    for number in range(MOST_AGENTS + 100):
        desk.agents.heard(state(f"stranger-{number}"))
    desk.agents.heard(state())
    before = time.process_time()
    far_apart = [hole(1000 * number, 1000 * number) for number in range(1, 5001)]
    for _ in range(3):
        desk.look(*far_apart, after=FIRST)
    assert len(desk.plan.marks) == 5000
    desk.look(*(hole(1, 1 << 60, stream) for stream in range(5000)))
    assert len(desk.plan.marks) < 12_000
    assert time.process_time() - before < 4


def test_an_agent_that_was_heard_lately_is_not_forgotten_for_strangers(desk):
    """10,000 are known at once: whoever publishes may name any number."""
    for number in range(MOST_AGENTS - 1):
        desk.agents.heard(state(f"stranger-{number}"))
    desk.agents.heard(state())
    desk.agents.heard(state("one-more"))
    assert desk.agents.askable("gw-01") == ["plant"]
    assert desk.agents.askable("stranger-0") == []


def test_only_agents_that_are_online_and_answer_are_asked(desk):
    """An offline one later, one that answers nothing never."""
    desk.agents.heard(state(online=False))
    desk.look(hole(1, 2))
    assert desk.look(hole(1, 2), after=FIRST) == []
    assert (desk.repairs, desk.plan.refusing) == (["open"], [])
    assert desk.agents.heard(state(resend=False))
    assert desk.look(hole(1, 2)) == []
    assert (desk.repairs, desk.plan.refusing) == (["refused"], ["gw-01"])
    assert not desk.agents.heard(state(resend=True))
    assert desk.look(hole(1, 2)) == [(1, 2)]
    desk.agents.away("plant")
    assert desk.look(hole(1, 2), after=AGAIN[0]) == []


def test_after_a_day_in_vain_it_is_given_up_also_over_restarts(desk):
    """What was asked for is written down."""
    desk.look(hole(1, 2))
    desk.look(hole(1, 2), after=FIRST)
    marks = desk.plan.marks
    desk.look(hole(1, 2), after=GIVE_UP_MS / 1000)
    assert desk.repairs == ["given_up"]
    again = Desk(marks)
    assert again.look(hole(1, 2)) == [(1, 2)]
    assert again.look(hole(1, 2), after=GIVE_UP_MS / 1000 + 1) == []
    assert again.repairs == ["given_up"]


def test_what_was_given_up_is_asked_for_once_more_when_a_session_begins(desk):
    """The agent was off for the weekend, and still keeps it."""
    desk.look(hole(1, 2))
    desk.look(hole(1, 2), after=FIRST)
    desk.agents.heard(state(online=False))
    desk.look(hole(1, 2), after=2 * GIVE_UP_MS / 1000)
    assert desk.repairs == ["given_up"]
    desk.agents.heard(state(session="another"))
    assert desk.look(hole(1, 2)) == []
    desk.planner.hurry(["gw-01"], desk.now)
    assert desk.look(hole(1, 2)) == [(1, 2)]
    assert desk.look(hole(1, 2), after=AGAIN[-1]) == []


def test_a_late_goodbye_of_another_session_changes_nothing(desk):
    """As the broker says the will of a connection that the agent has replaced."""
    desk.agents.heard(state(session="new"))
    desk.agents.heard(state(session="s", online=False))
    assert desk.agents.askable("gw-01") == ["plant"]


def test_of_two_ways_the_one_that_stands_first_is_taken():
    """Whichever was heard first; devices that come one way only are not concerned."""
    ways = Ways(["a", "b"])
    assert ways.takes("b", "gw", "d", "p")
    assert ways.takes("a", "gw", "d", "p")
    assert not ways.takes("b", "gw", "d", "p")
    assert not ways.takes_path("b", "p")
    assert ways.takes("b", "gw", "e", "q")
    ways.known(Way("a", "gw", "f", "r"))
    assert not ways.takes("b", "gw", "f", "r")
    ways.known(Way("gone", "gw", "g", "s"))
    assert ways.takes("b", "gw", "g", "s")
