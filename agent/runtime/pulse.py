"""The pulse of the process: does the loop run on time, is the clock set?"""

from __future__ import annotations

from collections import deque

from agent.core.clock import Clock, to_beat
from agent.runtime.blocks import LoopBlocks
from agent.runtime.steps import Steps
from agent.telemetry import metrics
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Repeats

#: Between two beats, seconds.
BEAT = 1.0
#: The metric tells the longest block of so many beats: a scrape once a minute misses none.
_TOLD = 60
#: A loop blocked for longer than this is worth a line, seconds.
WORTH_SAYING = 1.0

log = get_logger("pulse")


class Pulse:
    """Beats once a second for as long as the loop runs."""

    def __init__(self, clock: Clock, steps: Steps) -> None:
        self._clock = clock
        self._steps = steps
        self._repeats = Repeats()
        self._blocks = LoopBlocks()
        self._latest = 0.0

    def latest_ms(self) -> int:
        """The longest block of the loop since this was asked last."""
        latest, self._latest = self._latest, 0.0
        return round(latest * 1000)

    async def run(self) -> None:
        """Beat until cancelled."""
        if not self._clock.synced:
            log.warning("agent.clock_unsynced")
        metrics.CLOCK_SYNCED.set(self._clock.synced)
        recent: deque[float] = deque(maxlen=_TOLD)
        with self._blocks.watched():
            while True:
                await self._clock.sleep(to_beat(self._clock.monotonic(), BEAT))
                self._beat(recent)

    def _beat(self, recent: deque[float]) -> None:
        blocked = self._blocks.take()
        self._latest = max(self._latest, blocked)
        recent.append(blocked)
        metrics.LOOP_LAG.set(max(recent))
        self._steps.look()
        metrics.CLOCK_SYNCED.set(self._clock.synced)
        if blocked > WORTH_SAYING and (repeats := self._repeats.due("blocked", self._clock.monotonic())) is not None:
            log.warning("agent.loop_blocked", seconds=round(blocked, 2), repeats=repeats)
