"""Filling what an outage left open from the server's history: after recovery, bounded, throttled, without repetitions.

For each tag the span lies between the last value this agent had of it and the first one it got afterwards, both left
out: those were said. What is not done when the connection breaks, or the process ends, is left for the next one, from
where it stood.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import NamedTuple

from agent.collectors.opcua.history.history import HistoryPage, HistoryReader
from agent.collectors.opcua.history.keeping import HistoryKeeper
from agent.collectors.opcua.inbox import SampleInbox
from agent.collectors.opcua.past import MissingSpan, Past, TagKey
from agent.collectors.opcua.plan import ConnectionPlan
from agent.collectors.opcua.services import ResolvedNode
from agent.collectors.opcua.translate import AnswerUndecodable, ServiceRefused, TooLarge
from agent.collectors.opcua.values.decode import BAD_INDEX_RANGE_INVALID, Decoder
from agent.core.clock import Clock
from agent.core.quality import name_of, number_of
from agent.core.zones import LocalTime
from agent.telemetry.logging import get_logger

log = get_logger("opcua")

NODES, VALUES = 10, 100  #: per request: a page is decoded in one go
_PAUSE = 0.05  #: seconds between two requests
_MOST = 1_000_000  #: values of one connection
_NEAR = 60_000  #: ms by which spans asked for together may begin apart, or by the length of the first
_LOOKED_AT = 1000  #: spans among which those for one request are looked for
_BAD = 0x80000000
_NO_HISTORY = {
    number_of(name)
    for name in ("BadServiceUnsupported", "BadHistoryOperationUnsupported", "BadNotSupported", "BadUserAccessDenied")
}  #: of the service as such: no other node will fare better
_TOO_MANY = "the server gives more of its history at once than was asked for"
_NO_CONTINUATION_POINTS = number_of("BadNoContinuationPoints")


class Tally(NamedTuple):
    """What came of it."""

    tags: int = 0
    values: int = 0
    failed: int = 0
    reason: str | None = None


class Backfill:
    """Of one connection. `node` gives the node of a position, None where it is missing."""

    def __init__(
        self,
        plan: ConnectionPlan,
        history: HistoryReader,
        decoder: Decoder,
        inbox: SampleInbox,
        clock: Clock,
        past: Past,
        keeper: HistoryKeeper,
        node: Callable[[int], ResolvedNode | None],
    ) -> None:
        self._plan = plan
        self._history = history
        self._decoder = decoder
        self._inbox = inbox
        self._clock = clock
        self._past = past
        self._keeper = keeper
        self._node = node
        self._zone = LocalTime(plan.zone)
        self._left = _MOST
        self._alone: set[TagKey] = set()  #: tags asked for without others

    async def run(self) -> None:
        """Returns when nothing is left to fill. Nodes may come back late: then theirs is filled late."""
        wait = self._plan.pace.history
        while self._past.last or self._past.spans:
            await self._clock.sleep(wait)
            wait = max(wait, self._plan.pace.again)
            if self._past.spans:
                await self._fill_all()

    async def _fill_all(self) -> None:
        tally = Tally(tags=len({span.key for span in self._past.spans}))
        while self._past.spans and self._left > 0:
            most = min(NODES, self._past.histories.size)
            tally = await self._fill(together(self._past.spans, most, self._alone), tally)
        cut = bool(self._past.spans)
        self._inbox.complain(None, "history")
        await self._keeper.done(self._past.spans)
        log.info(
            "opcua.backfilled",
            device=self._plan.device,
            tags=tally.tags,
            values=tally.values,
            failed=tally.failed,
            reason=tally.reason,
            complete=not cut,
        )

    async def _fill(self, spans: Sequence[MissingSpan], tally: Tally) -> Tally:
        """One request and what continues it; the spans are taken off the list as they are done."""
        positions = self._keeper.positions
        nodes = {
            span: node
            for span in spans
            if (position := positions.get(span.key)) is not None and (node := self._node(position)) is not None
        }
        points: dict[MissingSpan, bytes | None] = dict.fromkeys(nodes)
        start, end = min(span.asked for span in spans), max(span.before for span in spans)
        ahead = sorted((self._zone.ahead(start), self._zone.ahead(end)))  # the end of summer time may lie between them
        start, end = start + ahead[0], end + ahead[1]
        stood = {span: span.asked for span in nodes}
        unfinished: set[MissingSpan] = set()
        while points:
            while self._inbox.remembers >= NODES or self._inbox.full:
                await self._clock.sleep(_PAUSE)
            asked = list(points)
            try:
                pages = await self._history.raw(
                    [nodes[span] for span in asked], [points[span] for span in asked], start, end
                )
            except (ServiceRefused, AnswerUndecodable) as error:
                tally = await self._judge(error, asked, unfinished, tally)
                break
            points = {}
            for span, page in zip(asked, pages, strict=True):
                if page.code == _NO_CONTINUATION_POINTS and self._past.histories.refused(len(asked)):
                    unfinished.add(span)
                    continue
                failed = tally.failed
                tally = await self._take_in_parts(span, positions[span.key], page, tally)
                if tally.failed > failed:
                    continue
                if page.more:
                    points[span] = page.more
                elif len(page.values) >= self._history.most and span.asked > stood[span]:
                    unfinished.add(span)  # a full page that nothing continues: some servers just stop there
            if points and self._left <= 0:
                rest = {span: point for span, point in points.items() if point}
                await self._history.release([nodes[span] for span in rest], list(rest.values()))
                unfinished.update(points)
                break
            await self._clock.sleep(_PAUSE)
        while self._inbox.remembers:
            await self._clock.sleep(_PAUSE)
        await self._keeper.done([span for span in spans if span not in unfinished])
        return tally

    async def _judge(
        self,
        error: ServiceRefused | AnswerUndecodable,
        asked: Sequence[MissingSpan],
        unfinished: set[MissingSpan],
        tally: Tally,
    ) -> Tally:
        """What failed is asked for again, smaller, while that can help; else it costs what was asked for, or all."""
        lost = len(asked)
        if isinstance(error, TooLarge) and (self._past.histories.refused(lost) or self._history.lower()):
            unfinished.update(asked)
            return tally
        if isinstance(error, AnswerUndecodable) and lost > 1:
            self._alone.update(span.key for span in asked)
            unfinished.update(asked)
            return tally
        if isinstance(error, ServiceRefused) and error.code in _NO_HISTORY:
            lost = len(self._past.spans)
            await self._keeper.done(self._past.spans)
        return tally._replace(failed=tally.failed + lost, reason=error.reason)

    async def _take_in_parts(self, span: MissingSpan, position: int, page: HistoryPage, tally: Tally) -> Tally:
        """What a server gives beyond what was asked for is true, and costs what it would have cost when asked for."""
        most, failed = max(VALUES, self._history.most), tally.failed
        for at in range(0, max(1, len(page.values)), most):
            if at:
                self._inbox.complain(_TOO_MANY, "history")
                while self._inbox.remembers >= NODES or self._inbox.full:
                    await self._clock.sleep(_PAUSE)
                await self._clock.sleep(_PAUSE)
            tally = self._take(span, position, page._replace(values=page.values[at : at + most]), tally)
            if tally.failed > failed or self._left <= 0:
                break
        return tally

    def _take(self, span: MissingSpan, position: int, page: HistoryPage, tally: Tally) -> Tally:
        if page.code >= _BAD:
            return tally._replace(failed=tally.failed + 1, reason=tally.reason or name_of(page.code))
        answer = self._decoder.history(position, page.values, self._clock.now_ms(), span.asked, span.before)
        if answer is None:
            return tally
        if isinstance(answer.status, list) and BAD_INDEX_RANGE_INVALID in answer.status:  # the whole, not the part
            return tally._replace(failed=tally.failed + 1, reason=tally.reason or name_of(BAD_INDEX_RANGE_INVALID))
        until = span.asked = max(source for source in answer.src or () if source is not None)

        def handed() -> None:
            span.after = until

        self._inbox.remember(answer, partial(self._keeper.claim, span, until), handed)
        self._left -= len(answer.tags)
        return tally._replace(values=tally.values + len(answer.tags))


def together(spans: Sequence[MissingSpan], most: int, alone: Collection[TagKey] = ()) -> list[MissingSpan]:
    """The first span, and others that fit into its request: one beginning and one end count for all its nodes.

    What a node is asked for too much is read for nothing, so both may differ by a minute, or by the first one's length.
    Those in `alone` share with nobody.
    """
    first = spans[0]
    if first.key in alone:
        return [first]
    slack = max(_NEAR, first.before - first.asked)
    chosen: dict[TagKey, MissingSpan] = {}
    for span in spans[:_LOOKED_AT]:
        near = abs(span.asked - first.asked) <= slack and abs(span.before - first.before) <= slack
        if near and span.key not in alone:
            chosen.setdefault(span.key, span)
        if len(chosen) == most:
            break
    return list(chosen.values())
