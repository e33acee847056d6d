"""`disk: on_outage`: records that a broker takes at once never see the disk. Pure.

A spared record has its number and its row like any other, is handed out live from memory, and is gone with its
acknowledgement. It goes to the disk under its row, with the next commit, when it is not acknowledged within `WAIT`,
when too much of that is in memory, when anything but an acknowledgement has to be written, and at the end of the
session. So a crash costs what was read in the last `WAIT` seconds and not acknowledged: the next start declares it as
lost. Numbers never mean two things, because every start opens a new epoch.
"""

from __future__ import annotations

from collections import OrderedDict

from agent.outbox.ring import LIVE_BYTES, Waiting

#: Seconds an unacknowledged record may be in memory only.
WAIT = 5.0
#: Packed bytes that may be in memory only.
SPARED_BYTES = 2 * LIVE_BYTES
#: What the file knows of the numbers given away is no older than this, seconds.
NOTE = 60.0


class Spared:
    """Records in memory only, by row, oldest first."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[int, tuple[Waiting, float]] = OrderedDict()
        self.spilling: dict[int, Waiting] = {}  #: on their way to the disk
        self.bytes = 0
        self.noted = float("-inf")  #: when the streams were last written down

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, row: int) -> bool:
        return row in self._waiting

    def add(self, waiting: Waiting, now: float) -> None:
        """Handed to the live lane."""
        self._waiting[waiting.row] = (waiting, now)
        self.bytes += len(waiting.packed)
        waiting.track.spared[waiting.seq] = None

    def acked(self, row: int) -> bool:
        """The broker has it; False where it is on the disk, or on its way there."""
        if row in self.spilling or row not in self._waiting:
            return False
        self._drop(row)
        return True

    def _drop(self, row: int) -> Waiting:
        waiting, _ = self._waiting.pop(row)
        self.bytes -= len(waiting.packed)
        waiting.track.spared.pop(waiting.seq, None)
        waiting.track.settle()
        return waiting

    def overdue(self, now: float) -> bool:
        """Whether something has to go to the disk."""
        if not self._waiting:
            return False
        _, since = next(iter(self._waiting.values()))
        return self.bytes > SPARED_BYTES or now - since > WAIT

    def of_another(self, session: int) -> bool:
        """Whether the oldest was handed out in another session."""
        return bool(self._waiting) and next(iter(self._waiting.values()))[0].session != session

    def overlaps(self, low: int, high: int) -> bool:
        """Whether rows that are asked for are in memory only."""
        return bool(self._waiting) and next(iter(self._waiting)) <= high and next(reversed(self._waiting)) >= low

    def spill(self) -> list[Waiting]:
        """Everything, for the next transaction."""
        self.spilling = {row: waiting for row, (waiting, _) in self._waiting.items()}
        return list(self.spilling.values())

    def spilled(self) -> list[Waiting]:
        """It is on the disk."""
        rows, self.spilling = self.spilling, {}
        return [self._drop(row) for row in rows]

    def kept(self, acked: dict[int, int]) -> None:
        """It is not; what was acknowledged meanwhile is gone all the same."""
        rows, self.spilling = self.spilling, {}
        for row in rows:
            if acked.pop(row, None) is not None:
                self._drop(row)
