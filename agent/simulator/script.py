"""What happens during a demo and when. Pure.

One round: a device goes offline and comes back, then the agent's way to the broker is cut for five seconds, then there
is time to work off the backlog. Without an end the round repeats with the next device.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

CUT = 5.0  #: seconds without a way to the broker
ROUND = 45.0  #: seconds from one round's beginning to the next
SHORTEST = 8.0  #: what a round needs at least, whatever was asked for

What = Literal["offline", "heal", "cut", "restore"]


class Act(NamedTuple):
    """At `at` seconds after the beginning `what` happens, to `device` where it is about one."""

    at: float
    what: What
    device: str = ""


def acts(seconds: float | None, devices: Sequence[str]) -> Iterator[Act]:
    """All acts in order; endless where `seconds` is None. Everything is healed well before the end.

    A run too short for five seconds of darkness gets a third of its length instead.
    """
    if seconds is not None and seconds < 2 * ROUND:
        yield from _round(0.0, max(seconds, SHORTEST), devices[0])
        return
    number = 0
    while seconds is None or (number + 1) * ROUND <= seconds:
        yield from _round(number * ROUND, ROUND, devices[number % len(devices)])
        number += 1


def _round(start: float, length: float, device: str) -> Iterator[Act]:
    dark = min(CUT, length / 3)
    first = min(0.08 * length, 5.0)
    away = min(0.2 * length, 5.0)
    cut = first + away + min(0.08 * length, 3.0)
    yield Act(start + first, "offline", device)
    yield Act(start + first + away, "heal", device)
    yield Act(start + cut, "cut")
    yield Act(start + cut + dark, "restore")
