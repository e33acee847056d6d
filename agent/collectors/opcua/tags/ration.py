"""How much a server may publish: what its subscriptions can bring, twice over. Pure.

It may have more in its queues than it should, so nothing is thrown away; but it is asked for less.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from agent.collectors.opcua.floors import PUBLISHING
from agent.collectors.opcua.services import MOST_PER_NOTIFICATION
from agent.collectors.opcua.tags.subscription import Subscription

_FEWEST = 1_000.0  #: values a second: what no server does harm with
_SMALL = 20  #: values in an answer of an honest server that fills its answers less than it was allowed to
_BURST = 1.0  #: seconds beside two publishing intervals that may come ahead of their time
_LONGEST = 10.0  #: seconds until it is asked again, whatever has come: the subscriptions must not end for it


class Ration:
    """Of one connection."""

    def __init__(self) -> None:
        self._asked: tuple[tuple[float, int], ...] = ()
        self._burst = _BURST
        self._empty = self._answer = PUBLISHING  # seconds that one of them takes of what is allowed
        self._value = 1 / _FEWEST
        self._used = -math.inf  # until when what has come uses up what is allowed

    def ask(self, subscriptions: Iterable[Subscription]) -> None:
        """From now on these are what was asked for."""
        asked = tuple((each.server.interval_ms / 1000, len(each.nodes)) for each in subscriptions)
        if asked == self._asked:
            return
        self._asked = asked
        values = answers = pulses = slowest = 0.0
        for each in subscriptions:
            interval = max(each.server.interval_ms / 1000, 0.001)
            most = sum(node.point.queue_size for node in each.nodes.values()) + len(each.events) * MOST_PER_NOTIFICATION
            values += 2 * most / interval
            answers += 2 * (math.ceil(most / _SMALL) + 1) / interval
            pulses += 4 / interval
            slowest = max(slowest, interval)
        self._burst = _BURST + 2 * slowest
        self._empty = 1 / max(pulses, 1 / PUBLISHING)
        self._answer, self._value = 1 / max(answers, pulses, 1 / PUBLISHING), 1 / max(values, _FEWEST)

    def came(self, values: int, now: float) -> float:
        """An answer with so many values came; the seconds until the next one should be asked for."""
        took = max(self._answer, values * self._value) if values else self._empty
        used = max(self._used, now) + took
        self._used = min(used, now + self._burst + _LONGEST)
        return max(0.0, self._used - now - self._burst)
