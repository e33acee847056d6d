"""How live and backlog share one window. Pure policies; forwarder.py acts on them."""

from __future__ import annotations

import random
from typing import Literal

from agent.settings.publishers import Replay

#: Backlog messages per second while live data goes first, where the configuration names no rate.
DEFAULT_RATE = 50.0
#: A short outage's backlog may go out at once: so many seconds of its rate.
BURST = 1.0
#: Who has to wait waits at least so long, seconds: what goes in that time goes together. A record that wakes the
#: process alone costs several times what it costs among others.
TOGETHER = 0.1
#: Between a cut and the first record of its backlog lies up to this, seconds.
LATEST_START = 0.5


def start_delay() -> float:
    """At random, so that the agents of a plant whose broker comes back do not all replay at once."""
    return random.uniform(0.0, LATEST_START)


class TokenBucket:
    """Throttle: `rate` tokens per second, `rate * BURST` saved up at most. The caller sleeps."""

    def __init__(self, rate: float | None, now: float) -> None:
        self._rate = rate
        self._room = max(1.0, (rate or 0.0) * BURST)
        self._tokens = self._room
        self._at = now

    def take(self, now: float) -> float:
        """Take one token; how many seconds to wait before acting on it (0: now)."""
        if self._rate is None:
            return 0.0
        self._tokens = min(self._room, self._tokens + (now - self._at) * self._rate) - 1.0
        self._at = now
        return max(TOGETHER, -self._tokens / self._rate) if self._tokens < 0 else 0.0


class LanePlan:
    """What the replay settings mean for a session with this window."""

    def __init__(self, replay: Replay, window: int) -> None:
        self.order: Literal["live_first", "in_order"] = replay.order
        live_first = replay.order == "live_first"
        self.rate: float | None = replay.max_rate or (DEFAULT_RATE if live_first else None)
        #: backlog messages that may be unacknowledged at a time: live data always finds room beside them
        self.backlog_window = max(1, min(window - 1, int(window * replay.share))) if live_first else window
