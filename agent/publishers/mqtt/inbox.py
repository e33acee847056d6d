"""What the broker sends us, until the dialogue takes it: bounded in number, bytes and pace; the oldest go first."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from agent.core.flow import Incoming
from agent.publishers.mqtt.oversize import Oversize
from agent.telemetry.logging import get_logger
from agent.telemetry.metrics import INCOMING_DROPPED
from agent.telemetry.repeats import Repeats

log = get_logger("mqtt")

MOST = 1000
MOST_BYTES = 4 << 20
#: So many are handed out, then the loop has this long for others, seconds: whoever may write on our topics would else
#: have all of it. More than 200 a second has nobody to say to us.
_AT_ONCE, _BREATH = 20, 0.1


class SessionInbox:
    """Of one session."""

    def __init__(self, publisher: str, monotonic: Callable[[], float]) -> None:
        self._publisher = publisher
        self._monotonic = monotonic
        self._waiting: deque[Incoming] = deque()
        self._bytes = 0
        self._news = asyncio.Event()
        self._closed = False
        self._repeats = Repeats()

    def put(self, incoming: Incoming) -> None:
        """A message on a topic listened to."""
        self._waiting.append(incoming)
        self._bytes += len(incoming.payload)
        while len(self._waiting) > MOST or self._bytes > MOST_BYTES:
            dropped = self._take()
            INCOMING_DROPPED.labels(self._publisher, "crowded").inc()
            if (repeats := self._repeats.due("crowded", self._monotonic())) is not None:
                where = {"publisher": self._publisher, "topic": dropped.topic[:200]}
                log.warning("mqtt.incoming_crowded", **where, repeats=repeats)
        self._news.set()

    def past(self, found: Oversize) -> None:
        """One that was read past."""
        INCOMING_DROPPED.labels(self._publisher, "too_large").inc()
        if (repeats := self._repeats.due(("oversized", found.topic), self._monotonic())) is not None:
            where = {"publisher": self._publisher, "topic": found.topic[:200]}
            log.warning("mqtt.incoming_too_large", **where, bytes=found.size, repeats=repeats)

    def close(self) -> None:
        """The session is over: what is here is still handed out."""
        self._closed = True
        self._news.set()

    async def all(self) -> AsyncIterator[Incoming]:
        """Until closed."""
        taken = 0
        while True:
            while self._waiting:
                yield self._take()
                taken += 1
                if not taken % _AT_ONCE and not self._closed:
                    await asyncio.sleep(_BREATH)
            if self._closed:
                return
            self._news.clear()
            await self._news.wait()

    def _take(self) -> Incoming:
        incoming = self._waiting.popleft()
        self._bytes -= len(incoming.payload)
        return incoming
