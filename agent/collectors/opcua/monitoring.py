"""Monitored items of one connection: created in chunks, dropped where they are of no more use."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress

from agent.collectors.opcua.limits import ChunkLimit
from agent.collectors.opcua.plan import Point
from agent.collectors.opcua.services import Node, Services
from agent.collectors.opcua.subscription import Subscription
from agent.collectors.opcua.translate import Refused, TooLarge
from agent.core.errors import ConnectionLost
from agent.core.flow import Answer
from agent.core.quality import BAD_NODE_ID_UNKNOWN, number_of
from agent.telemetry.logging import get_logger

log = get_logger("opcua")

_BAD = 0x80000000
_TOO_MANY_ITEMS = number_of("BadTooManyMonitoredItems")


class Monitoring:
    """Creates and deletes items. `busy` is held meanwhile: the ids of items being created are not known yet."""

    def __init__(self, services: Services, limit: ChunkLimit, device: str) -> None:
        self._services = services
        self._limit = limit
        self._device = device
        self.busy = asyncio.Lock()
        self.vanished: set[int] = set()  #: positions whose node was deleted while it was monitored

    async def monitor(self, subscription: Subscription, nodes: Sequence[Node]) -> list[tuple[Point, int]]:
        """Create monitored items; the nodes the server refuses come back with its status."""
        refused: list[tuple[Point, int]] = []
        start, size = 0, self._limit.size
        while start < len(nodes):
            piece = nodes[start : start + size]
            try:
                results = await self._create(subscription, piece)
                self._limit.answered(len(piece))
            except ConnectionLost:
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
                results = [(error.code, 0)]
            except Refused as error:
                results = [(error.code, 0)] * len(piece)
            refused += [(node.point, code) for node, (code, _) in zip(piece, results, strict=True) if code >= _BAD]
            start += len(piece)
        return refused

    async def _create(self, subscription: Subscription, nodes: Sequence[Node]) -> list[tuple[int, int]]:
        async with self.busy:
            results = await self._services.monitor(subscription.server.id, nodes)
            for node, (code, item) in zip(nodes, results, strict=True):
                if code < _BAD:
                    subscription.nodes[node.point.position] = node
                    subscription.items[node.point.position] = item
        return results

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

    async def drop_vanished(self, subscriptions: Iterable[Subscription]) -> list[Point]:
        """The tags whose node was deleted while it was monitored, not monitored any more: to be asked for anew.

        A server need not connect an old item with a node that comes back, so the item is given up.
        """
        points: list[Point] = []
        async with self.busy:
            for subscription in subscriptions:
                gone = sorted(self.vanished & subscription.items.keys())
                if gone:
                    points += await self.drop(subscription, gone)
        self.vanished.clear()
        return points

    async def drop(self, subscription: Subscription, positions: Sequence[int]) -> list[Point]:
        """Monitor these no longer. `busy` is the caller's."""
        points = [subscription.nodes.pop(position).point for position in positions]
        items = [subscription.items.pop(position) for position in positions]
        with suppress(Refused):  # an item without a node may be beyond the server's reach too
            await self._services.forget(subscription.server.id, items)
        return points
