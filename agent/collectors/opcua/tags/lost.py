"""Notifications that were lost: asked for again, or declared as lost, and their tags read instead."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from agent.collectors.opcua.inbox import SampleInbox
from agent.collectors.opcua.notification import Notification
from agent.collectors.opcua.plan import TagPoint
from agent.collectors.opcua.services import Services
from agent.collectors.opcua.tags.monitoring import Monitoring
from agent.collectors.opcua.tags.reader import ChunkReader
from agent.collectors.opcua.tags.subscription import Subscription, before
from agent.collectors.opcua.translate import AnswerUndecodable, ServiceRefused
from agent.core.clock import Clock
from agent.core.flow import Answer, Loss
from agent.core.quality import BAD_DECODING_ERROR
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Repeats

log = get_logger("opcua")

_UNDECODABLE = "the value of this node cannot be decoded"
_MOST_REPUBLISHED = 64  #: notifications of one gap asked for again


class LostNotifications:
    """Of the subscriptions of one connection. `put`: takes what was read instead."""

    def __init__(
        self, services: Services, reader: ChunkReader, inbox: SampleInbox, items: Monitoring, clock: Clock, device: str
    ) -> None:
        self._services = services
        self._reader = reader
        self._inbox = inbox
        self._items = items
        self._clock = clock
        self._device = device
        self._said = Repeats()
        #: called with tags that are monitored no longer: position, status, reason
        self.given_up: Callable[[Sequence[tuple[TagPoint, int, str]]], object] = len

    async def republished(
        self,
        subscription: Subscription,
        notification: Notification,
        missing: int,
        deliver: Callable[[Notification], Awaitable[None]],
    ) -> int:
        """Ask again for the notifications before this one; how many the server does not have any more."""
        unknown = max(0, missing - _MOST_REPUBLISHED)
        for back in range(missing - unknown, 0, -1):
            try:
                again = await self._services.republish(subscription.server.id, before(notification.sequence, back))
            except (ServiceRefused, AnswerUndecodable):
                unknown += 1
            else:
                unknown += again.empty
                if not again.empty and not subscription.again(again):
                    await deliver(again)
        if (repeats := self._said.due("missing", self._clock.monotonic())) is not None:
            log.warning("opcua.gap", device=self._device, missing=missing, lost=unknown, repeats=repeats)
        return unknown

    async def undecodable(
        self, error: AnswerUndecodable, subscriptions: Sequence[Subscription], told: int, put: Callable[[Answer], None]
    ) -> None:
        """A notification is lost to us: say so, and read every tag, which also finds the one that is to blame.

        That one is monitored no longer: it would take its neighbours' values with it again and again.
        """
        if (repeats := self._said.due("undecodable", self._clock.monotonic())) is not None:
            log.warning("opcua.undecodable", device=self._device, reason=error.reason, repeats=repeats)
        for subscription in subscriptions:
            subscription.slack += 1
        self.declare(subscriptions, told, "a notification could not be decoded")
        await self.reread(subscriptions, put)

    def declare(self, subscriptions: Sequence[Subscription], since: int, reason: str) -> None:
        """What they brought from this instant (epoch ms) on is not known."""
        tags = tuple(position for each in subscriptions for position in (*each.nodes, *each.events))
        self._inbox.lose(Loss(since, self._clock.now_ms(), reason, tags))

    async def reread(self, subscriptions: Sequence[Subscription], put: Callable[[Answer], None]) -> None:
        """Read every tag of these."""
        async with self._items.busy:  # not while items are being created: their ids are not known yet
            for subscription in subscriptions:
                await self._read_all(subscription, put)
                subscription.heard = self._clock.monotonic()

    async def _read_all(self, subscription: Subscription, put: Callable[[Answer], None]) -> None:
        broken: list[tuple[TagPoint, int, str]] = []

        def sort(answer: Answer) -> None:
            if answer.status == BAD_DECODING_ERROR:
                broken.extend((subscription.nodes[at].point, BAD_DECODING_ERROR, _UNDECODABLE) for at in answer.tags)
            else:
                put(answer)

        await self._reader.read(self._reader.layout(list(subscription.nodes.values())), sort)
        if broken:
            await self._items.drop(subscription, [point.position for point, _, _ in broken])
            self.given_up(broken)
