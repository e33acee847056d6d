"""Monitored items of one connection: created in chunks, dropped where they are of no more use."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from agent.collectors.common.limits import ChunkLimit
from agent.collectors.opcua.plan import TagPoint, names_of
from agent.collectors.opcua.services import Monitored, ResolvedNode, Services
from agent.collectors.opcua.tags.dividing import Dividing
from agent.collectors.opcua.tags.subscription import Subscription
from agent.collectors.opcua.translate import AnswerUndecodable, ServiceRefused, TooLarge
from agent.core.clock import Clock
from agent.core.errors import ConnectionLost, TransientError
from agent.core.flow import Answer
from agent.core.quality import BAD_NODE_ID_UNKNOWN, number_of
from agent.telemetry.logging import get_logger

log = get_logger("opcua")

_BAD = 0x80000000
_FILTER_REFUSED = {
    number_of(name)
    for name in (
        "BadMonitoredItemFilterUnsupported",
        "BadMonitoredItemFilterInvalid",
        "BadFilterNotAllowed",
        "BadDeadbandFilterInvalid",
    )
}
_TOO_MANY_ITEMS = number_of("BadTooManyMonitoredItems")


class Monitoring:
    """Creates and deletes items. `busy` is held meanwhile: the ids of items being created are not known yet."""

    def __init__(self, services: Services, limit: ChunkLimit, clock: Clock, device: str) -> None:
        self._services = services
        self._limit = limit
        self._device = device
        self._divided = Dividing(limit, clock, device)
        self.busy = asyncio.Lock()
        self.filters = True  #: whether this server knows filters at all
        self.unfiltered: set[int] = set()  #: positions whose filter it refused
        self.revised: dict[int, tuple[str, float, int]] = {}  #: position → tag, sampling ms and queue size it got
        self.disbelieved = False  #: the server's list of monitored items contradicts itself
        self._missed: set[int] = set()  # what the last audit found missing
        self.vanished: set[int] = set()  #: positions whose node was deleted while it was monitored

    async def monitor(self, subscription: Subscription, nodes: Sequence[ResolvedNode]) -> list[tuple[TagPoint, int]]:
        """Create monitored items; the nodes the server refuses come back with its status."""
        interval = subscription.server.interval_ms
        nodes = [node.published(interval) for node in nodes]
        refused: list[tuple[TagPoint, int]] = []
        start, size = 0, self._limit.size
        while start < len(nodes):
            piece = nodes[start : start + size]
            try:
                results = await self._create(subscription, piece)
                self._limit.answered(len(piece))
            except (ConnectionLost, AnswerUndecodable):  # which items there are now, only another connection knows
                self._limit.lost(len(piece))
                raise
            except TooLarge as error:
                if error.code == _TOO_MANY_ITEMS:  # not of the request, but of all
                    if len(piece) > 1:
                        size = len(piece) // 2
                        continue
                    return refused + [(node.point, error.code) for node in nodes[start:]]
                if self._limit.refused(len(piece)):
                    size = self._limit.size
                    log.info("opcua.limit_lowered", device=self._device, limit=size, reason=error.reason)
                    continue
                results = [Monitored(error.code)]
            except ServiceRefused as error:
                results = await self._divide(subscription, piece, error)
            refused += [(node.point, made.code) for node, made in zip(piece, results, strict=True) if made.code >= _BAD]
            start, size = start + len(piece), min(size, self._limit.size)
        return refused

    async def _divide(
        self, subscription: Subscription, piece: Sequence[ResolvedNode], error: ServiceRefused
    ) -> list[Monitored]:
        results = [Monitored(error.code)] * len(piece)

        async def ask(places: range) -> None:
            try:
                results[places.start : places.stop] = await self._create(
                    subscription, piece[places.start : places.stop]
                )
            except (ConnectionLost, AnswerUndecodable):
                self._limit.lost(len(places))
                raise
            self._limit.answered(len(places))

        def refuse(places: range, words: TransientError) -> None:
            code = words.code if isinstance(words, ServiceRefused) else error.code
            results[places.start : places.stop] = [Monitored(code)] * len(places)

        await self._divided(len(piece), error, ask, refuse)
        return results

    async def _create(self, subscription: Subscription, nodes: Sequence[ResolvedNode]) -> list[Monitored]:
        if self.unfiltered or not self.filters:
            nodes = [
                self._plain(node) if not self.filters or node.point.position in self.unfiltered else node
                for node in nodes
            ]
        async with self.busy:
            try:
                results = await self._services.monitor(subscription.server.id, nodes)
            except ServiceRefused as error:
                if error.code not in _FILTER_REFUSED:
                    raise
                results = [Monitored(error.code)] * len(nodes)
            again = [at for at, made in enumerate(results) if made.code in _FILTER_REFUSED and nodes[at].point.filter]
            if again:
                self._say_unfiltered([nodes[at].point for at in again])
                retried = await self._services.monitor(subscription.server.id, [self._plain(nodes[at]) for at in again])
                results = list(results)
                for at, made in zip(again, retried, strict=True):
                    results[at] = made
            for node, made in zip(nodes, results, strict=True):
                if made.code < _BAD:
                    self._note(subscription, node, made)
        return results

    @staticmethod
    def _plain(node: ResolvedNode) -> ResolvedNode:
        return node._replace(point=node.point._replace(filter=None))

    def _say_unfiltered(self, points: Sequence[TagPoint]) -> None:
        self.unfiltered.update(point.position for point in points)
        log.warning("opcua.filter_refused", device=self._device, count=len(points), tags=names_of(points))

    def _note(self, subscription: Subscription, node: ResolvedNode, made: Monitored) -> None:
        point = node.point
        subscription.nodes[point.position] = node
        subscription.items[point.position] = made.item
        if made.queue_size < point.queue_size or made.sampling_ms > max(point.sampling_ms, 1.0) * 1.01:
            self.revised[point.position] = (point.name, made.sampling_ms, made.queue_size)
        else:
            self.revised.pop(point.position, None)

    def facts(self) -> dict[str, object]:
        """For notes: what the server gives otherwise than asked for. A few of each."""
        revised = list(self.revised.values())[:10]
        return {
            "unfiltered": len(self.unfiltered),
            "revised": len(self.revised),
            "revised_items": [
                {"tag": name, "sampling_ms": sampling, "queue_size": queue} for name, sampling, queue in revised
            ],
        }

    async def audit(self, subscriptions: Iterable[Subscription]) -> list[TagPoint]:
        """Compare the books with the server's list; the tags it monitors no longer, to be asked for anew.

        Lists lie: some have their two columns exchanged, some miss items that are there. So an item that is not in the
        list is asked for by its id, and a list that misses the same tags again after they were created anew is wrong.
        Nothing that was not created here is ever deleted.
        """
        gone: list[TagPoint] = []
        if self.disbelieved:
            return gone
        missed: set[int] = set()
        async with self.busy:
            for subscription in subscriptions:
                there = await self._services.monitored(subscription.server.id)
                if there is None:
                    return gone
                lost = _missing(subscription.items, there)
                if not lost:
                    continue
                missed.update(lost)
                lives = await self._services.lives(subscription.server.id, [subscription.items[at] for at in lost])
                if lives is not None and any(lives):
                    self._disbelieve("it misses items that are there")
                elif missed & self._missed:
                    self._disbelieve("it misses items again that were created anew")
                    if lives is None:
                        return gone
                for position, alive in zip(lost, lives or [False] * len(lost), strict=True):
                    if not alive:
                        gone.append(subscription.nodes.pop(position).point)
                        del subscription.items[position]
        self._missed = missed
        return gone

    def _disbelieve(self, reason: str) -> None:
        self.disbelieved = True
        log.warning("opcua.audit_disbelieved", device=self._device, reason=reason)

    def look_at(self, answer: Answer) -> None:
        """Notice nodes that went away, and that came back."""
        if not answer.status and not self.vanished:
            return
        codes = answer.status if isinstance(answer.status, Sequence) else [answer.status] * len(answer.tags)
        for position, code in zip(answer.tags, codes, strict=True):
            if code == BAD_NODE_ID_UNKNOWN:
                self.vanished.add(position)
            else:
                self.vanished.discard(position)

    async def drop_vanished(self, subscriptions: Iterable[Subscription]) -> list[TagPoint]:
        """The tags whose node was deleted while it was monitored, not monitored any more: to be asked for anew.

        A server need not connect an old item with a node that comes back, so the item is given up.
        """
        points: list[TagPoint] = []
        async with self.busy:
            for subscription in subscriptions:
                gone = sorted(self.vanished & subscription.items.keys())
                if gone:
                    points += await self.drop(subscription, gone)
        self.vanished.clear()
        return points

    async def drop(self, subscription: Subscription, positions: Sequence[int]) -> list[TagPoint]:
        """Monitor these no longer. `busy` is the caller's."""
        subscription.full = False
        points = [subscription.nodes.pop(position).point for position in positions]
        items = [subscription.items.pop(position) for position in positions]
        await self._forget(subscription, items)
        return points

    async def _forget(self, subscription: Subscription, items: Sequence[int]) -> None:
        for at in range(0, len(items), self._limit.size):
            with suppress(ServiceRefused):  # an item without a node may be beyond the server's reach too
                await self._services.forget(subscription.server.id, items[at : at + self._limit.size])


def _missing(items: Mapping[int, int], listed: Sequence[tuple[int, int]]) -> list[int]:
    """The positions that are not in this list of (item, handle); some servers exchange the two."""
    either = [
        [position for position, item in items.items() if (item, position) not in pairs]
        for pairs in (set(listed), {(item, handle) for handle, item in listed})
    ]
    return min(either, key=len)
