"""Subscriptions of one connection: more than one Publish request in flight, batches, silence noticed, gaps noticed."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from agent.collectors.opcua.decode import Decoder
from agent.collectors.opcua.inbox import Inbox
from agent.collectors.opcua.limits import ChunkLimit
from agent.collectors.opcua.plan import DevicePlan, Point, allowed_silence, rhythm
from agent.collectors.opcua.reader import Reader
from agent.collectors.opcua.services import Node, Notification, Services, Subscribed
from agent.collectors.opcua.translate import Refused, TooLarge, Undecodable
from agent.core.clock import Clock
from agent.core.errors import ConnectionLost, TransientError
from agent.core.flow import Answer
from agent.core.quality import BAD_DECODING_ERROR, BAD_NODE_ID_UNKNOWN, name_of, number_of
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Repeats

log = get_logger("opcua")

_BAD_TIMEOUT = number_of("BadTimeout")
_BAD_TOO_MANY_PUBLISH_REQUESTS = number_of("BadTooManyPublishRequests")
_BAD = 0x80000000
_LAST_SEQUENCE = 0xFFFFFFFF
_UNDECODABLE = "the value of this node cannot be decoded"
_MOST_TUPLES = 512  #: tuples of tags kept: the normalizer knows a recurring set of tags by its identity


@dataclass(slots=True)
class Subscription:
    """One subscription as this connection sees it."""

    server: Subscribed
    heard: float  #: monotonic seconds of its last sign of life
    allowed: float  #: seconds without one after which it is dead
    nodes: dict[int, Node] = field(default_factory=dict)  #: monitored, by position
    items: dict[int, int] = field(default_factory=dict)  #: their ids at the server
    expected: int | None = None  #: sequence number of the next notification
    slack: int = 0  #: numbers that may be missing: undecodable ones, keep-alives of servers that count them

    def follow(self, notification: Notification) -> int:
        """How many notifications were lost before this one."""
        if notification.empty:
            self.slack += 1
            return 0
        lost = 0
        if self.expected is not None:
            lost = (notification.sequence - self.expected) % _LAST_SEQUENCE
            lost = 0 if lost <= self.slack or lost > _LAST_SEQUENCE // 2 else lost
        self.expected = notification.sequence % _LAST_SEQUENCE + 1
        self.slack = 0
        return lost


class Publishing:
    """Creates subscriptions and takes what they bring. Its coroutines raise what ends the connection."""

    def __init__(
        self,
        services: Services,
        reader: Reader,
        decoder: Decoder,
        inbox: Inbox,
        limit: ChunkLimit,
        clock: Clock,
        plan: DevicePlan,
        given_up: Callable[[Sequence[tuple[Point, int, str]]], None],
    ) -> None:
        self._services = services
        self._reader = reader
        self._limit = limit
        self._decoder = decoder
        self._inbox = inbox
        self._clock = clock
        self._pace = plan.pace
        self._margin = plan.timeout
        self._device = plan.device
        self._tags = decoder.size
        self._given_up = given_up
        self._items = asyncio.Lock()
        self._said = Repeats()
        self._vanished: set[int] = set()
        self._acks: list[tuple[int, int]] = []
        self._tuples: dict[tuple[int, ...], tuple[int, ...]] = {}
        self._publishers = 0
        self._overflows = 0
        self.subscriptions: dict[int, Subscription] = {}

    async def create(self, interval: float) -> Subscription:
        """A subscription for tags of this interval."""
        server = await self._services.subscribe(rhythm(interval, self._pace))
        allowed = allowed_silence(server.interval_ms, server.keep_alive, self._margin)
        made = Subscription(server, self._clock.monotonic(), allowed)
        self.subscriptions[server.id] = made
        return made

    async def monitor(self, subscription: Subscription, nodes: Sequence[Node]) -> list[tuple[Point, int]]:
        """Create monitored items; the nodes the server refuses come back with its status."""
        refused: list[tuple[Point, int]] = []
        start = 0
        while start < len(nodes):
            piece = nodes[start : start + self._limit.size]
            try:
                async with self._items:
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

    @property
    def wanted(self) -> int:
        """How many Publish requests should be in flight: one for each subscription, and one on its way."""
        return min(len(self.subscriptions) + 1, 5)

    async def publish(self) -> None:
        """Keep one Publish request in flight, for ever."""
        self._publishers += 1
        while True:
            if self._inbox.full:
                await self._inbox.room()
                self._touch_all()  # it was us who did not ask
            acks, self._acks = self._acks, []
            try:
                notification = await self._services.publish(acks)
            except Undecodable as error:
                await self._resynchronize(error)
            except Refused as error:
                if error.code == _BAD_TOO_MANY_PUBLISH_REQUESTS and self._publishers > 1:
                    self._publishers -= 1
                    return
                if error.code not in {_BAD_TIMEOUT, _BAD_TOO_MANY_PUBLISH_REQUESTS}:
                    raise
                await self._clock.sleep(1.0)
            else:
                self._take(notification)

    def _take(self, notification: Notification) -> None:
        subscription = self.subscriptions.get(notification.subscription)
        if subscription is None:
            return
        subscription.heard = self._clock.monotonic()
        if notification.ended is not None:
            raise ConnectionLost(f"the server ended the subscription: {name_of(notification.ended)}")
        lost = subscription.follow(notification)
        if lost:
            raise TransientError(f"{lost} notifications of the server were lost")
        if notification.empty:
            self._inbox.confirm()
            return
        self._acks.append((notification.subscription, notification.sequence))
        handles, values = notification.handles, notification.values
        if not handles:
            return
        if max(handles) >= self._tags:
            known = [(handle, value) for handle, value in zip(handles, values, strict=True) if handle < self._tags]
            handles, values = tuple(handle for handle, _ in known), [value for _, value in known]
        answer = self._decoder.answer(self._known(handles), values, self._clock.now_ms())
        self._inbox.put(answer)
        if answer.status or self._vanished:
            self._watch_nodes(answer)
        if self._decoder.overflows > self._overflows:
            self._say_overflow()

    def _known(self, handles: tuple[int, ...]) -> tuple[int, ...]:
        if len(self._tuples) >= _MOST_TUPLES:
            self._tuples.clear()
        return self._tuples.setdefault(handles, handles)

    def _watch_nodes(self, answer: Answer) -> None:
        codes = answer.status if isinstance(answer.status, Sequence) else [answer.status] * len(answer.tags)
        for position, code in zip(answer.tags, codes, strict=True):
            if code == BAD_NODE_ID_UNKNOWN:
                self._vanished.add(position)
            else:
                self._vanished.discard(position)

    async def drop_vanished(self) -> list[Point]:
        """The tags whose node was deleted while it was monitored, not monitored any more: to be asked for anew.

        A server need not connect an old item with a node that comes back, so the item is given up.
        """
        points: list[Point] = []
        async with self._items:
            for subscription in self.subscriptions.values():
                gone = sorted(self._vanished & subscription.items.keys())
                if gone:
                    points += await self._drop(subscription, gone)
        self._vanished.clear()
        return points

    async def _drop(self, subscription: Subscription, positions: Sequence[int]) -> list[Point]:
        points = [subscription.nodes.pop(position).point for position in positions]
        items = [subscription.items.pop(position) for position in positions]
        with suppress(Refused):  # an item without a node may be beyond the server's reach too
            await self._services.forget(subscription.server.id, items)
        return points

    def _say_overflow(self) -> None:
        if not self._overflows:  # once a connection; the count is in the device's notes
            log.warning("opcua.overflow", device=self._device)
        self._overflows = self._decoder.overflows

    def _touch_all(self) -> None:
        now = self._clock.monotonic()
        for subscription in self.subscriptions.values():
            subscription.heard = now

    async def _resynchronize(self, error: Undecodable) -> None:
        """A notification is lost to us: read every tag, which also finds the one that cannot be decoded.

        That one is monitored no longer: it would take its neighbours' values with it again and again.
        """
        if (before := self._said.due("undecodable", self._clock.monotonic())) is not None:
            log.warning("opcua.undecodable", device=self._device, reason=error.reason, repeats=before)
        self._touch_all()
        for subscription in self.subscriptions.values():
            subscription.slack += 1
        async with self._items:  # not while items are being created: their ids are not known yet
            for subscription in self.subscriptions.values():
                await self._reread(subscription)

    async def _reread(self, subscription: Subscription) -> None:
        broken: list[tuple[Point, int, str]] = []

        def sort(answer: Answer) -> None:
            if answer.status == BAD_DECODING_ERROR:
                broken.extend((subscription.nodes[at].point, BAD_DECODING_ERROR, _UNDECODABLE) for at in answer.tags)
            else:
                self._inbox.put(answer)

        await self._reader.read(self._reader.layout(list(subscription.nodes.values())), sort)
        if broken:
            await self._drop(subscription, [point.position for point, _, _ in broken])
            self._given_up(broken)

    def facts(self) -> list[dict[str, object]]:
        """The subscriptions as the server revised them, for notes."""
        return [
            {"interval_ms": each.server.interval_ms, "keep_alive": each.server.keep_alive, "items": len(each.items)}
            for each in self.subscriptions.values()
        ]

    async def watch(self) -> None:
        """Raise ConnectionLost as soon as a subscription has been silent for too long."""
        while True:
            now = self._clock.monotonic()
            first = min((each.heard + each.allowed for each in self.subscriptions.values()), default=math.inf)
            if first <= now and not self._inbox.full:
                log.warning("opcua.keepalive_missed", device=self._device)
                raise ConnectionLost("publishing stopped")
            await self._clock.sleep(min(max(first - now, 0.05), 60.0))
