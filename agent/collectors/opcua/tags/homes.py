"""Where a tag that is read again and again has its place: a subscription of its group, or the poller.

A server that takes no more items into a subscription gets another one, as long as it allows them; what finds no place
even so is polled, and moves into a subscription as soon as there is one. A server without subscriptions is polled.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from agent.collectors.opcua.plan import ConnectionPace, TagPoint
from agent.collectors.opcua.services import ResolvedNode
from agent.collectors.opcua.tags.monitoring import Monitoring
from agent.collectors.opcua.tags.poller import Poller
from agent.collectors.opcua.tags.publishing import UNSUPPORTED, Publishing
from agent.collectors.opcua.tags.subscription import Subscription
from agent.collectors.opcua.translate import ServiceRefused
from agent.core.clock import Clock
from agent.core.quality import name_of, number_of
from agent.telemetry.logging import get_logger

log = get_logger("opcua")

#: Words for a server, or a subscription, that has no room for more.
_FULL = {
    number_of(name)
    for name in (
        "BadTooManyMonitoredItems", "BadOutOfMemory", "BadResourceUnavailable", "BadLicenseLimitsExceeded",
        "BadTooManyOperations",
    )
}  # fmt: skip
#: The server does not monitor this node, and says nothing of its value.
_UNMONITORED = {
    number_of(name)
    for name in (
        "BadNotSupported", "BadNotImplemented", "BadServiceUnsupported", "BadInternalError", "BadUnexpectedError",
        "BadMonitoringModeInvalid",
    )
}  # fmt: skip
_SELDOM = 20  #: times the usual wait: how seldom a place in a subscription is asked for in the end


class Homes:
    """Of one connection; groups count as in the plan."""

    def __init__(
        self, publishing: Publishing, items: Monitoring, poller: Poller, clock: Clock, device: str, pace: ConnectionPace
    ) -> None:
        self._publishing = publishing
        self._items = items
        self._poller = poller
        self._clock = clock
        self._device = device
        self._intervals: Sequence[float] = ()
        self._groups: list[list[Subscription]] = []
        self._closed: str | None = None  # why there is no other subscription
        self._never = False  # nor will there be
        self._longest = _SELDOM * pace.again
        self._wait = pace.again
        self._next = 0.0
        self.polled: dict[int, tuple[int, ResolvedNode]] = {}  #: group and node of those without a place, by position

    async def begin(self, intervals: Sequence[float], *, publishes: bool = True) -> None:
        """A subscription for each group; a server that has too many of them already has the slower ones share.

        `publishes`: False where the server has shown that it has no Publish service.
        """
        self._intervals = intervals
        if not publishes:
            self._closed, self._never = "the server does not publish", True
        made: dict[float, list[Subscription]] = {}
        for interval in sorted(set(intervals)):
            if self._closed is None and (one := await self._another(interval)) is not None:
                made[interval] = [one]
            elif made:
                made[interval] = made[max(made)]
                count = len(self._publishing.subscriptions)
                log.warning("opcua.subscriptions_merged", device=self._device, count=count)
            else:
                made[interval] = []
        self._groups = [made[interval] for interval in intervals]

    @property
    def subscriptions(self) -> list[Subscription]:
        """All that hold tags, each once."""
        return list(dict.fromkeys(one for group in self._groups for one in group))

    async def monitor(self, number: int, nodes: Sequence[ResolvedNode]) -> list[tuple[TagPoint, int]]:
        """Find places for these tags of a group; those whose node the server refuses come back with its status."""
        refused: list[tuple[TagPoint, int]] = []
        held = {position for one in self.subscriptions for position in one.items}  # by somebody who was quicker
        left = [node for node in nodes if node.point.position not in held]
        for one in self._groups[number]:
            left = await self._into(number, one, left, refused)
        while left and self._closed is None:
            one_more = await self._another(self._intervals[number])
            if one_more is None:
                break
            before = len(left)
            left = await self._into(number, one_more, left, refused)
            if len(left) == before:
                self._closed = "the server takes no more monitored items"
                await self._publishing.end(one_more)
            else:
                self._groups[number].append(one_more)
        if left:
            self._poll(number, left, self._closed)
        return refused

    async def promote(self) -> None:
        """Ask once more for subscriptions for what is polled; less and less often."""
        if not self.polled or self._never or self._clock.monotonic() < self._next:
            return
        self._wait = min(2 * self._wait, self._longest)
        self._next = self._clock.monotonic() + self._wait
        self._closed = None
        for one in self.subscriptions:
            one.full = False
        before, self.polled = self.polled, {}
        groups: dict[int, list[ResolvedNode]] = {}
        for number, node in before.values():
            groups.setdefault(number, []).append(node)
        for number, nodes in groups.items():
            refused = {point.position for point, _ in await self.monitor(number, nodes)}
            self.polled.update(
                {node.point.position: (number, node) for node in nodes if node.point.position in refused}
            )
        moved = before.keys() - self.polled.keys()
        if moved:
            self._poller.remove(moved)
            log.info("opcua.resubscribed", device=self._device, count=len(moved), polled=len(self.polled))

    async def leave(self, positions: Collection[int]) -> None:
        """These tags are read no longer."""
        self._poller.remove(positions)
        for position in positions:
            self.polled.pop(position, None)
        async with self._items.busy:
            for one in self.subscriptions:
                mine = [position for position in positions if position in one.items]
                if mine:
                    await self._items.drop(one, mine)

    def poll(self, position: int, node: ResolvedNode) -> None:
        """No subscription tells the truth about this tag: it is polled as long as the connection stands."""
        number = next(at for at, group in enumerate(self._groups) if any(position in one.nodes for one in group))
        self._poller.add(number, [node])

    async def _another(self, interval: float) -> Subscription | None:
        try:
            return await self._publishing.create(interval)
        except ServiceRefused as error:
            self._closed = error.reason
            self._never = error.code in UNSUPPORTED
            return None

    async def _into(
        self,
        number: int,
        subscription: Subscription,
        nodes: list[ResolvedNode],
        refused: list[tuple[TagPoint, int]],
    ) -> list[ResolvedNode]:
        """Those it has no room for come back; what it does not monitor is polled."""
        if subscription.full or not nodes:
            return nodes
        rejected = dict(await self._items.monitor(subscription, nodes))
        full = {point.position for point, code in rejected.items() if code in _FULL}
        unmonitored = {point.position: code for point, code in rejected.items() if code in _UNMONITORED}
        if unmonitored:
            reason = f"the server does not monitor these nodes: {name_of(next(iter(unmonitored.values())))}"
            self._poll(number, [node for node in nodes if node.point.position in unmonitored], reason)
        refused += [(point, code) for point, code in rejected.items() if code not in _FULL | _UNMONITORED]
        subscription.full = bool(full)
        return [node for node in nodes if node.point.position in full]

    def _poll(self, number: int, nodes: Sequence[ResolvedNode], reason: str | None) -> None:
        before = self._poller.positions
        fresh = [node for node in nodes if node.point.position not in before]
        self.polled.update({node.point.position: (number, node) for node in nodes})
        self._poller.add(number, fresh)
        if fresh:
            log.warning("opcua.polled", device=self._device, count=len(self.polled), reason=reason)
            self._next = self._clock.monotonic() + self._wait
