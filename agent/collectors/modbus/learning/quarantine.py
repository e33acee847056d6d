"""Tags the device refuses: kept out of the blocks, probed with back-off. Pure; lives with a connection."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from agent.collectors.modbus.blocks.reactions import Reaction

FIRST_PROBE_SECONDS = 15.0
LAST_PROBE_SECONDS = 600.0
LAPSED_PROBE_SECONDS = 30.0
FAILING_PROBE_SECONDS = 1.0


class Quarantine:
    """Which tags are refused, why, and when each is probed again: after 15 s, 30 s, … 10 min.

    A function that a device does not have is asked for every 10 min: one that boots says so, too.
    Tags that were read on this connection before they were refused have only lapsed (an inverter sleeps behind its
    logger): they are probed every 30 s, together, and when one is read again all that lapsed are asked at once. A
    device that fails or keeps silent, instead of refusing, may be well in a moment: they are probed from 1 s on.
    """

    def __init__(self) -> None:
        self.refused: dict[int, Reaction] = {}  #: by position in the tag table
        self._probe_at: dict[int, float] = {}
        self._wait: dict[int, float] = {}
        self._lapsed: set[int] = set()
        self._once_read: set[int] = set()
        self._returning: set[int] = set()  #: lapsed ones that are asked again because another was read
        self._turn = 0

    def carry(self, before: Quarantine, moved: Mapping[int, int]) -> None:
        """These tags (position before → now) are refused as they were, and probed when they would have been."""
        for was, position in moved.items():
            if was in before.refused:
                self.refused[position] = before.refused[was]
                self._probe_at[position], self._wait[position] = before._probe_at[was], before._wait[was]

    def __contains__(self, position: int) -> bool:
        return position in self.refused

    def learn(self, refused: Mapping[int, Reaction], now: float) -> list[int]:
        """These were refused on their own; which of them are news. Known ones are probed again, later each time."""
        news = [position for position in refused if position not in self.refused]
        for position, reaction in refused.items():
            self.refused[position] = reaction
            if position in self._returning:  # refused while others that lapsed with it are back: it is gone for good
                self._returning.discard(position)
                self._lapsed.discard(position)
            lapsed = position in self._lapsed
            first = FAILING_PROBE_SECONDS if lapsed and reaction.kind in ("bad", "silent") else FIRST_PROBE_SECONDS
            longest = LAPSED_PROBE_SECONDS if lapsed else LAST_PROBE_SECONDS
            wait = min(self._wait.get(position, first / 2) * 2, longest)
            if reaction.kind == "unsupported" and not lapsed:
                wait = LAST_PROBE_SECONDS
            self._wait[position] = wait
            self._probe_at[position] = now + wait
        return news

    def postpone(self, positions: Iterable[int], now: float) -> None:
        """A probe of these is on its way: not again before the same time has passed once more."""
        for position in positions:
            if position in self.refused:
                self._probe_at[position] = now + self._wait[position]

    def for_good(self) -> list[int]:
        """Those that were never read, as far as anybody knows."""
        return [position for position in self.refused if position not in self._once_read]

    def lapse(self, positions: Iterable[int]) -> None:
        """These were read, and are refused now."""
        read = set(positions)
        self._lapsed |= read
        self._once_read |= read

    def release(self, positions: Iterable[int], now: float) -> list[int]:
        """These were read; which of them had been refused."""
        freed = [position for position in positions if self.refused.pop(position, None) is not None]
        for position in freed:
            del self._probe_at[position], self._wait[position]
        if not self._lapsed.isdisjoint(freed):
            self._lapsed.difference_update(freed)
            self._returning = {position for position in self._lapsed if position in self.refused}
            self._probe_at.update(dict.fromkeys(self._returning, now))
        return freed

    def together(self, held: Iterable[int], due: Iterable[int]) -> tuple[list[int], int | None]:
        """Where a lapsed one is due: all of them that are held, to be asked together, and one of them, another each
        time, to be asked alone, because one that is gone for good must not keep the others.
        """
        lapsed = sorted(position for position in held if position in self._lapsed and position not in self._returning)
        if self._lapsed.isdisjoint(due) or not lapsed:
            return [], None
        self._turn += 1
        return lapsed, lapsed[self._turn % len(lapsed)]

    def due(self, positions: Iterable[int], now: float) -> list[int]:
        """Which of these are to be probed: the longest overdue first."""
        overdue = [position for position in positions if self._probe_at.get(position, math.inf) <= now]
        return sorted(overdue, key=lambda position: (self._probe_at[position], position))
