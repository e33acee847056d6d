"""Keeping account, on one connection, of what was said and what is owed from history.

The first value of a tag closes the span that its last one opened. What follows from that is in the logbook before the
values are handed on, so a process that is killed at any instant has noted no less than it said.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

from agent.collectors.opcua.history.logbook import Logbook, LogbookError
from agent.collectors.opcua.past import MissingSpan, Past, TagKey, key_of
from agent.collectors.opcua.plan import ConnectionPlan
from agent.core.flow import Answer
from agent.core.ports import BuildContext
from agent.telemetry.logging import get_logger

log = get_logger("opcua")

T = TypeVar("T")

FARTHEST = 30 * 86_400_000  #: how far back a span may reach, ms
MOST = 50_000  #: spans of one device
_HEADROOM = 10  #: ms: so that a lead that grows little by little is not written every time
_PATIENCE = 5.0  #: seconds the disk may take
_STEP = 1000  #: ms the agent's clock may go back before times of before and after are no longer compared


class HistoryKeeper:
    """Of one connection. Without a logbook nothing outlives the process, and all else is the same."""

    def __init__(self, plan: ConnectionPlan, past: Past, book: Logbook | None, synced: Callable[[], bool]) -> None:
        self._device = plan.device
        self._past = past
        self._book = book
        self._synced = synced
        self._keys: dict[int, TagKey] = {}
        self.positions: dict[TagKey, int] = {}  #: where the tags are in this connection's table
        self._first: Mapping[int, int] = {}
        self._begun: set[int] = set()
        self._promised: dict[
            int, tuple[int | None, MissingSpan | None]
        ] = {}  #: begun and not handed on: what was before
        self._said: dict[int, int] = {}
        self._lead: int | None = None  #: as the logbook has it
        self._arrived = 0  #: newest time of arrival
        self._stepped = False

    def follow(self, plan: ConnectionPlan, first: Mapping[int, int]) -> None:
        """The tags of this connection; `first` gets the time of each one's first value, by position."""
        if not plan.backfill:
            return  # nothing is owed, and a key is 170 bytes a tag
        self._keys = {position: key_of(point) for position, point in plan.points.items()}
        self.positions = {key: position for position, key in self._keys.items()}
        self._first = first

    # --- live ---------------------------------------------------------------------------------------------------------

    async def prepare(self, answers: Sequence[Answer]) -> None:
        """Return when what handing these on means is in the logbook. `answers` may grow meanwhile."""
        while True:
            lead = self._lead_of(answers)
            if lead == self._lead and len(self._first) == len(self._begun):
                return
            if lead is not None and lead != self._lead:
                lead += _HEADROOM
            self._lead = lead
            first, owed = self._owe([position for position in self._first if position not in self._begun])
            await self._write(partial(Logbook.heard, first=first, owed=owed, lead=lead))

    def _owe(self, fresh: Sequence[int]) -> tuple[dict[TagKey, int], list[MissingSpan]]:
        """The spans that the first values of these tags close."""
        past, owed = self._past, []
        first: dict[TagKey, int] = {}
        for position in fresh:
            self._begun.add(position)
            key, before = self._keys.get(position), self._first[position]
            if key is None:
                continue
            first[key] = before
            after = past.last.pop(key, None)
            span = None
            if after is not None and before - after > 1 and len(past.spans) < MOST:
                past.spanned += 1
                span = MissingSpan(past.spanned, key, max(after, before - FARTHEST), before)
                past.spans.append(span)
                owed.append(span)
            self._promised[position] = (after, span)
        return first, owed

    def _lead_of(self, answers: Sequence[Answer]) -> int | None:
        """How far (ms) source times run ahead of their arrival at most; None where the agent's clock tells nothing."""
        leads = [] if self._lead is None else [self._lead]
        for answer in answers:
            if answer.ts < self._arrived - _STEP:
                self._stepped = True
            self._arrived = max(self._arrived, answer.ts)
            times = [time for time in answer.src or () if time is not None]
            if times:
                leads.append(max(times) - answer.ts)
        return max(leads) if leads and not self._stepped and self._synced() else None

    def handed(self, answers: Sequence[Answer]) -> None:
        """These were handed on."""
        said = self._said
        for answer in answers:
            if self._promised:
                for position in answer.tags:
                    self._promised.pop(position, None)
            for position, time in zip(answer.tags, answer.src or (), strict=False):
                if time is not None and time > said.get(position, 0):
                    said[position] = time

    # --- history ------------------------------------------------------------------------------------------------------

    async def claim(self, span: MissingSpan, until: int) -> None:
        """Return when it is in the logbook that values of this span up to `until` are published."""
        await self._write(partial(Logbook.filled, span=span, until=until))

    async def done(self, spans: Sequence[MissingSpan]) -> None:
        """Nothing more is to be had of these."""
        if not spans:
            return
        gone = set(spans)
        self._past.spans = [span for span in self._past.spans if span not in gone]
        await self._write(partial(Logbook.done, spans=list(spans)))

    # --- begin and end ------------------------------------------------------------------------------------------------

    async def end(self) -> None:
        """The connection is over; what was read and not handed on any more is to be read again."""
        past = self._past
        said = {self._keys[position]: time for position, time in self._said.items() if position in self._keys}
        said |= {self._keys[position]: after for position, (after, _) in self._promised.items() if after is not None}
        never = {span for _, span in self._promised.values()}
        past.last |= said
        past.spans = [span for span in past.spans if span not in never]
        for span in past.spans:
            span.asked = span.after
        await self._write(partial(Logbook.ended, last=said, spans=list(past.spans)))

    async def open(self) -> None:
        """Without it nothing outlives the process; a file of no use is begun anew."""
        if self._book is not None:
            path = str(self._book.path)
            damage = await self._write(Logbook.open)
            if damage is not None:
                log.warning("opcua.logbook_damaged", device=self._device, path=path, reason=damage)

    async def close(self) -> None:
        """What is written is written."""
        await self._write(Logbook.close)

    async def _write(self, work: Callable[[Logbook], T]) -> T | None:
        """Do it in a thread. What cannot be written must not be believed later: the file goes, and this goes on.

        A disk that hangs costs the logbook too, and no value its way.
        """
        if self._book is None:
            return None
        try:
            async with asyncio.timeout(_PATIENCE):
                return await asyncio.to_thread(work, self._book)
        except (LogbookError, TimeoutError) as error:
            book, self._book = self._book, None
            reason = str(error) or f"no answer from the disk in {_PATIENCE:g} s"
            log.warning("opcua.logbook_refused", device=self._device, path=str(book.path), reason=reason)
            if isinstance(error, LogbookError):
                await _discard(book)
            return None

    async def recall(self, names: frozenset[str] | None, recorded: int | None) -> None:
        """Take over what the runs before left; see `Logbook.recall`."""
        found = await self._write(partial(Logbook.recall, names=names, recorded=recorded))
        self._past.recalled = True
        if found is None:
            return
        self._past.last, self._past.spans = found.last, found.spans
        self._past.spanned = max((span.id for span in found.spans), default=0)
        log.info("opcua.recalled", device=self._device, tags=len(found.last), spans=len(found.spans), lost=found.lost)


