"""What is looked after now and then: free disk, what was written, and how much `keep_acked` keeps."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from agent.outbox.file.causes import written_here
from agent.outbox.file.store import OutboxStore
from agent.outbox.file.worker import Worker
from agent.outbox.operator import queries
from agent.outbox.restamp import STEP_MS, offset_of
from agent.outbox.state import OutboxState

#: How long the answer about free space is believed, seconds.
LOOK = 5.0
#: What `keep_acked` keeps is weighed as a whole: no more than one part in so many of the time.
WEIGH = 500


class Housekeeping:
    """Of one outbox, whose file is open. `call` runs a function on its connection."""

    def __init__(
        self,
        state: OutboxState,
        store: OutboxStore,
        worker: Worker,
        call: Callable[[Callable[[sqlite3.Connection], Any]], Awaitable[Any]],
    ) -> None:
        self._state = state
        self._store = store
        self._worker = worker
        self._call = call
        self._look_at = self._weigh_at = 0.0
        self._offset: int | None = None
        self._shelf_empty = False

    async def look(self, now: float) -> None:
        """Called before each commit; `now` in monotonic seconds."""
        state = self._state
        state.age.mark(now, state.last_row + 1)
        if state.clock.synced:
            state.age.set_clock(state.clock.now_ms(), now)
        if now < self._look_at:
            return
        self._look_at = now + LOOK
        state.free_disk = await self._worker.call(self._store.free_disk)
        state.written_disk = await self._worker.call(written_here)
        keep = state.settings.keep_acked
        if keep is None:
            if not self._shelf_empty:  # what was kept before `keep_acked` was turned off would stay for ever
                await self._call(partial(queries.trim_acked, max_bytes=0))
                self._shelf_empty = True
            return
        self._shelf_empty = False
        await self._follow_clock()
        before = state.clock.now_ms() - int(keep.age * 1000)
        await self._call(partial(queries.expire_acked, before_ms=before))
        if now >= self._weigh_at:
            took = await self._call(partial(queries.trim_acked, max_bytes=keep.max_bytes))
            self._weigh_at = now + WEIGH * took

    async def _follow_clock(self) -> None:
        """A step of the wall clock makes no kept record older or younger."""
        offset, was = offset_of(self._state.clock), self._offset
        self._offset = offset
        if was is not None and abs(offset - was) >= STEP_MS:
            await self._call(partial(queries.shift_acked, milliseconds=offset - was))
