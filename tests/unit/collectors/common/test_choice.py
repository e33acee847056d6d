from __future__ import annotations

from agent.collectors.common.choice import FORGET, Choice


def test_a_server_that_is_not_there_is_followed_by_the_next() -> None:
    """Round and round, while none of them answers; a single one stays."""
    choice = Choice(["a", "b", "c"])
    seen = []
    for now in range(6):
        seen.append(choice.server)
        choice.failed(now)
    assert seen == ["a", "b", "c", "a", "b", "c"]
    alone = Choice(["a"])
    alone.failed(0)
    assert alone.server == "a"
    assert not alone.leave(0, 1)


def test_a_better_server_is_gone_to_and_no_flapping_between_bad_ones() -> None:
    """A healthy one is kept; a degraded one is left for what is unknown or better, and not back within a minute."""
    choice = Choice(["a", "b"])
    assert not choice.leave(255, 0)
    assert choice.leave(100, 1)
    assert choice.server == "b"
    assert choice.leave(50, 2), "the other one was seen in better health"
    assert choice.server == "a"
    assert not choice.leave(100, 3), "the other is worse"
    assert choice.leave(100, 3 + FORGET), "it may have recovered"
    assert choice.server == "b"


def test_a_server_that_was_not_there_is_not_gone_to_because_of_health() -> None:
    """Degraded is better than gone."""
    choice = Choice(["a", "b"])
    choice.failed(0)
    assert choice.server == "b"
    assert not choice.leave(1, 1)
    assert choice.server == "b"
    assert choice.leave(1, FORGET)
