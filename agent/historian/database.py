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
from agent.historian.stores.port import Store, Written
from agent.outbox.file.worker import Worker
from agent.telemetry import metrics
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Repeats

#: A database that cannot be used as it is, is tried again this often, seconds.
PERMANENT_RETRY = 300.0
#: A transaction that takes longer is a database that hangs, seconds.
STUCK = 30.0
#: At the end a transaction under way has this long, seconds; …
PATIENCE = 2.0
#: … then it is broken off, tried so often.
_LOOK = 0.1

T = TypeVar("T")

log = get_logger("historian")


class Database:
    """The store in its thread, opened again whenever it breaks. `reason` is why it cannot be used now."""

    def __init__(self, store: Store, shown: str, clock: Clock) -> None:
        self.store = store
        self.reason: str | None = "not opened yet"
        self._shown = shown
        self._clock = clock
        self._worker = Worker("historian-database")
        self._backoff = Backoff(first=0.2, cap=10.0)
        self._repeats = Repeats()
        self._opened_at = 0.0
        self._writing_since: float | None = None
        metrics.HISTORIAN_DATABASE_UP.set(0)

    async def opened(self) -> None:
        """Return when it is open."""
        while self.reason is not None:
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
                self.reason = None
                self._repeats = Repeats()
                metrics.HISTORIAN_DATABASE_UP.set(1)
                log.info("historian.database_online", database=self._shown)

    async def write(self, items: Sequence[Item]) -> Written:
        """In one transaction. Raises BadData; waits as long as the database is away."""
        while True:
            await self.opened()
            began = self._writing_since = self._clock.monotonic()
            try:
                done = await self._worker.call(partial(self.store.write, items, self._clock.now_ms()))
            except TransientError as error:
                await self._broke(error)
            else:
                metrics.HISTORIAN_COMMIT_SECONDS.observe(self._clock.monotonic() - began)
                return done
            finally:
                self._writing_since = None

    @property
    def trouble(self) -> str | None:
        """Why it cannot be used now, or that it hangs; None where it works."""
        since = self._writing_since
        if self.reason is None and since is not None and (waited := self._clock.monotonic() - since) > STUCK:
            return f"a transaction has taken {waited:.0f} s so far: the database hangs"
        return self.reason

    async def ask(self, question: partial[T]) -> T | None:
        """Something else of the store; None where it cannot be had now."""
        if self.reason is not None:
            return None
        try:
            return await self._worker.call(question)
        except TransientError as error:
            self._note(error.reason)
            return None

    async def _broke(self, error: TransientError) -> None:
        self._note(error.reason)
        await self._failed(error.reason)

    def _note(self, reason: str) -> None:
        self.reason = reason
        metrics.HISTORIAN_DATABASE_UP.set(0)

    async def _failed(self, reason: str) -> None:
        self._note(reason)
        repeats = self._repeats.due(reason, self._clock.monotonic())
        if repeats is not None:
            log.warning("historian.database_offline", database=self._shown, reason=reason, repeats=repeats)
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
