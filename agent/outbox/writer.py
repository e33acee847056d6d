"""The writer: one task that commits at the outbox's pace (`pace.py`); in memory while the disk refuses."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TypeVar

from agent.core.errors import PermanentError
from agent.outbox.adopt import adopt
from agent.outbox.commit import JOB_BYTES, PlannedCommit, applied, make_room, needs_room, plan, spare, undone
from agent.outbox.file.again import QueuedRow
from agent.outbox.file.store import OutboxStore
from agent.outbox.file.transaction import Committed, Damaged, DiskRefused, Row
from agent.outbox.file.worker import Worker
from agent.outbox.gathering import Gathering
from agent.outbox.housekeeping import Housekeeping
from agent.outbox.pace import PACE
from agent.outbox.refusal import Refusal
from agent.outbox.report import OutboxReport
from agent.outbox.restamper import Restamper
from agent.outbox.state import OutboxState

T = TypeVar("T")

#: Portions while the disk refuses: a little may fit where much does not.
SMALL = 256 << 10


class OutboxWriter:
    """Owns the lock that keeps transactions and reading apart."""

    def __init__(
        self, state: OutboxState, store: OutboxStore, worker: Worker, *, name: str, notify: Callable[[], None]
    ) -> None:
        self._state = state
        self._store = store
        self._worker = worker
        self._notify = notify
        self._report = OutboxReport(name, store.path)
        self._restamper = Restamper(state, store, worker, notify)
        self.lock = asyncio.Lock()
        self._refusal = Refusal(state, self._report)
        self._housekeeping = Housekeeping(state, store, worker, self.call)
        self._is_open = False
        self._was_open = False
        self._suspect: str | None = None
        self._stopping = False
        self.gathering = Gathering()
        self._flushing: list[asyncio.Future[None]] = []
        self._started_ms = state.clock.now_ms()
        self.turned = state.clock.monotonic()  #: when the last turn ended

    @property
    def refused(self) -> str | None:
        """Why the disk refuses, as far as is known; None while it does not."""
        return self._refusal.reason

    # --- for the loop -------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Commit now."""
        self.gathering.wake()

    def stop(self) -> None:
        """Commit what is there and end `run`."""
        self._stopping = True
        self.wake()

    def damaged(self, reason: str) -> None:
        """A damaged page was met: the file is closed, salvaged and opened again."""
        self._suspect = reason
        self._is_open = False
        self.wake()

    def unreadable(self, reason: str) -> None:
        """Reading is refused again and again. Where writing is not, that is damage: the rest is worth more."""
        if not self.refused:
            self.damaged(reason)

    async def flush(self) -> None:
        """Return when everything appended so far is committed, or the disk refuses."""
        future = asyncio.get_running_loop().create_future()
        self._flushing.append(future)
        self.wake()
        await future

    async def fetch(self, low: int, high: int, limit: int, max_bytes: int) -> list[Row]:
        """Rows read back. Call with the lock held."""
        if not self._is_open:
            raise DiskRefused("the outbox file is not open")
        if self._state.spared.overlaps(low, high):
            await self._commit()
        return await self._worker.call(partial(self._store.fetch, low, high, limit, max_bytes))

    async def fetch_again(self, after: int, limit: int, max_bytes: int) -> list[QueuedRow]:
        """What somebody wants once more, read back. Call with the lock held."""
        if not self._is_open:
            raise DiskRefused("the outbox file is not open")
        return await self._worker.call(partial(self._store.fetch_again, after, limit, max_bytes))

    async def call(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Run a function on the connection. Call with the lock held."""
        if not self._is_open:
            raise DiskRefused("the outbox file is not open")
        try:
            return await self._worker.call(lambda: function(self._store.db))
        except Damaged as error:
            self.damaged(error.reason)
            raise

    async def use(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Run a function on the connection, between two commits."""
        async with self.lock:
            return await self.call(function)

    # --- life ---------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Open the file. A disk that refuses is no reason not to start; PermanentError is."""
        try:
            async with self.lock:
                await self._open()
                self._report.opened(self._state)
        except (DiskRefused, Damaged) as error:
            self._refusal.met(error)

    async def run(self) -> None:
        """Commit until stopped."""
        pause = PACE[self._state.settings.durability]
        while True:
            stopping, busy = self._stopping, bool(self._state.ring)  # no record waits for what only notes PUBACKs
            self.gathering.begins()
            await self._cycle()
            if stopping:
                return
            await self._set_right()
            await self.gathering.over(pause if busy else 0.0)

    def close(self) -> None:
        """Commit what a cancelled `run` left, and close the file. Blocks for that long."""
        clean = False
        try:
            while self._is_open and self._pending:
                made = plan(self._state)
                self._concluded(made, self._worker.submit(partial(self._store.commit, made.job)))
            clean = self._is_open
        except (DiskRefused, Damaged) as error:
            self._refusal.met(error)
        finally:
            closing = self._worker.submit(partial(self._store.close, clean=clean))
            self._worker.close()
            self._answer()
            self._report.closed(self._state, closing.exception())

    # --- one turn -----------------------------------------------------------------------------------------------------

    @property
    def _pending(self) -> bool:
        state = self._state
        waits = state.ring or state.acked or state.doomed or state.refused or state.memo.dirty or state.declared
        again = state.again.acked or state.again.refused
        return bool(waits) or bool(again) or state.spared.due(state.lanes, state.clock.monotonic())

    async def _cycle(self) -> None:
        flushing, self._flushing = self._flushing, []
        try:
            async with self.lock:
                await self._commit_all(everything=bool(flushing))
        finally:
            for future in flushing:
                if not future.done():
                    future.set_result(None)
            self.turned = self._state.clock.monotonic()
        self._report.figures(self._state)

    async def _commit_all(self, *, everything: bool) -> None:
        state, now = self._state, self._state.clock.monotonic()
        if self._refusal.waits(now) and not self._stopping:
            return
        try:
            if not self._is_open:
                await self._open()
            await self._housekeeping.look(now)
            if self.refused:
                await self._worker.call(partial(self._store.relieve, flowing=state.flowing))
            # What is appended meanwhile is the next turn's: a commit takes everybody who came before it.
            left = len(state.ring)
            while True:
                if needs_room(state):
                    count = 256 + len(state.acked) + (len(state.lanes.flight) if state.lanes else 0)
                    make_room(state, await self._worker.call(partial(self._store.oldest, count)))
                if not (everything or self.refused or self._stopping) and spare(state, now):
                    self._notify()
                if not (self._pending or (everything and state.spared)):
                    break
                left -= await self._commit(spill=everything or self._stopping or state.spills(now))
                if left <= 0 and not needs_room(state):
                    break
        except DiskRefused as error:
            self._refusal.met(error)
        except PermanentError as error:  # at start it is a reason not to begin; now there is something to hold on to
            self._refusal.met(DiskRefused(error.reason, error.hint))
        except Damaged as error:
            self._refusal.met(error, again_at=now)
            self.damaged(error.reason)

    async def _commit(self, *, spill: bool = True) -> int:
        if self.refused:
            return await self._write(SMALL, spill=spill)
        try:
            return await self._write(JOB_BYTES, spill=spill)
        except DiskRefused:
            # The log may have taken the last room. Where it fits without, there is nothing to alarm anybody about.
            await self._worker.call(partial(self._store.relieve, flowing=self._state.flowing))
            return await self._write(SMALL, spill=spill)

    async def _write(self, max_bytes: int, *, spill: bool) -> int:
        made = plan(self._state, max_bytes=max_bytes, spill=spill)
        future = self._worker.submit(partial(self._store.commit, made.job))
        try:
            await self._worker.finished(future)
        finally:  # also when cancelled: the thread finishes what it began, and its outcome has to be known
            self._concluded(made, future)
        return len(made.gaps) + len(made.batches)

    def _concluded(self, made: PlannedCommit, future: Future[Committed]) -> None:
        try:
            committed = future.result()
        except BaseException:
            undone(self._state, made)
            raise
        applied(self._state, made, committed)
        self._report.committed(self._state)
        self._refusal.over()
        self._notify()

    async def _set_right(self) -> None:
        """The clock is set: what nobody has been told yet gets its right times."""
        began = self._restamper.due
        try:
            while self._restamper.due and self._is_open and not self.refused and not self._stopping:
                async with self.lock:
                    await self._restamper.portion()
                if self._state.ring:  # the rest when that is on the disk
                    break
        except DiskRefused as error:
            self._refusal.met(error)
        except Damaged as error:
            self._refusal.met(error, again_at=self._state.clock.monotonic())
            self.damaged(error.reason)
        if began and not self._restamper.due:
            self._report.set_right()

    async def _open(self) -> None:
        state = self._state
        gone = [*state.acked, *state.doomed, *state.refused]
        opened = await self._worker.call(partial(self._store.open, state.clock.now_ms(), gone, self._suspect))
        self._suspect = None
        if opened.damage is not None:
            self._report.salvaged(opened)
        forget = adopt(state, opened, started_ms=self._started_ms, again=self._was_open)
        if not self._was_open:
            self._report.declared(len(state.ring.gaps))
        made = plan(state)
        future = self._worker.submit(partial(self._store.begin_run, state.book.epoch, made.job, forget))
        try:
            await self._worker.finished(future)
        finally:
            self._concluded(made, future)
        self._is_open = self._was_open = True

    def _answer(self) -> None:
        for future in self._flushing:
            if not future.done():
                future.set_result(None)
        self._flushing.clear()
