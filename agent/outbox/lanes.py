"""What one reader hands out: the live lane in memory, the backlog as ranges of rows on disk, and what is in flight.

    committed before the cut ──▶ [1 … 812]  ranges, read from disk, `historical`
    committed after it ───────▶ live, from memory ──(falls behind)──▶ [900 … 1400] one more range

What the live lane holds beyond a little is without its batch, and read back from disk when its turn comes.
Pure. Rows are numbered in the order they are committed, so ranges come in rising order and with them the numbers of
every stream. When the live lane exceeds its bound its older half falls at once: ranges stay few, however slow the
broker is.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable

from agent.core.flow import Batch, Record
from agent.outbox.ring import LIVE_BYTES, bare, is_bare

#: Bounds of the live lane: packed bytes, and records.
LANE_BYTES = 4 << 20
LANE_RECORDS = 5_000


class Lanes:
    """Each record is handed out once."""

    def __init__(
        self, *, last_row: int, left: int, session: int, max_bytes: int = LANE_BYTES, max_records: int = LANE_RECORDS
    ) -> None:
        self.session = session
        self.live: OrderedDict[int, Record] = OrderedDict()
        self.flight: dict[int, Record] = {}
        self.left = left  #: rows in the ranges
        self.historical_in_flight = 0
        self.put_off = 0  #: handed out, not sent, and left for the next reader
        self._ranges: deque[list[int]] = deque([[1, last_row]] if last_row else [])
        self._max_bytes = max_bytes
        self._max_records = max_records
        self._live_bytes = 0
        self._held = 0  #: of those, of records that have their batch

    # --- filling ------------------------------------------------------------------------------------------------------

    def arrived(self, records: Iterable[Record]) -> None:
        """Committed just now, appended after the cut."""
        live = self.live
        for record in records:
            live[record.row] = record
            self._hold(record)
            if self._live_bytes > self._max_bytes or len(live) > self._max_records:
                self._fall()

    def _fall(self) -> None:
        keep_bytes, keep = self._max_bytes // 2, self._max_records // 2
        while self.live and (self._live_bytes > keep_bytes or len(self.live) > keep):
            row, fallen = self.live.popitem(last=False)
            self._left_live(fallen)
            self.to_backlog(row)

    def _hold(self, record: Record) -> None:
        size, content = record.size, record.content
        self._live_bytes += size
        if self._held + size > LIVE_BYTES:
            content = record.content = bare(content)
        if not (isinstance(content, Batch) and not content.readings):  # a gap is small, and always held
            self._held += size

    def _left_live(self, record: Record) -> None:
        self._live_bytes -= record.size
        if not is_bare(record.content):
            self._held -= record.size

    def to_backlog(self, row: int) -> None:
        """A row to be read from disk when its turn comes: in its place among those not read yet."""
        self.left += 1
        ranges = self._ranges
        at = len(ranges)  # mostly it is the newest
        while at and ranges[at - 1][0] > row:
            at -= 1
        before = ranges[at - 1] if at else None
        if before is not None and before[1] + 1 < row:
            before = None
        after = ranges[at] if at < len(ranges) and ranges[at][0] == row + 1 else None
        if before is not None and after is not None:
            before[1] = after[1]
            del ranges[at]
        elif before is not None:
            before[1] = max(before[1], row)
        elif after is not None:
            after[0] = row
        else:
            ranges.insert(at, [row, row])

    def file_appeared(self, last_row: int, rows: int) -> None:
        """The file could be opened only now: what it holds is backlog, before all else."""
        self.left += rows
        if last_row:
            self._ranges.appendleft([1, last_row])

    # --- handing out --------------------------------------------------------------------------------------------------

    def take_live(self, limit: int) -> list[Record]:
        """Up to `limit` records, in order of append: all whole, or all bare and as many as may be whole at once."""
        result: list[Record] = []
        wanted: bool | None = None
        size = 0
        while self.live and len(result) < limit and size < LIVE_BYTES:
            row, record = self.live.popitem(last=False)
            content = record.content
            without = isinstance(content, Batch) and not content.readings
            if without is not wanted and wanted is not None:
                self.live[row] = record
                self.live.move_to_end(row, last=False)
                break
            wanted = without
            self._live_bytes -= record.size
            if without:
                size += record.size
            else:
                self._held -= record.size
            self.flight[row] = record
            result.append(record)
        return result

    @property
    def next_range(self) -> tuple[int, int] | None:
        """Rows to read next."""
        if not self._ranges:
            return None
        low, high = self._ranges[0]
        return low, high

    def passed(self, row: int) -> None:
        """Everything up to `row` in the first range has been looked at."""
        if row >= self._ranges[0][1]:
            self._ranges.popleft()
            if not self._ranges:
                self.left = 0
        else:
            self._ranges[0][0] = row + 1

    def hand_out(self, record: Record) -> None:
        """A record read from disk goes out."""
        self.left = max(0, self.left - 1)
        self.flight[record.row] = record
        self.historical_in_flight += 1

    def skipped(self) -> None:
        """A row of the backlog is no more."""
        self.left = max(0, self.left - 1)

    # --- afterwards ---------------------------------------------------------------------------------------------------

    def landed(self, record: Record) -> bool:
        """The record is no longer in flight; False where it was not."""
        if self.flight.get(record.row) is not record:
            return False
        del self.flight[record.row]
        self.historical_in_flight -= record.historical
        return True

    def withdraw(self, rows: Iterable[int]) -> list[Record]:
        """Take rows out of the lanes, because they are dropped or rewritten. Those that were live are returned."""
        taken = []
        for row in rows:
            record = self.live.pop(row, None)
            if record is None and self._is_ahead(row):
                self.skipped()
            elif record is None:
                self.put_off -= 1
            else:
                self._left_live(record)
                taken.append(record)
        return taken

    def _is_ahead(self, row: int) -> bool:
        return any(low <= row <= high for low, high in self._ranges)

    def restore(self, rows: Iterable[int], taken: list[Record]) -> None:
        """`withdraw` undone."""
        self.left += sum(1 for _ in rows) - len(taken)
        for record in sorted(taken, key=lambda one: one.row, reverse=True):
            self.live[record.row] = record
            self.live.move_to_end(record.row, last=False)
            self._hold(record)
