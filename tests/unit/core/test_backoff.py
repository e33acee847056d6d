from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.core.backoff import Backoff


def longest(**options: float) -> Backoff:
    """Always draws the longest delay."""
    return Backoff(uniform=lambda _low, high: high, **options)


def test_doubles_up_to_the_cap():
    """Ceilings double from the first to the cap."""
    backoff = longest(first=1, cap=10)
    assert backoff.ceiling == 0
    assert [backoff.failed(0) for _ in range(6)] == [1, 2, 4, 8, 10, 10]


def test_short_health_does_not_reset():
    """A peer that accepts and drops at once keeps being waited for longer and longer."""
    backoff = longest(first=1, cap=60)
    assert [backoff.failed(0.5) for _ in range(3)] == [1, 2, 4]
    assert backoff.failed(4) == 8  # as long as the last delay is not longer
    assert backoff.failed(8.1) == 1
    assert backoff.ceiling == 1


def test_who_carried_data_begins_anew():
    """A run that did what it is for resets the delay however short it was; so does who knows of a change."""
    backoff = longest(first=1, cap=60)
    assert [backoff.failed(0) for _ in range(4)] == [1, 2, 4, 8]
    assert backoff.failed(0.5, carried=True) == 1
    assert backoff.failed(0) == 2
    backoff.reset()
    assert backoff.failed(0) == 1


def test_at_least():
    """What the peer asks for is waited at least, also beyond the cap."""
    backoff = longest(first=1, cap=5)
    assert backoff.failed(0, at_least=30) == 30
    assert backoff.failed(0, at_least=0.1) == 2


def test_for_ever():
    """After any number of failures the delay is still the cap."""
    backoff = longest(first=1, cap=60)
    assert {backoff.failed(0) for _ in range(5000)} == {1, 2, 4, 8, 16, 32, 60}


@given(st.lists(st.floats(0, 1000), max_size=20))
def test_full_jitter(runs):
    """Every delay lies above zero and at most at the ceiling."""
    backoff = Backoff(first=0.5, cap=30)
    for healthy in runs:
        delay = backoff.failed(healthy)
        assert 0 < delay <= backoff.ceiling <= 30
