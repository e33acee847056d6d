"""Rewrites records that carry the times of a clock that was not set, a portion at a time, once the clock is set."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import NamedTuple

from agent.core.flow import Batch
from agent.outbox.file.errors import transaction, translated
from agent.outbox.file.pack import pack_batch, squeezed
from agent.outbox.file.store import OutboxStore
from agent.outbox.file.transaction import Row
from agent.outbox.file.worker import Worker
from agent.outbox.restamp import offset_of, restamped
from agent.outbox.state import OutboxState

#: Rows, and bytes, that are read and rewritten in one transaction.
PORTION = 64
_BYTES = 1 << 20


class Fixed(NamedTuple):
    """A row as it was and as it shall be."""

    row: Row
    batch: Batch
    packed: bytes
    ts: int


class Restamper:
    """Belongs to the event loop. Call with the writer's lock held."""

    def __init__(self, state: OutboxState, store: OutboxStore, worker: Worker, notify: Callable[[], None]) -> None:
        self._state = state
        self._store = store
        self._worker = worker
        self._notify = notify

    @property
    def due(self) -> bool:
        """Whether there is something to put right, and the clock to do it by."""
        return bool(self._state.unset) and self._state.clock.synced

    async def portion(self) -> None:
        """Put the next few records right. Raises DiskRefused or Damaged; then they are as they were."""
        state = self._state
        span = state.unset.next()
        if span is None:
            return
        low, high, offset = span
        rows = await self._worker.call(partial(self._store.fetch, low, high, PORTION, _BYTES))
        fixed = self._fix(rows, offset_of(state.clock) - offset)
        if fixed:
            await self._write(fixed)
        state.unset.passed(rows[-1].row if rows else None)

    def _fix(self, rows: Sequence[Row], correction: int) -> list[Fixed]:
        state, result = self._state, []
        for row in rows:
            batch = row.content
            mine = isinstance(batch, Batch) and batch.clock is not None
            if mine and isinstance(batch, Batch) and row.row not in state.unset.told and not state.is_gone(row.row):
                right = restamped(batch, correction)
                packed = pack_batch(right)
                packed = squeezed(packed) if state.settings.compress else packed
                result.append(Fixed(row, right, packed, row.ts + correction))
        return result

    async def _write(self, fixed: Sequence[Fixed]) -> None:
        state, lanes = self._state, self._state.lanes
        numbers = [one.row.row for one in fixed]
        # Nobody may be handed the old content while the new one is on its way to the disk.
        live = [] if lanes is None else lanes.withdraw(numbers)
        updates = [(one.packed, len(one.packed), one.ts, one.row.row) for one in fixed]
        future: Future[None] = self._worker.submit(lambda: _update(self._store.db, updates))
        try:
            await self._worker.finished(future)
        finally:
            if future.exception() is None:
                state.bytes += sum(len(one.packed) - one.row.size for one in fixed)
                state.written += sum(len(one.packed) for one in fixed)
                right = {one.row.row: one for one in fixed}
                for record in live:
                    one = right[record.row]
                    record.content, record.size, record.ts = one.batch, len(one.packed), one.ts
            if lanes is not None and state.lanes is lanes:
                lanes.restore(numbers, live)
                self._notify()
        future.result()


def _update(db: sqlite3.Connection, updates: Sequence[tuple[bytes, int, int, int]]) -> None:
    with translated(), transaction(db):
        db.executemany("UPDATE records SET content = ?, size = ?, ts = ? WHERE id = ?", updates)
