"""Filling what an outage left open from the server's history: after recovery, bounded, throttled, without repetitions.

For each tag the span lies between the last value this agent had of it and the first one it got afterwards, both left
out: those were said. What is not done when the connection breaks is left for the next one, from where it stood.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from agent.collectors.opcua.decode import Decoder
from agent.collectors.opcua.history import History, Page
from agent.collectors.opcua.inbox import Inbox
from agent.collectors.opcua.past import Past, Span
from agent.collectors.opcua.plan import DevicePlan
from agent.collectors.opcua.services import Node
from agent.collectors.opcua.translate import Refused, Undecodable
from agent.core.clock import Clock
from agent.core.flow import Answer
from agent.core.quality import name_of
from agent.telemetry.logging import get_logger

log = get_logger("opcua")

NODES, VALUES = 10, 100  #: per request: a page is decoded in one go
_PAUSE = 0.05  #: seconds between two requests
_MOST = 1_000_000  #: values of one connection
_BAD = 0x80000000


class Tally(NamedTuple):
    """What came of it."""

    values: int = 0
    failed: int = 0
    reason: str | None = None


class Backfill:
    """Of one connection. `node` gives the node of a position, None where it is missing."""

    def __init__(
        self,
        plan: DevicePlan,
        history: History,
        decoder: Decoder,
        inbox: Inbox,
        clock: Clock,
        past: Past,
        node: Callable[[int], Node | None],
    ) -> None:
        self._plan = plan
        self._history = history
        self._decoder = decoder
        self._inbox = inbox
        self._clock = clock
        self._past = past
        self._node = node
        self._shift = round(plan.utc_offset * 1000)

    async def run(self) -> None:
        """Returns when nothing is left to fill."""
        if not self._past.last and not self._past.spans:
            return
        await self._clock.sleep(self._plan.pace.history)
        self.owe()
        tags, tally = len(self._past.spans), Tally()
        while self._past.spans and tally.values < _MOST:
            tally = await self._fill(self._past.spans[:NODES], tally)
        if tags:
            log.info(
                "opcua.backfilled",
                device=self._plan.device,
                tags=tags,
                values=tally.values,
                failed=tally.failed,
                reason=tally.reason,
                complete=not self._past.spans,
            )
        self._past.spans.clear()

    def owe(self) -> None:
        """What is open: between the last value before and the first value since, tag by tag."""
        last, self._past.last = self._past.last, {}
        for position, after in last.items():
            before = self._decoder.first.get(position)
            if before is not None and before - after > 1 and self._node(position) is not None:
                self._past.spans.append(Span(position, after, before))

    async def _fill(self, spans: Sequence[Span], tally: Tally) -> Tally:
        """One request and what continues it; the spans are taken off the list as they are done."""
        nodes = {span: node for span in spans if (node := self._node(span.position)) is not None}
        points: dict[Span, bytes | None] = dict.fromkeys(nodes)
        start = min(span.after for span in spans) + self._shift
        end = max(span.before for span in spans) + self._shift
        stood = {span: span.after for span in nodes}
        unfinished: set[Span] = set()
        while points:
            while self._inbox.remembers >= NODES or self._inbox.full:
                await self._clock.sleep(_PAUSE)
            asked = list(points)
            try:
                pages = await self._history.raw(
                    [nodes[span].node_id for span in asked], [points[span] for span in asked], start, end
                )
            except (Refused, Undecodable) as error:
                tally = Tally(tally.values, tally.failed + len(asked), error.reason)
                break
            points = {}
            for span, page in zip(asked, pages, strict=True):
                tally = self._take(span, page, tally)
                if page.more and tally.values < _MOST:
                    points[span] = page.more
                elif not page.more and len(page.values) >= VALUES and span.after > stood[span]:
                    unfinished.add(span)  # a full page that nothing continues: some servers just stop there
            await self._clock.sleep(_PAUSE)
        done = set(spans) - unfinished
        self._past.spans = [span for span in self._past.spans if span not in done]
        return tally

    def _take(self, span: Span, page: Page, tally: Tally) -> Tally:
        if page.code >= _BAD:
            return Tally(tally.values, tally.failed + 1, name_of(page.code))
        answer = self._decoder.history(span.position, page.values, self._clock.now_ms(), span.after, span.before)
        if answer is not None:
            self._inbox.remember(answer)
            span.after = max(source for source in answer.src or () if source is not None)
        return Tally(tally.values + _size(answer), tally.failed, tally.reason)


def _size(answer: Answer | None) -> int:
    return 0 if answer is None else len(answer.tags)
