"""The store in its thread, opened again whenever it breaks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import TypeVar

from agent.core.backoff import Backoff
from agent.core.clock import Clock
from agent.core.errors import PermanentError, TransientError
from agent.historian.items import Item
from agent.historian.standing import PartStanding
from agent.historian.stores.port import BadData, Store, Written
from agent.outbox.file.worker import Worker
from agent.telemetry import metrics
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Repeats

#: A database that cannot be used as it is, is tried again this often, seconds.
PERMANENT_RETRY = 300.0
#: A database that answers nothing for longer hangs, seconds.
STUCK = 30.0
#: At the end a transaction under way has this long, seconds; …
PATIENCE = 2.0
#: … then it is broken off, tried so often.
_LOOK = 0.1

T = TypeVar("T")

log = get_logger("historian")


class Database(PartStanding):
    """The store in its thread, opened again whenever it breaks."""

    def __init__(self, store: Store, shown: str, clock: Clock) -> None:
        super().__init__(clock, "not opened yet")
        self.store = store
        self.opens = 0  #: so often it was opened; it may have been restored from a backup in between
        self._shown = shown
        self._worker = Worker("historian-database")
        self._backoff = Backoff(first=0.2, cap=10.0)
        self._repeats = Repeats()
        self._opened_at = 0.0
        self._is_open = False
        self._unwritten = False  # a transaction failed: until one succeeds, that it can be opened says nothing
        self._opening = asyncio.Lock()
        self._waiting = 0  # calls that have not returned, …
        self._moved = 0.0  # … and when the last one did, or the first of them was made
        metrics.HISTORIAN_DATABASE_UP.set(0)

    async def opened(self) -> None:
        """Return when it is open."""
        if self._is_open:
            return
        async with self._opening:
            while not self._is_open:
                await self._open()

    async def _open(self) -> None:
        """One try, and the wait after one that failed."""
        try:
            await self._worker.call(self.store.open)
        except TransientError as error:
            await self._failed(error.reason)
        except PermanentError as error:
            self.reason = str(error)
            log.error("historian.database_unusable", database=self._shown, reason=str(error))  # noqa: TRY400 - no bug
            await self._clock.sleep(PERMANENT_RETRY)
        else:
            self._opened_at = self._clock.monotonic()
            self._is_open = True
            self.opens += 1
            if not self._unwritten:
                self._works()

    def _works(self) -> None:
        self.reason = None
        self._unwritten = False
        self._repeats = Repeats()
        metrics.HISTORIAN_DATABASE_UP.set(1)
        log.info("historian.database_online", database=self._shown)

    async def write(self, items: Sequence[Item]) -> Written:
        """In one transaction. Raises BadData; waits as long as the database is away."""
        while True:
            await self.opened()
            began = self._clock.monotonic()
            try:
                done = await self._call(partial(self.store.write, items, self._clock.now_ms()))
            except TransientError as error:
                self._unwritten = True
                await self._failed(error.reason)
            except BadData:
                if self._unwritten:
                    self._works()
                raise
            else:
                if self._unwritten:
                    self._works()
                metrics.HISTORIAN_COMMIT_SECONDS.observe(self._clock.monotonic() - began)
                return done

    async def _call(self, work: partial[T]) -> T:
        if not self._waiting:
            self._moved = self._clock.monotonic()
        self._waiting += 1
        try:
            return await self._worker.call(work)
        finally:
            self._waiting -= 1
            self._moved = self._clock.monotonic()

    @property
    def trouble(self) -> tuple[str, float] | None:
        """Why it cannot be used now, or that it hangs, and since when (monotonic); None where it works."""
        if self.reason is None and self._waiting and (waited := self._clock.monotonic() - self._moved) > STUCK:
            return f"it has not answered for {waited:.0f} s: it hangs", self._moved
        return super().trouble

    async def ask(self, question: partial[T]) -> T | None:
        """Something else of the store; None where it cannot be had now."""
        if self.reason is not None:
            return None
        try:
            return await self._call(question)
        except TransientError as error:
            self._note(error.reason)
            return None

    def _note(self, reason: str) -> None:
        self._is_open = False
        self.reason = reason
        metrics.HISTORIAN_DATABASE_UP.set(0)
        if (repeats := self._repeats.due(reason, self._clock.monotonic())) is not None:
            log.warning("historian.database_offline", database=self._shown, reason=reason, repeats=repeats)

    async def _failed(self, reason: str) -> None:
        self._note(reason)
        healthy = self._clock.monotonic() - self._opened_at if self._opened_at else 0.0
        self._opened_at = 0.0
        await self._clock.sleep(self._backoff.failed(healthy))

    async def close(self) -> None:
        """Wait a moment for what is under way. A database that hangs is left: what is not committed comes again."""
        closing = asyncio.wrap_future(self._worker.submit(self.store.close))
        _, open_still = await asyncio.wait([closing], timeout=PATIENCE)
        if open_still:
            log.warning("historian.database_left", database=self._shown, waited_s=PATIENCE)
        while not closing.done():
            self.store.give_up()
            await asyncio.wait([closing], timeout=_LOOK)
        await closing
        self._worker.close()
