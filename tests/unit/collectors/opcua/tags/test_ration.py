"""What a server may publish: whoever keeps to what was asked is never made to wait."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from agent.collectors.opcua.tags.ration import Ration


def behind(items: int, queue: int, an_answer: int, a_second: int, *, waiting: int = 0) -> tuple[float, float]:
    """A server with these items, published once a second, for half a minute: what it could not say, the longest wait.

    `waiting`: what it has in its queues when it begins.
    """
    node = SimpleNamespace(point=SimpleNamespace(queue_size=queue))
    one: Any = SimpleNamespace(
        server=SimpleNamespace(interval_ms=1000.0), nodes=dict.fromkeys(range(items), node), events={}
    )
    ration = Ration()
    ration.ask([one])
    left, longest = float(waiting), 0.0
    for second in range(30):
        now = float(second)
        left += a_second
        while left and now < second + 1:
            came = int(min(an_answer, left))
            left -= came
            wait = ration.came(came, now)
            longest = max(longest, wait)
            now += wait
    return left, longest


@pytest.mark.parametrize(
    ("items", "queue", "an_answer", "a_second", "waiting"),
    [
        (10_000, 2, 1000, 10_000, 0),
        (10_000, 2, 100, 10_000, 0),  # its answers are smaller than they might be
        (1_000, 2, 10, 1_000, 0),
        (10_000, 10, 1000, 100_000, 0),  # sampled ten times as often as it is published
        (50_000, 2, 1000, 50_000, 0),
        (10_000, 20, 1000, 10_000, 200_000),  # an outage has filled its queues
    ],
)
def test_an_honest_server_never_waits(items: int, queue: int, an_answer: int, a_second: int, waiting: int) -> None:
    """However it fills its answers, and also where it has to make up for an outage."""
    assert behind(items, queue, an_answer, a_second, waiting=waiting) == (0, 0)


@pytest.mark.parametrize(("an_answer", "a_second"), [(1000, 60_000), (1, 500)])
def test_a_flood_waits(an_answer: int, a_second: int) -> None:
    """More than two tags can bring: the rest stays with the server."""
    left, longest = behind(2, 2, an_answer, a_second)

    assert left > 25 * a_second / 2
    assert longest > 0


def test_a_flood_of_nothing_is_asked_every_50_ms_whatever_may_be_published() -> None:
    """An answer without a value costs as much as one with some, and brings nothing."""
    node = SimpleNamespace(point=SimpleNamespace(queue_size=2))
    one: Any = SimpleNamespace(
        server=SimpleNamespace(interval_ms=1000.0), nodes=dict.fromkeys(range(10_000), node), events={}
    )
    ration = Ration()
    ration.ask([one])
    now = 0.0
    for _ in range(1000):
        now += ration.came(0, now)

    assert now == pytest.approx(1000 * 0.05 - 3, abs=0.1)  # less the burst: a second and two intervals
