"""A session's reader while the disk is slow: what comes back during a read."""

from __future__ import annotations

import asyncio

from agent.core.flow import Batch
from agent.outbox.file.transaction import Row
from agent.outbox.reader import LaneReader
from agent.outbox.state import OutboxState
from agent.settings.outbox import OutboxSettings
from agent.testing.clock import ManualClock

TS = 1_763_760_000_000


class Disk:
    """Rows, and what happens during each read of them."""

    def __init__(self, rows):
        self.state = OutboxState(OutboxSettings(), ManualClock(TS))
        self.track = self.state.book.of("press-01")
        self.track.id = 1
        self.track.pending -= 1
        self.rows = {row: Row(row, 1, row, TS, 10, 0, Batch("press-01", TS, [])) for row in rows}
        self.state.last_committed = max(rows)
        self.state.records = len(rows)
        self.state.book._by_id[1] = self.track
        self.meanwhile = []
        self.lanes = self.state.cut()
        self.reader = LaneReader(
            self.state, self.lanes, asyncio.Lock(), self.fetch, self.fetch_again,
            damaged=self.damaged, unreadable=self.damaged,
        )  # fmt: skip

    async def fetch(self, low, high, limit, max_bytes):
        found = [self.rows[row] for row in range(low, high + 1) if row in self.rows][:limit]
        if self.meanwhile:
            self.meanwhile.pop(0)()
        return found

    async def fetch_again(self, after, limit, max_bytes):
        return []

    def damaged(self, reason):
        raise AssertionError(reason)

    async def all(self, portion=100):
        rows = []
        while self.lanes.next_range is not None:
            rows += [record.row for record in await self.reader._read(portion)]
        return rows


async def test_a_row_that_comes_back_during_an_empty_read_is_read():
    """The range grows while nothing is found in it: only what was looked at is passed."""
    disk = Disk([1, 2, 3])
    _, _, third = await disk.reader.backlog(3)
    del disk.rows[1], disk.rows[2]
    disk.lanes.to_backlog(1)
    disk.lanes.to_backlog(2)
    disk.meanwhile = [lambda: disk.reader.retry(third)]
    assert await disk.all() == [3]
    assert disk.reader.backlog_left == 0


async def test_an_older_row_that_comes_back_during_a_read_goes_first():
    """What was read meanwhile has not been handed out: it waits for its turn."""
    disk = Disk(range(1, 9))
    first, second = await disk.reader.backlog(2)
    disk.meanwhile = [lambda: disk.reader.retry(first)]
    assert await disk.all(portion=2) == [1, 3, 4, 5, 6, 7, 8]
    disk.reader.retry(second)
    assert await disk.all() == [2]


async def test_a_refused_record_goes_before_the_rest_of_the_backlog():
    """Order holds wherever later rows were not handed out yet."""
    disk = Disk(range(1, 7))
    first, second, third = await disk.reader.backlog(3)
    for record in (third, first, second):
        disk.reader.retry(record)
    assert disk.reader.backlog_left == 6
    assert await disk.all(portion=4) == [1, 2, 3, 4, 5, 6]
