"""Answers `edge-agent outbox` while the agent runs: between two commits, and so that the figures stay right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from msgspec import structs

from agent.core.errors import AgentError
from agent.outbox.file import again
from agent.outbox.file.transaction import Row
from agent.outbox.operator import queries
from agent.outbox.operator.protocol import OutboxAnswer, OutboxQuestion, Which
from agent.outbox.state import OutboxState
from agent.outbox.writer import OutboxWriter
from agent.telemetry.logging import get_logger

log = get_logger("outbox")


class Clerk:
    """One outbox's. `notify` tells the reader of a session that there is more to hand out."""

    def __init__(self, state: OutboxState, writer: OutboxWriter, *, name: str, notify: Callable[[], None]) -> None:
        self._state = state
        self._writer = writer
        self._name = name
        self._notify = notify

    async def answer(self, ask: OutboxQuestion) -> OutboxAnswer:
        """Never raises but for cancellation."""
        try:
            await self._writer.flush()
            match ask.verb:
                case "list":
                    return await self._list()
                case "quarantined":
                    found = await self._writer.use(lambda db: queries.quarantined(db, ask.which))
                    return OutboxAnswer(quarantined=found)
                case "discard":
                    return await self._discard(ask.which)
                case "requeue":
                    return await self._again("quarantine", ask.which)
                case "resend":
                    return await self._again("acked", ask.which)
        except AgentError as error:
            return OutboxAnswer(error=str(error))

    async def _list(self) -> OutboxAnswer:
        """In portions, so that a long backlog holds no commit up for long."""
        use = self._writer.use
        sums = {table: queries.Sums() for table in queries.TABLES}
        for table, one in sums.items():
            last = await use(partial(queries.last_row, table=table))
            for low in range(0, last + 1, queries.PORTION):
                await use(partial(one.portion, table=table, low=low))
        known = await use(queries.streams)
        state, listing = self._state, queries.put_together(sums, known, self._state.book.epoch)
        figures = {"bytes": state.bytes, "limit": state.limit, "full": state.losses.full, "lost": state.losses.total}
        return OutboxAnswer(listing=structs.replace(listing, **figures))

    async def _discard(self, which: Which) -> OutboxAnswer:
        async with self._writer.lock:
            rows = await self._writer.call(lambda db: queries.discard(db, which))
            self._state.quarantined -= len(rows)
        self._said("discard", rows)
        return OutboxAnswer(done=queries.done(rows))

    async def _again(self, shelf: queries.Shelf, which: Which) -> OutboxAnswer:
        state = self._state
        async with self._writer.lock:
            rows = await self._writer.call(lambda db: queries.send_again(db, shelf, which))
            state.again.added(len(rows), await self._writer.call(again.highest))
            if shelf == "quarantine":
                state.quarantined -= len(rows)
        self._said("requeue" if shelf == "quarantine" else "resend", rows)
        self._notify()
        return OutboxAnswer(done=queries.done(rows))

    def _said(self, verb: str, rows: Sequence[Row]) -> None:
        log.info("outbox.ordered", publisher=self._name, order=verb, records=len(rows))
