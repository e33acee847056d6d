from __future__ import annotations

import pytest

from agent.collectors.opcua.services import Subscribed
from agent.collectors.opcua.tags.subscription import Subscription

HOURS = 3_600_000


@pytest.mark.parametrize(
    ("ahead", "told"),
    [
        (0, [998, 1300]),  # a right clock: what was made at 1300 and came at 4000 tells nothing of what came after
        (2_000, [1000, 1302]),  # ahead: the first one shows by how much
        (-3_000, [-2002, -1700]),  # behind by less than a notification may be under way: rather too early than too late
        (-8 * HOURS, [1000, 1302]),  # another zone of time
    ],
)
def test_what_happened_while_a_notification_was_under_way_is_not_known(ahead: int, told: list[int]) -> None:
    """Two ways of 2 ms and of 2.7 s, at servers whose clocks are right, ahead and behind."""
    subscription = Subscription(Subscribed(1, 100.0, 10, 30), heard=0.0, told=-5000, allowed=1.0)
    for made, arrived, expected in zip((998, 1300), (1000, 4000), told, strict=True):
        subscription.tell(made + ahead, arrived)
        assert subscription.told == expected


def test_a_clock_that_loses_a_minute_a_day_does_not_put_a_gap_further_and_further_back() -> None:
    """After a month at a server an hour behind us, its last word is as old as its way here was long."""
    subscription = Subscription(Subscribed(1, 100.0, 10, 30), heard=0.0, told=0, allowed=1.0)
    for second in range(0, 30 * 86_400, 10):
        arrived = second * 1000
        subscription.tell(arrived - 2 - HOURS - arrived // 1440, arrived)
    assert arrived - 10 <= subscription.told <= arrived


@pytest.mark.parametrize("back", [1, 3 * 1000, HOURS, 8 * HOURS])
@pytest.mark.parametrize("ahead", [0, -30_000, HOURS])
def test_a_server_whose_clock_is_set_back(back: int, ahead: int) -> None:
    """A cut later is no gap of an hour; a clock that is behind by less than 5 s is still taken for right."""
    subscription = Subscription(Subscribed(1, 100.0, 10, 30), heard=0.0, told=0, allowed=1.0)
    for second in range(1, 100):
        arrived = second * 1000
        subscription.tell(arrived - 2 + ahead - (back if second > 50 else 0), arrived)
        assert arrived - 2 - (back if back < 5000 else 0) <= subscription.told <= arrived


def test_a_server_whose_clock_is_set_forward_and_back_again() -> None:
    """The same, and the hour forward is forgotten."""
    subscription = Subscription(Subscribed(1, 100.0, 10, 30), heard=0.0, told=0, allowed=1.0)
    for second in range(1, 100):
        arrived = second * 1000
        subscription.tell(arrived - 2 + (HOURS if 30 < second < 60 else 0), arrived)
        assert arrived - 2 <= subscription.told <= arrived


def test_a_server_that_does_not_say_when_is_taken_to_have_spoken_just_now() -> None:
    """Without a time of publishing the time of arrival counts."""
    subscription = Subscription(Subscribed(1, 100.0, 10, 30), heard=0.0, told=0, allowed=1.0)
    subscription.tell(None, 1000)
    assert subscription.told == 1000
