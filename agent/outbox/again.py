"""What the loop's side knows of records somebody wants once more. The records are in the file (`file/again.py`).

Each is handed out once a session, in the order of asking, and leaves the queue with its acknowledgement. Pure.
"""

from __future__ import annotations

from collections import deque

from agent.core.flow import Record
from agent.outbox.file.transaction import Job


class Again:
    """The queue, by the ids of its rows: of an outbox, over sessions."""

    def __init__(self) -> None:
        self.left = 0  #: neither acknowledged nor refused
        self.last = 0  #: highest id in the file
        self.acked: dict[int, None] = {}  #: they go with the next commit
        self.refused: dict[int, str] = {}  #: ditto, to quarantine, with the reason

    def adopt(self, left: int, last: int) -> None:
        """The file was opened."""
        self.left, self.last = left, last

    def forget(self) -> None:
        """The file is gone."""
        self.acked.clear()
        self.refused.clear()

    def added(self, count: int, last: int) -> None:
        """So many were asked for."""
        self.left += count
        self.last = max(self.last, last)

    def is_gone(self, number: int) -> bool:
        """Whether a row is as good as deleted."""
        return number in self.acked or number in self.refused

    def settled(self, job: Job) -> None:
        """A transaction is on disk."""
        for number in job.again_acked:
            self.acked.pop(number, None)
        for _, _, number in job.again_refused:
            self.refused.pop(number, None)


class AgainLane:
    """What one reader hands out of it. The `row` of such a record is its id in the queue."""

    def __init__(self, queue: Again) -> None:
        self.queue = queue
        self.cursor = 0  #: the highest id looked at
        self.flight: dict[int, Record] = {}
        self._retried: deque[Record] = deque()

    @property
    def ready(self) -> bool:
        """Whether there is something to hand out, or to look for."""
        return bool(self._retried) or self.cursor < self.queue.last

    def retry(self, record: Record) -> None:
        """Refused for now: it is the next to be handed out."""
        self._retried.append(record)

    def retried(self, limit: int) -> list[Record]:
        """What is to be handed out once more."""
        return [self._take(self._retried.popleft()) for _ in range(min(limit, len(self._retried)))]

    def hand_out(self, record: Record) -> None:
        """A record read from the file goes out."""
        self._take(record)

    def _take(self, record: Record) -> Record:
        self.flight[record.row] = record
        return record

    def landed(self, record: Record) -> bool:
        """The record is no longer in flight; False where it was not."""
        return self.flight.pop(record.row, None) is record