@asynccontextmanager
async def keeping(plan: ConnectionPlan, context: BuildContext, past: Past) -> AsyncIterator[HistoryKeeper]:
    """The keeper of a connection about to be made; the first one recalls what the runs before left.

    A device without `backfill` forgets: it says values nobody accounts for.
    """
    book = Logbook(context.data_dir / "opcua" / f"{plan.device}.sqlite", whose(plan)) if context.recording else None
    if not plan.backfill:
        if book is not None and not past.recalled and book.path.exists():
            await _discard(book)
        past.recalled = True
        yield HistoryKeeper(plan, past, None, lambda: context.clock.synced)
        return
    keeper = HistoryKeeper(plan, past, book, lambda: context.clock.synced)
    try:
        await keeper.open()
        if not past.recalled:
            await keeper.recall(None if plan.selection is not None else plan.names, context.recorded(plan.device))
        yield keeper
    finally:
        await keeper.close()


async def _discard(book: Logbook) -> None:
    with contextlib.suppress(LogbookError):  # a disk that takes nothing does not let go either
        await asyncio.to_thread(book.discard)


def whose(plan: ConnectionPlan) -> str:
    """What must be the same for times of one run to mean anything in the next."""
    fixed = plan.zone.utcoffset(None)
    return f"{' '.join(sorted(plan.servers))} {plan.zone if fixed is None else format(fixed.total_seconds(), 'g')}"
