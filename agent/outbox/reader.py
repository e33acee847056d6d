"""One broker session's view of an outbox."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from agent.core.errors import ConnectionLost
from agent.core.flow import Batch, Record
from agent.outbox.again import AgainLane
from agent.outbox.file.again import QueuedRow
from agent.outbox.file.transaction import Damaged, DiskRefused, Row
from agent.outbox.lanes import Lanes
from agent.outbox.ring import LIVE_BYTES, is_bare
from agent.outbox.state import OutboxState

#: Rows are read back in portions of about this many packed bytes: what the live lane holds as well.
FETCH_BYTES = LIVE_BYTES

#: A disk that refuses to read so often, a second apart, and yet to write never, has lost what is asked for.
PATIENCE = 10

Fetch = Callable[[int, int, int, int], Awaitable[list[Row]]]
_NOTHING = Batch(device="", ts=0, readings=[])
FetchAgain = Callable[[int, int, int], Awaitable[list[QueuedRow]]]


class LaneReader:
    """The port `Reader`. Belongs to the event loop; one consumer per lane."""

    def __init__(
        self, state: OutboxState, lanes: Lanes, lock: asyncio.Lock, fetch: Fetch, fetch_again: FetchAgain,
        *, damaged: Callable[[str], None], unreadable: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._state = state
        self._lanes = lanes
        self._lock = lock
        self._fetch = fetch
        self._fetch_again = fetch_again
        self._again = AgainLane(state.again)
        self._again_ready = asyncio.Event()
        self._damaged = damaged
        self._unreadable = unreadable
        self._live_ready = asyncio.Event()
        self._backlog_ready = asyncio.Event()
        self._over: str | None = None

    def notify(self) -> None:
        """The lanes have changed."""
        if self._lanes.live:
            self._live_ready.set()
        if self._lanes.next_range is not None:
            self._backlog_ready.set()
        if self._again.ready:
            self._again_ready.set()

    def end(self, reason: str) -> None:
        """End the wait for records: this session is over, what comes next needs a new one."""
        self._over = reason
        self._live_ready.set()
        self._backlog_ready.set()
        self._again_ready.set()

    def _still_on(self) -> None:
        if self._over is not None:
            raise ConnectionLost(self._over)

    @property
    def closed(self) -> bool:
        """Whether another session has begun, or none is on."""
        return self._state.lanes is not self._lanes

    async def live(self, limit: int, /) -> Sequence[Record]:
        while True:
            self._still_on()
            records = [] if self.closed else self._lanes.take_live(limit)
            if records and is_bare(records[0].content):
                records = await self._read_back(records)
                if not records:
                    self.notify()
                    continue
            if records:
                self._state.told(records)
                return records
            self._live_ready.clear()
            await self._live_ready.wait()

    async def _read_back(self, bare: Sequence[Record]) -> list[Record]:
        """What the live lane had no room for. What cannot be read now goes to the backlog, to be tried again."""
        left = {record.row: record for record in bare}
        whole: list[Record] = []
        try:
            async with self._lock:
                while left:
                    rows = await self._fetch(next(iter(left)), bare[-1].row, len(bare), FETCH_BYTES)
                    for row in rows:
                        record = left.pop(row.row, None)
                        if record is not None and row.content is not None:
                            record.content = row.content
                            whole.append(record)
                        elif record is not None:
                            self._lanes.landed(record)
                            self._state.unreadable(row)
                    if not rows:
                        break
        except Damaged as error:
            self._damaged(error.reason)
        except DiskRefused:
            pass  # said by the writer
        for record in left.values():
            if self._lanes.landed(record):
                self._lanes.to_backlog(record.row)
        return whole

    async def backlog(self, limit: int, /) -> Sequence[Record]:
        refusals = 0
        while True:
            self._still_on()
            if self.closed or self._lanes.next_range is None:
                self._backlog_ready.clear()
                await self._backlog_ready.wait()
                continue
            try:
                # No transaction is under way while rows are read: what is handed out is neither dropped nor rewritten.
                async with self._lock:
                    records = await self._read(limit)
            except Damaged as error:
                self._damaged(error.reason)
            except DiskRefused as error:
                await self._state.clock.sleep(1.0)
                refusals += 1
                if refusals >= PATIENCE:
                    refusals = 0
                    self._unreadable(error.reason)
            else:
                refusals = 0
                if records:
                    return records

    async def again(self, limit: int, /) -> Sequence[Record]:
        while True:
            self._still_on()
            if self.closed or not self._again.ready:
                self._again_ready.clear()
                await self._again_ready.wait()
                continue
            records = self._again.retried(limit)
            try:
                async with self._lock:
                    records += await self._read_again(limit - len(records))
            except Damaged as error:
                self._damaged(error.reason)
            except DiskRefused:
                await self._state.clock.sleep(1.0)
            if records:
                return records

    async def _read_again(self, limit: int) -> list[Record]:
        lane, book, records = self._again, self._state.book, []
        last = lane.queue.last
        rows = await self._fetch_again(lane.cursor, limit, FETCH_BYTES) if limit > 0 else []
        for row in rows:
            lane.cursor = row.id
            track = book.recall(row.stream)
            if track is None or lane.queue.is_gone(row.id):
                continue
            content = row.content or _NOTHING
            record = Record(
                row.id, track.stream, row.seq, row.ts, content, historical=True, size=row.size, resent=True
            )  # fmt: skip
            if row.content is None:
                self._state.refuse_again(record, "record damaged on disk")
                continue
            lane.hand_out(record)
            records.append(record)
        if not rows and limit > 0:
            lane.cursor = max(lane.cursor, last)
        return records

    @property
    def behind(self) -> bool:
        return not self.closed and bool(self._lanes.live)

    async def _read(self, limit: int) -> list[Record]:
        span = self._lanes.next_range
        if span is None:
            return []
        rows = await self._fetch(span[0], span[1], limit, FETCH_BYTES)
        now = self._lanes.next_range
        if self.closed or now is None or now[0] < span[0]:  # an older one came back meanwhile: it goes first
            return []
        records = []
        for row in rows:
            track = self._state.book.by_id(row.stream)
            if track is None or self._state.is_gone(row.row):
                self._lanes.skipped()
            elif row.content is None:
                self._lanes.skipped()
                self._state.unreadable(row)
            else:
                record = Record(row.row, track.stream, row.seq, row.ts, row.content, historical=True, size=row.size)
                self._lanes.hand_out(record)
                records.append(record)
        self._state.told(records)
        self._lanes.passed(rows[-1].row if rows else span[1])  # the range may have grown meanwhile
        return records

    @property
    def backlog_left(self) -> int:
        return self._lanes.left + (0 if self.closed else self._state.late)

    def _landed(self, record: Record) -> bool:
        return self._state.lanes is self._lanes and (self._again if record.resent else self._lanes).landed(record)

    def ack(self, record: Record, /) -> None:
        lane = self._again if record.resent else self._lanes
        if self._state.lanes is self._lanes and lane.landed(record):
            self._state.ack(record)

    def reject(self, record: Record, reason: str, /) -> None:
        if self._landed(record):
            self._state.refuse(record, reason)

    def retry(self, record: Record, /) -> None:
        if self._landed(record):
            if record.resent:
                self._again.retry(record)
            else:
                self._lanes.to_backlog(record.row)
            self.notify()

    def put_off(self, record: Record, /) -> None:
        if self._landed(record) and not record.resent:  # what is wanted once more stays in its queue
            self._lanes.put_off += 1
