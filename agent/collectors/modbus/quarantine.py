"""Tags whose registers the device refuses: kept out of the blocks, probed one by one. Pure; lives with a connection."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from agent.collectors.modbus.reactions import Reaction

PROBE_SECONDS = 60.0
_PROBES_PER_CYCLE = 4  #: so that probing never costs the good tags much


class Quarantine:
    """Which tags are refused, why, and when each is probed again."""

    def __init__(self) -> None:
        self.refused: dict[int, Reaction] = {}  #: by position in the tag table
        self._probe_at: dict[int, float] = {}

    def __contains__(self, position: int) -> bool:
        return position in self.refused

    def learn(self, refused: Mapping[int, Reaction], now: float) -> list[int]:
        """These were refused on their own; which of them are news. Known ones are probed again a minute later."""
        news = [position for position in refused if position not in self.refused]
        for position, reaction in refused.items():
            self.refused[position] = reaction
            self._probe_at[position] = math.inf if reaction.kind == "unsupported" else now + PROBE_SECONDS
        return news

    def postpone(self, positions: Iterable[int], now: float) -> None:
        """A probe of these is on its way, or brought nothing: not again for a minute."""
        for position in positions:
            if position in self.refused:
                self._probe_at[position] = now + PROBE_SECONDS

    def release(self, positions: Iterable[int]) -> list[int]:
        """These were read; which of them had been refused."""
        freed = [position for position in positions if self.refused.pop(position, None) is not None]
        for position in freed:
            del self._probe_at[position]
        return freed

    def due(self, positions: Iterable[int], now: float) -> list[int]:
        """Which of these to probe in this cycle: the longest overdue first."""
        overdue = [position for position in positions if self._probe_at.get(position, math.inf) <= now]
        return sorted(overdue, key=lambda position: (self._probe_at[position], position))[:_PROBES_PER_CYCLE]
