"""Frames on a bus that nobody here asked for: another master talks there."""

from __future__ import annotations

from agent.collectors.modbus.bus.overdue import FORGET

_CROWD = 2000  #: in a second; at 115200 baud a bus carries 1,400
_REMEMBERED = 16  #: until the bus looks


class Strangers:
    """Those of one connection."""

    def __init__(self) -> None:
        self.heard: list[float] = []  #: when, since the bus looked
        self._newest = -FORGET
        self._second, self._crowd = -1.0, 0  # when a second began, and how many in it

    def hear(self, now: float) -> bool:
        """One more; whether these are more than any bus carries."""
        if now - self._second >= 1.0:
            self._second, self._crowd = now, 0
        self._crowd += 1
        self._newest = now
        self.heard.append(now)
        del self.heard[:-_REMEMBERED]
        return self._crowd > _CROWD

    def silent(self, now: float) -> bool:
        """Whether none has come for so long that nobody else seems to talk here."""
        return now - self._newest >= FORGET
