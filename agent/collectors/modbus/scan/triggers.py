"""Edges of watched bits, and the reads they cause. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence

from agent.collectors.modbus.blocks.layout import Trigger


class Triggers:
    """What the watched bits were, and which reads wait for their time. `Trigger`s are named by their index."""

    def __init__(self, triggers: Sequence[Trigger]) -> None:
        self.bits = frozenset(trigger.bit for trigger in triggers)
        self._triggers = triggers
        self._was: dict[int, bool] = {}
        self._waiting: list[tuple[float, int]] = []
        self.next: float | None = None  #: when the next waiting read is due

    def see(self, bits: Iterable[tuple[int, bool]], now: float) -> list[int]:
        """Bits as they are now, by position: the reads that are due at once. Those with a settle time wait.

        What a bit is at first is no edge; neither is a value that was not read.
        """
        fired: list[int] = []
        for position, value in bits:
            was = self._was.get(position)
            self._was[position] = value
            if was is None or was == value:
                continue
            for index, trigger in enumerate(self._triggers):
                if trigger.bit == position and (trigger.rising if value else trigger.falling):
                    if not trigger.settle:
                        fired.append(index)
                    elif all(waits != index for _, waits in self._waiting):
                        heapq.heappush(self._waiting, (now + trigger.settle, index))
                        self.next = self._waiting[0][0]
        return fired

    def carry(self, before: Triggers, moved: Mapping[int, int]) -> None:
        """What the bits were that stay (position before → now)."""
        self._was = {moved[was]: value for was, value in before._was.items() if was in moved}

    def due(self, now: float) -> list[int]:
        """Reads whose settle time is over."""
        due: list[int] = []
        while self._waiting and self._waiting[0][0] <= now:
            due.append(heapq.heappop(self._waiting)[1])
        self.next = self._waiting[0][0] if self._waiting else None
        return due
