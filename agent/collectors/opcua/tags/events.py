"""Events and alarms of a server's notifiers as readings: one tag each, a dict each (OPC 10000-4, 7.22.3; OPC 10000-9).

    {"type": .., "source": .., "time": .., "severity": 500, "message": .., "condition": .., "active": true, ...}

Before anything has happened the tag is `{}`, GoodNoData: listened to, nothing came. What a server repeats after a
reconnect (ConditionRefresh) is said only where it was not said before.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from asyncua import ua
from asyncua.client.ua_session import UaSession
from asyncua.ua.attribute_ids import AttributeIds

from agent.collectors.opcua.address.namespaces import Namespaces
from agent.collectors.opcua.address.nodeid import NodeAddress
from agent.collectors.opcua.inbox import SampleInbox
from agent.collectors.opcua.past import Past
from agent.collectors.opcua.plan import Notifier
from agent.collectors.opcua.services import node_id
from agent.collectors.opcua.tags.subscription import Subscription
from agent.collectors.opcua.translate import AnswerUndecodable, ServiceRefused, translated
from agent.collectors.opcua.values.times import SourceClock
from agent.collectors.opcua.values.values import BadPartError, DoubtfulError, UnsupportedError, convert
from agent.core.clock import Clock
from agent.core.flow import Answer, Loss
from agent.core.quality import BAD_NODE_ID_UNKNOWN, name_of, number_of
from agent.telemetry import metrics
from agent.telemetry.logging import get_logger

log = get_logger("opcua")

_BASE, _CONDITION, _ACKNOWLEDGEABLE, _ALARM = 2041, 2782, 2881, 2915  #: types of the standard
_FIELDS: tuple[tuple[str, int, tuple[str, ...]], ...] = (
    ("id", _BASE, ("EventId",)),
    ("type", _BASE, ("EventType",)),
    ("source", _BASE, ("SourceName",)),
    ("time", _BASE, ("Time",)),
    ("severity", _BASE, ("Severity",)),
    ("message", _BASE, ("Message",)),
    ("condition", _CONDITION, ("ConditionName",)),
    ("retain", _CONDITION, ("Retain",)),
    ("enabled", _CONDITION, ("EnabledState", "Id")),
    ("acked", _ACKNOWLEDGEABLE, ("AckedState", "Id")),
    ("confirmed", _ACKNOWLEDGEABLE, ("ConfirmedState", "Id")),
    ("active", _ALARM, ("ActiveState", "Id")),
)
_PLAIN = 6  #: the first of them every event has
_QUEUE = 1000
_OVERFLOWED = node_id(NodeAddress(0, 3035), 0)  #: EventQueueOverflowEventType
_REFRESH = (
    node_id(NodeAddress(0, 2787), 0),
    node_id(NodeAddress(0, 2788), 0),
)  #: RefreshStartEventType, RefreshEndEventType
_BAD = 0x80000000
_GOOD_NO_DATA = number_of("GoodNoData")


class EventNotifiers:
    """The notifiers of one connection."""

    def __init__(
        self, session: UaSession, device: str, notifiers: Sequence[Notifier], inbox: SampleInbox, times: SourceClock,
        clock: Clock, past: Past,
    ) -> None:  # fmt: skip
        self._session = session
        self._device = device
        self._inbox = inbox
        self._times = times
        self._clock = clock
        self._said = past.events
        self._meanings = past.memory.meanings
        self._waiting = {notifier.position: notifier for notifier in notifiers}
        self._wanted = dict(self._waiting)
        self._codes: dict[int, int] = {}
        self._subscription: Subscription | None = None
        self._heard: dict[int, int] = {}  #: when each was heard of last, epoch ms: what a queue lost came later
        self._requests = metrics.REQUESTS.labels(device)

    async def listen(
        self, create: Callable[[float], Awaitable[Subscription]], interval: float, namespaces: Namespaces
    ) -> None:
        """Listen to those that are not listened to yet, on a subscription of their own."""
        if self._subscription is None:
            try:
                self._subscription = await create(interval)
            except ServiceRefused as error:
                for position in self._waiting:
                    self._refused(position, error.code)
                return
            self._subscription.events = tuple(self._waiting)
        await self.settle(self._subscription, namespaces)

    def _refused(self, position: int, code: int, reason: str = "the server refuses to tell its events") -> None:
        if self._codes.get(position) != code:
            self._codes[position] = code
            self._say(position, None, code, reason)

    async def settle(self, subscription: Subscription, namespaces: Namespaces) -> None:
        """Listen to those that are not listened to yet; what the server refuses is bad, and tried again."""
        listening = False
        for position, notifier in list(self._waiting.items()):
            index = notifier.address.index_in(namespaces)
            if index is None:
                self._refused(position, BAD_NODE_ID_UNKNOWN, namespaces.trouble(notifier.address.namespace))
                continue
            code = await self._listen(subscription, position, node_id(notifier.address, index))
            if code >= _BAD:
                self._refused(position, code)
                continue
            self._meanings.read.update(notifier.address.indexes)
            del self._waiting[position]
            listening = True
            self._heard[position] = self._clock.now_ms()
            self._say(position, {}, _GOOD_NO_DATA)
        if listening:
            await self._refresh(subscription)

    async def _listen(self, subscription: Subscription, position: int, node: ua.NodeId) -> int:
        code = 0
        for fields in (_FIELDS, _FIELDS[:_PLAIN]):  # a server without alarms may refuse to select their fields
            item = ua.MonitoredItemCreateRequest()
            item.ItemToMonitor = ua.ReadValueId(NodeId=node, AttributeId=AttributeIds.EventNotifier)
            item.MonitoringMode = ua.MonitoringMode.Reporting
            item.RequestedParameters = ua.MonitoringParameters(
                ClientHandle=position,
                SamplingInterval=0.0,
                Filter=ua.EventFilter(SelectClauses=[_operand(kind, path) for _, kind, path in fields]),
                QueueSize=_QUEUE,
                DiscardOldest=True,
            )
            request = ua.CreateMonitoredItemsParameters()
            request.SubscriptionId = subscription.server.id
            request.TimestampsToReturn = ua.TimestampsToReturn.Neither
            request.ItemsToCreate = [item]
            self._requests.inc()
            try:
                with translated("listening to events"):
                    (result,) = await self._session.create_monitored_items(request)
                code = int(result.StatusCode.value)
            except ServiceRefused as error:
                code = error.code
            if code < _BAD:
                return 0
        return code

    async def _refresh(self, subscription: Subscription) -> None:
        """Ask for the conditions that stand (ConditionRefresh, which changes nothing); not every server has any."""
        request = ua.CallMethodRequest()
        request.ObjectId, request.MethodId = _standard(_CONDITION), _standard(3875)
        request.InputArguments = [ua.Variant(subscription.server.id, ua.VariantType.UInt32)]
        self._requests.inc()
        try:
            with translated("asking for conditions"):
                await self._session.call([request])
        except (ServiceRefused, AnswerUndecodable) as error:
            log.debug("opcua.no_conditions", device=self._device, reason=error.reason)

    def take(self, position: int, fields: Sequence[Any]) -> None:
        """One event."""
        notifier = self._wanted.get(position)
        if notifier is None:
            return
        values = {name: variant for (name, _, _), variant in zip(_FIELDS, fields, strict=False)}
        now = self._clock.now_ms()
        kind = getattr(values.get("type"), "Value", None)
        if kind == _OVERFLOWED:
            since = self._heard.get(position, now)
            self._inbox.lose(Loss(min(since, now), now, "the server's queue of events overflowed", (position,)))
            return
        self._heard[position] = now
        if kind in _REFRESH or int(getattr(values.get("severity"), "Value", None) or 0) < notifier.min_severity:
            return
        number = getattr(values.pop("id", None), "Value", None)
        if number is not None and not self._news((position, bytes(number))):
            return
        source = getattr(values.get("time"), "Value", None)
        value = {name: made for name, variant in values.items() if (made := _plain(variant)) is not None}
        if number is not None:
            value["id"] = base64.b64encode(bytes(number)).decode("ascii")
        self._say(position, value, 0, None, source)

    def _news(self, key: tuple[int, bytes]) -> bool:
        if key in self._said:
            return False
        self._said[key] = None
        while len(self._said) > _QUEUE:
            del self._said[next(iter(self._said))]
        return True

    def _say(self, position: int, value: object, status: int, reason: str | None = None, source: Any = None) -> None:
        if status >= _BAD:
            log.warning("opcua.items_rejected", device=self._device, count=1, reason=name_of(status))
        now = self._clock.now_ms()
        stamp = None if source is None else self._times.judge(source, now)
        doubt = self._times.shown(source, now) if source is not None and stamp is None else None
        self._inbox.put(
            Answer(
                tags=(position,),
                values=[value],
                ts=now,
                status=status,
                src=None if stamp is None else [stamp],
                reason=reason,
                doubted=None if doubt is None else [doubt],
            )
        )


def _standard(number: int) -> ua.NodeId:
    return node_id(NodeAddress(0, number), 0)


def _operand(kind: int, path: Sequence[str]) -> ua.SimpleAttributeOperand:
    return ua.SimpleAttributeOperand(
        TypeDefinitionId=_standard(kind),
        BrowsePath=[ua.QualifiedName(name, 0) for name in path],
        AttributeId=AttributeIds.Value,
    )


def _plain(variant: Any) -> object:
    """A field as it can be carried; None where it has no value."""
    if variant is None or variant.VariantType is None:
        return None
    try:
        return convert(variant.VariantType.value, bool(variant.is_array), variant.Value)
    except DoubtfulError as doubtful:
        return doubtful.value
    except (BadPartError, UnsupportedError):
        return None
