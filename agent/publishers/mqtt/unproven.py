"""What was written at QoS 0, and whether the broker has read it. No acknowledgement will ever tell.

But TCP keeps the order: a PUBACK, or the answer to a PINGREQ, proves all that was written before it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator

from agent.publishers.mqtt.flying import Flying

#: What wants proof is followed by a PINGREQ so soon, seconds …
SOON = 0.1
#: … and everything else so late.
LATE = 2.0


class Unproven:
    """Of one session. `ping` sends a PINGREQ."""

    def __init__(self, ping: Callable[[], None]) -> None:
        self.answered = 0  #: what was written before the last PINGREQ that was answered
        self._ping = ping
        self._waiting: deque[Flying] = deque()
        self._asked = 0  # what was written before the PINGREQ under way
        self._probe: asyncio.TimerHandle | None = None
        self._over = False

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def __iter__(self) -> Iterator[Flying]:
        return iter(self._waiting)

    @property
    def wanted(self) -> int:
        """How many of them want proof."""
        return sum(one.packet.proof for one in self._waiting)

    def add(self, flying: Flying) -> None:
        """It is written."""
        self._waiting.append(flying)
        self._probe_within(SOON if flying.packet.proof else LATE)

    def take(self, order: int) -> list[Flying]:
        """Those that are proven by an answer to what was written as number `order`."""
        taken = []
        while self._waiting and self._waiting[0].order <= order:
            taken.append(self._waiting.popleft())
        return taken

    def pinged(self, order: int) -> None:
        """A PINGREQ follows everything up to `order`."""
        self._asked = order

    def ponged(self) -> list[Flying]:
        """It is answered; those that are proven by that."""
        self.answered = self._asked
        taken = self.take(self._asked)
        if self._waiting:
            self._probe_within(SOON if self.wanted else LATE)
        return taken

    def ask(self) -> None:
        """Have the broker prove them now."""
        self._probe = None
        if self._waiting:
            self._ping()

    def end(self) -> list[Flying]:
        """The connection is gone; those of which nobody will ever know."""
        self._over = True
        if self._probe is not None:
            self._probe.cancel()
        left = list(self._waiting)
        self._waiting.clear()
        return left

    def _probe_within(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        if self._probe is not None and self._probe.when() <= loop.time() + seconds:
            return
        if self._probe is not None:
            self._probe.cancel()
        if not self._over:
            self._probe = loop.call_later(seconds, self.ask)
