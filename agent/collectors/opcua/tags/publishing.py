"""Subscriptions of one connection: more than one Publish request in flight, batches, silence and gaps noticed."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from agent.collectors.opcua.inbox import SampleInbox
from agent.collectors.opcua.notification import Notification
from agent.collectors.opcua.plan import ConnectionPlan, Rhythm, allowed_silence, rhythm
from agent.collectors.opcua.services import MOST_PER_NOTIFICATION, Services
from agent.collectors.opcua.tags.lost import LostNotifications
from agent.collectors.opcua.tags.monitoring import Monitoring
from agent.collectors.opcua.tags.ration import Ration
from agent.collectors.opcua.tags.reader import ChunkReader
from agent.collectors.opcua.tags.subscription import Subscription
from agent.collectors.opcua.translate import AnswerUndecodable, ServiceRefused, TooLarge
from agent.collectors.opcua.values.decode import Decoder
from agent.collectors.opcua.wire.columns import Columns
from agent.core.clock import Clock
from agent.core.errors import ConnectionLost
from agent.core.flow import Answer
from agent.core.quality import name_of, number_of
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Repeats

log = get_logger("opcua")

_BAD_TIMEOUT = number_of("BadTimeout")
_BAD_TOO_MANY_PUBLISH_REQUESTS = number_of("BadTooManyPublishRequests")
UNSUPPORTED = {number_of(name) for name in ("BadServiceUnsupported", "BadNotImplemented", "BadNotSupported")}
_PAUSE = 1.0  #: seconds until a Publish that was refused is asked again: the session and the other ones stand
_FLOOD = "the server publishes more than was asked for; it is asked less often"
_CALM = 30.0  #: seconds without a flood until it is over
_MOST_TUPLES = 512  #: tuples of tags kept: the normalizer knows a recurring set of tags by its identity


class Publishing:
    """Creates subscriptions and takes what they bring. Its coroutines raise what ends the connection."""

    def __init__(
        self,
        services: Services,
        reader: ChunkReader,
        decoder: Decoder,
        inbox: SampleInbox,
        items: Monitoring,
        clock: Clock,
        plan: ConnectionPlan,
    ) -> None:
        self._services = services
        self._reader = reader
        self._decoder = decoder
        self._inbox = inbox
        self._clock = clock
        self._pace = plan.pace
        self._margin = plan.timeout
        self._device = plan.device
        self._turn = asyncio.Lock()  # notifications are taken one after the other, in the order they came
        self._said = Repeats()
        self._acks: list[tuple[int, int]] = []
        self._tuples: dict[tuple[int, ...], tuple[int, ...]] = {}
        self._publishers = 0
        self.lost = LostNotifications(services, reader, inbox, items, clock, plan.device)
        self.unsupported = False  #: subscriptions can be created, but the server publishes nothing
        self._ration = Ration()
        self._flooded = -math.inf  # when more came than was asked for
        self._overflows = 0
        self._most = MOST_PER_NOTIFICATION
        self.subscriptions: dict[int, Subscription] = {}
        self.on_event: Callable[[int, Sequence[Any]], None] = _nobody
        self.note: Callable[[Answer], None] = items.look_at  #: called with what came
        self.grown: Callable[[], None] = lambda: None  #: called when there is another subscription

    async def create(self, interval: float) -> Subscription:
        """A subscription for tags of this interval."""
        server = await self._services.subscribe(rhythm(interval, self._pace))
        allowed = allowed_silence(server.interval_ms, server.keep_alive, self._margin)
        made = Subscription(server, self._clock.monotonic(), self._clock.now_ms(), allowed)
        self.subscriptions[server.id] = made
        self.grown()
        return made

    async def end(self, subscription: Subscription) -> None:
        """It is of no use. The last one stays: without any a server answers no Publish request."""
        if len(self.subscriptions) > 1:
            del self.subscriptions[subscription.server.id]
            with suppress(ServiceRefused):
                await self._services.unsubscribe(subscription.server.id)

    @property
    def wanted(self) -> int:
        """How many Publish requests should be in flight: one for each subscription, and one on its way."""
        return min(len(self.subscriptions) + 1, 5)

    @property
    def told(self) -> int | None:
        """What happened before this instant (epoch ms) was told to us by every subscription; None without any."""
        return min((each.told for each in self.subscriptions.values()), default=None)

    async def publish(self) -> None:
        """Keep one Publish request in flight, for ever."""
        self._publishers += 1
        while True:
            if self._inbox.full:
                await self._inbox.room()
                self._touch_all()  # it was us who did not ask
            acks, self._acks = self._acks, []
            came = 0
            try:
                notification = await self._services.publish(acks)
            except AnswerUndecodable as error:
                async with self._turn:
                    came = await self._resynchronize(error)
            except TooLarge as error:
                await self._lower(error)
            except ServiceRefused as error:
                if error.code == _BAD_TOO_MANY_PUBLISH_REQUESTS and self._publishers > 1:
                    self._publishers -= 1
                    return
                if error.code in UNSUPPORTED:
                    self.unsupported = True
                    raise ConnectionLost(f"{error.reason}; tags are polled from now on") from error
                self._acks += acks
                self._say_refused(error)
                await self._clock.sleep(_PAUSE)
            else:
                async with self._turn:
                    came = await self._take(notification)
            await self._pause(came)

    async def _pause(self, came: int) -> None:
        """Who floods us is asked less often, and named."""
        now = self._clock.monotonic()
        self._ration.ask(self.subscriptions.values())
        wait = self._ration.came(came, now)
        if wait:
            self._flooded = now
            self._inbox.complain(_FLOOD, "flood")
            self._touch_all(wait)  # it is us who do not ask
            await self._clock.sleep(wait)
        elif now - self._flooded > _CALM:
            self._inbox.complain(None, "flood")

    def _say_refused(self, error: ServiceRefused) -> None:
        """A moment without memory is no reason to leave; where it lasts, the silence of a subscription tells."""
        if error.code == _BAD_TIMEOUT:
            return
        if (repeats := self._said.due(f"publish {error.code}", self._clock.monotonic())) is not None:
            log.warning("opcua.publish_refused", device=self._device, reason=error.reason, repeats=repeats)

    async def _take(self, notification: Notification) -> int:
        """How much it was, in values."""
        subscription = self.subscriptions.get(notification.subscription)
        came = len(notification.handles) + len(notification.events)
        if subscription is None:
            return came
        subscription.heard = self._clock.monotonic()
        if notification.ended:  # a change to Good says nothing
            raise ConnectionLost(f"the server ended the subscription: {name_of(notification.ended)}")
        if subscription.again(notification):
            self._acks.append((notification.subscription, notification.sequence))
            return came
        since = subscription.told
        missing = subscription.follow(notification)
        unknown = await self.lost.republished(subscription, notification, missing, self._deliver) if missing else 0
        await self._deliver(notification)
        subscription.tell(notification.made, self._clock.now_ms())
        if unknown:
            self.lost.declare([subscription], since, f"{unknown} notifications of the server were lost")
            await self.lost.reread([subscription], self._put)
        return came + MOST_PER_NOTIFICATION if missing else came

    async def _deliver(self, notification: Notification) -> None:
        """Hand its values on; more than were asked for in pieces, while there is room, so that the loop can breathe."""
        if notification.empty:
            self._inbox.confirm()
            return
        self._acks.append((notification.subscription, notification.sequence))
        for position, fields in notification.events:
            self.on_event(position, fields)
        handles, values = notification.handles, notification.values
        for start in range(0, len(handles), MOST_PER_NOTIFICATION):
            if start:
                await self._clock.sleep(0)
                await self._inbox.room()
            end = start + MOST_PER_NOTIFICATION
            await self._hand_on(handles[start:end], values.cut(start, end))

    async def _hand_on(self, handles: tuple[int, ...], values: Columns) -> None:
        if max(handles) >= self._decoder.size:
            known = [place for place, handle in enumerate(handles) if handle < self._decoder.size]
            handles, values = tuple(handles[place] for place in known), values.pick(known)
        answer = self._decoder.columns(self._known(handles), values, self._clock.now_ms())
        if self._decoder.changed or self._decoder.doubtful:
            answer = await self._reader.settled(answer.tags, values, answer)
            self._touch_all()  # that may have taken a while
        self._put(answer)
        if self._decoder.overflows > self._overflows:
            self._overflowed()

    def _put(self, answer: Answer) -> None:
        self._inbox.put(answer)
        self.note(answer)

    def _known(self, handles: tuple[int, ...]) -> tuple[int, ...]:
        if len(self._tuples) >= _MOST_TUPLES:
            self._tuples.clear()
        return self._tuples.setdefault(handles, handles)

    # --- what was lost ----------------------------------------------------------------------------------------------

    def _overflowed(self) -> None:
        if not self._overflows:  # once a connection; the count is in the device's notes
            log.warning("opcua.overflow", device=self._device)
        self._overflows = self._decoder.overflows
        for loss in self._decoder.losses():
            self._inbox.lose(loss)

    async def _lower(self, error: TooLarge) -> None:
        """A notification is too large for the server's answer: fewer values in each."""
        if self._most == 1:
            raise error
        self._most = max(1, self._most // 2)
        log.info("opcua.limit_lowered", device=self._device, limit=self._most, reason=error.reason)
        for each in self.subscriptions.values():
            server = each.server
            with suppress(ServiceRefused):
                await self._services.lower(
                    server.id, Rhythm(server.interval_ms, server.keep_alive, server.lifetime), self._most
                )
        await self._clock.sleep(0.1)

    def _touch_all(self, ahead: float = 0.0) -> None:
        now = self._clock.monotonic() + ahead
        for subscription in self.subscriptions.values():
            subscription.heard = now

    async def _resynchronize(self, error: AnswerUndecodable) -> int:
        """A notification is lost to us."""
        self._touch_all()
        told = self.told or self._clock.now_ms()
        await self.lost.undecodable(error, list(self.subscriptions.values()), told, self._put)
        return MOST_PER_NOTIFICATION

    # --- for people -------------------------------------------------------------------------------------------------

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


def _nobody(_position: int, _fields: Sequence[Any]) -> None:
    """Without a subscription to events there are none."""
