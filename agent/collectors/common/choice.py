"""Which of several redundant servers to talk to (OPC 10000-4, 6.6.2). Pure.

ServiceLevel: 0 maintenance, 1 no data, 2 to 199 degraded, 200 to 255 healthy.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from agent.core.clock import Clock

HEALTHY = 200
FORGET = 60.0  #: seconds after which what was seen of another server may have changed


class Choice:
    """The servers of one device, the preferred first; times in monotonic seconds."""

    def __init__(self, servers: Sequence[str]) -> None:
        self.servers = tuple(servers)
        self._at = 0
        self._seen: dict[int, tuple[int, float]] = {}  # server → level (-1: not there), when

    @property
    def server(self) -> str:
        """The one to talk to now."""
        return self.servers[self._at]

    def failed(self, now: float) -> None:
        """It is not there: the next one is tried."""
        self._seen[self._at] = (-1, now)
        self._at = self._best(now, -2)

    def leave(self, level: int, now: float) -> bool:
        """It says this of itself. True where another one, chosen from now on, may be better."""
        self._seen[self._at] = (level, now)
        if level >= HEALTHY:
            return False
        before, self._at = self._at, self._best(now, level)
        return self._at != before

    def _best(self, now: float, level: int) -> int:
        """The next one that is not known to be worse than `level`; without any, the next or (level > -2) this one."""
        others = [(self._at + step) % len(self.servers) for step in range(1, len(self.servers))]
        for other in others:
            seen = self._seen.get(other)
            if seen is None or now - seen[1] >= FORGET or seen[0] > max(level, -1):
                return other
        if level > -2 or not others:
            return self._at
        return others[0]


@asynccontextmanager
async def elsewhere_next(choice: Choice, clock: Clock) -> AsyncIterator[None]:
    """Where a connection fails the next one is made to another server, if there is one."""
    server = choice.server
    try:
        yield
    except Exception:
        if choice.server == server:
            choice.failed(clock.monotonic())
        raise
