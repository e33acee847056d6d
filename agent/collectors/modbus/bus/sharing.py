"""Whether somebody else asks questions on this bus. Pure.

A serial server in transparent mode passes everything its RS-485 port hears to every client: the answers to another
master's requests, too, and one without a transaction id that has the right form cannot be told from ours. What gives
the other one away are whole frames, right to their checksum, that come while nothing was asked. One of them puts what
is read for a while in doubt; several are another master.
"""

from __future__ import annotations

from collections.abc import Iterable

_ENOUGH = 3  #: frames …
_WITHIN = 10.0  #: … in so many seconds
_OVER_AFTER = 60.0  #: seconds without any

REASON = "another master talks on this bus, its answers cannot be told from ours"
ONE_HEARD = "a frame came that nobody here asked for, another master may talk on this bus"


class SharedBus:
    """What is known of one bus; it outlives connections."""

    def __init__(self) -> None:
        self.shared = False
        self._heard: list[float] = []  #: the last of them

    def look(self, strangers: Iterable[float], now: float) -> bool:
        """Frames nobody asked for came at these times. Whether `shared` has changed."""
        for when in strangers:
            self._heard = [*self._heard, when][-_ENOUGH:]
        if self.shared:
            over = now - self._heard[-1] >= _OVER_AFTER
        else:
            over = len(self._heard) < _ENOUGH or self._heard[-1] - self._heard[0] > _WITHIN
        changed, self.shared = self.shared == over, not over
        return changed

    def doubt(self, now: float) -> str | None:
        """Why an answer may be meant for somebody else."""
        if self.shared:
            return REASON
        return ONE_HEARD if self._heard and now - self._heard[-1] <= _WITHIN else None
