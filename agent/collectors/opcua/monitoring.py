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
from agent.core.flow import Answer
from agent.core.quality import BAD_NODE_ID_UNKNOWN
from agent.telemetry.logging import get_logger

log = get_logger("opcua")

_BAD = 0x80000000


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
        start = 0
        while start < len(nodes):
            piece = nodes[start : start + self._limit.size]
            try:
                async with self.busy:
                    results = await self._services.monitor(subscription.server.id, piece)
                    for node, (code, item) in zip(piece, results, strict=True):
                        if code < _BAD:
                            subscription.nodes[node.point.position] = node
                            subscription.items[node.point.position] = item
            except TooLarge as error:
                if self._limit.refused(len(piece)):
                    log.info("opcua.limit_lowered", device=self._device, limit=self._limit.size, reason=error.reason)
                    continue
                results = [(error.code, 0)]
            except Refused as error:
                results = [(error.code, 0)] * len(piece)
            refused += [(node.point, code) for node, (code, _) in zip(piece, results, strict=True) if code >= _BAD]
            start += len(piece)
        return refused

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
