"""`disk: on_outage`: records that a broker takes at once never see the disk. Pure.

A spared record has its number and its row like any other, is handed out live from memory, and is gone with its
acknowledgement. It goes to the disk under its row, with the next commit, when it is not acknowledged within `WAIT`,
when too much of that is in memory, when anything but an acknowledgement has to be written, and at the end of the
session. So a crash costs what was read in the last `WAIT` seconds and not acknowledged: the next start declares it as
lost. Numbers never mean two things, because every start opens a new epoch.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator

from agent.outbox.lanes import Lanes
from agent.outbox.ring import LIVE_BYTES, Ring, Waiting, is_bare
from agent.outbox.streams import Track

#: Seconds an unacknowledged record may be in memory only.
WAIT = 5.0
#: Packed bytes that may be in memory only.
SPARED_BYTES = 2 * LIVE_BYTES
#: Records that may be handed over at a time.
SPARED_RECORDS = 2_000
#: What the file knows of the numbers given away is no older than this, seconds.
NOTE = 60.0


class Spared:
    """Records in memory only, by row, oldest first, and which of them may stay there. Not `on`: there are none."""

    def __init__(self, *, on: bool) -> None:
        self.on = on  #: so the file may be behind what was sent
        self._waiting: OrderedDict[int, tuple[Waiting, float]] = OrderedDict()
        self.spilling: dict[int, Waiting] = {}  #: on their way to the disk
        self.bytes = 0
        self._noted = float("-inf")  # when the streams were last written down

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, row: int) -> bool:
        return row in self._waiting

    def take(self, ring: Ring, lanes: Lanes | None, now: float) -> list[Waiting]:
        """Records out of the ring that can go to the live lane without the disk; none where the disk is due."""
        if not self.on or lanes is None or not ring.batches or ring.gaps or self.due(lanes, now):
            return []
        if now - self._noted > NOTE:
            self._noted = now
            return []
        if not all(one.session == lanes.session and not is_bare(one.content) and one.track.id for one in ring.batches):
            return []
        return ring.take(SPARED_BYTES, SPARED_RECORDS)[1]

    def add(self, waiting: Waiting, now: float) -> None:
        """Handed to the live lane, under a row of its own."""
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

    def due(self, lanes: Lanes | None, now: float) -> bool:
        """Whether something has to go to the disk: too old, too much, or handed out in another session."""
        if not self._waiting:
            return False
        oldest, since = next(iter(self._waiting.values()))
        return lanes is None or oldest.session != lanes.session or self.bytes > SPARED_BYTES or now - since > WAIT

    def note(self, book: Iterable[Track], *, spill: bool) -> Iterator[Track]:
        """Streams of which numbers were given away without the disk: they are written down with the next commit.

        Not those that stay in memory: a start declares as lost what comes after the last number written down.
        """
        for track in book if self.on else ():
            top = next(iter(track.spared)) if track.spared and not spill else track.committed + 1
            if track.id and top > track.next:
                track.next = top
                yield track

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
