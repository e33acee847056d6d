"""The services a collector uses, over one connection: read, subscribe, publish. Nothing here can write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds

from agent.collectors.opcua.address.nodeid import NodeAddress
from agent.collectors.opcua.floors import PUBLISHING, count, period
from agent.collectors.opcua.notification import Notification, decoded_notification, plain_notification
from agent.collectors.opcua.plan import Rhythm, TagPoint
from agent.collectors.opcua.translate import AnswerUndecodable, ServiceRefused, translated
from agent.collectors.opcua.values import exact
from agent.collectors.opcua.wire.columns import Columns
from agent.collectors.opcua.wire.session import BoundedSession, Encoded, Heard
from agent.telemetry import metrics

exact.install()

NAMESPACE_ARRAY = NodeAddress(0, 2255)
SERVER_STATE = NodeAddress(0, 2259)
SERVICE_LEVEL = NodeAddress(0, 2267)
CURRENT_TIME = NodeAddress(0, 2258)
SERVER_ARRAY = NodeAddress(0, 2254)
BUILD_INFO = (NodeAddress(0, 2261), NodeAddress(0, 2263), NodeAddress(0, 2262))  #: product, manufacturer, product URI
MAX_NODES_PER_BROWSE = NodeAddress(0, 11710)
MAX_NODES_PER_HISTORY_READ = NodeAddress(0, 12165)
MAX_NODES_PER_READ = NodeAddress(0, 11705)
MAX_ITEMS_PER_CALL = NodeAddress(0, 11714)

_SERVER, _GET_MONITORED_ITEMS = ua.NodeId(2253), ua.NodeId(11492)  # type: ignore[arg-type]
MOST_PER_NOTIFICATION = 1000  #: decoded in one go while nothing else runs


class ResolvedNode(NamedTuple):
    """A point as this connection knows it."""

    point: TagPoint
    node_id: ua.NodeId

    def published(self, interval_ms: float) -> ResolvedNode:
        """See there."""
        point = self.point.published(interval_ms)
        return self if point is self.point else ResolvedNode(point, self.node_id)


class Subscribed(NamedTuple):
    """A subscription as the server revised it."""

    id: int
    interval_ms: float
    keep_alive: int
    lifetime: int


class Monitored(NamedTuple):
    """A monitored item as the server made it; `code` says why it did not."""

    code: int
    item: int = 0
    sampling_ms: float = 0.0
    queue_size: int = 1


def node_id(address: NodeAddress, index: int) -> ua.NodeId:
    """The library's node id for a namespace index of this connection."""
    return ua.NodeId(address.identifier, index)  # type: ignore[arg-type]  # plain values are what it takes


def path_of(start: int, names: Sequence[tuple[int, str]]) -> tuple[ua.NodeId, list[ua.QualifiedName]]:
    """The library's view of a browse path from a node of the standard."""
    return ua.NodeId(start), [ua.QualifiedName(name, index) for index, name in names]  # type: ignore[arg-type]


class Services:
    """Requests of one device over one session; every error is ours (see `translate`)."""

    def __init__(self, session: BoundedSession, device: str) -> None:
        self._session = session
        self._requests = metrics.REQUESTS.labels(device)

    def encode(self, nodes: Sequence[ResolvedNode]) -> Encoded:
        """A Read of these, for :meth:`values`."""
        return self._session.encode([_value_of(node) for node in nodes])

    async def values(self, request: Encoded) -> Columns:
        """Value and source time of each node, as :meth:`read`, but straight into columns."""
        self._requests.inc()
        with translated("reading"):
            return await self._session.values(request)

    async def read(self, nodes: Sequence[ua.ReadValueId | ua.NodeId], doing: str = "reading") -> list[ua.DataValue]:
        """Value and source time of each node. Raises TooLarge, AnswerUndecodable, ServiceRefused, ConnectionLost."""
        request = ua.ReadParameters()
        request.MaxAge = 0
        request.TimestampsToReturn = ua.TimestampsToReturn.Source
        request.NodesToRead = [
            node if isinstance(node, ua.ReadValueId) else ua.ReadValueId(NodeId=node, AttributeId=AttributeIds.Value)
            for node in nodes
        ]
        self._requests.inc()
        with translated(doing):
            results = await self._session.read(request)
            if len(results or ()) != len(nodes):
                raise AnswerUndecodable(f"{doing}: {len(results or ())} answers for {len(nodes)} nodes")
        return list(results)

    async def subscribe(self, wanted: Rhythm) -> Subscribed:
        """CreateSubscription."""
        request = ua.CreateSubscriptionParameters()
        request.RequestedPublishingInterval = wanted.interval_ms
        request.RequestedMaxKeepAliveCount = wanted.keep_alive
        request.RequestedLifetimeCount = wanted.lifetime
        request.MaxNotificationsPerPublish = MOST_PER_NOTIFICATION
        request.PublishingEnabled = True
        request.Priority = 0
        self._requests.inc()
        with translated("creating a subscription"):
            result = await self._session.create_subscription(request, _nobody)
        interval = period(float(result.RevisedPublishingInterval) / 1000, wanted.interval_ms / 1000, PUBLISHING)
        return Subscribed(
            result.SubscriptionId,
            interval * 1000,
            count(result.RevisedMaxKeepAliveCount, wanted.keep_alive),
            count(result.RevisedLifetimeCount, wanted.lifetime),
        )

    async def lower(self, subscription: int, wanted: Rhythm, most: int) -> None:
        """ModifySubscription: fewer values in a notification, everything else as it was."""
        request = ua.ModifySubscriptionParameters()
        request.SubscriptionId = subscription
        request.RequestedPublishingInterval = wanted.interval_ms
        request.RequestedMaxKeepAliveCount = wanted.keep_alive
        request.RequestedLifetimeCount = wanted.lifetime
        request.MaxNotificationsPerPublish = most
        request.Priority = 0
        self._requests.inc()
        with translated("modifying a subscription"):
            await self._session.update_subscription(request)

    async def monitor(self, subscription: int, nodes: Sequence[ResolvedNode]) -> list[Monitored]:
        """CreateMonitoredItems, one for each node. Source times only: the library misreads the others."""
        request = ua.CreateMonitoredItemsParameters()
        request.SubscriptionId = subscription
        request.TimestampsToReturn = ua.TimestampsToReturn.Source
        request.ItemsToCreate = [_item(node) for node in nodes]
        self._requests.inc()
        with translated("creating monitored items"):
            results = await self._session.create_monitored_items(request)
            if len(results or ()) != len(nodes):
                raise AnswerUndecodable(f"{len(results or ())} answers for {len(nodes)} monitored items")
        return [
            Monitored(
                0 if result.StatusCode is None else int(result.StatusCode.value),
                int(result.MonitoredItemId),
                float(result.RevisedSamplingInterval),
                count(int(result.RevisedQueueSize), node.point.queue_size),
            )
            for node, result in zip(nodes, results, strict=True)
        ]

    async def monitored(self, subscription: int) -> list[tuple[int, int]] | None:
        """GetMonitoredItems (OPC 10000-5, 9.1), which changes nothing: (item id, client handle) of each.

        None where the server does not tell: it lacks the method, or the Call service as such.
        """
        request = ua.CallMethodRequest()
        request.ObjectId, request.MethodId = _SERVER, _GET_MONITORED_ITEMS
        request.InputArguments = [ua.Variant(subscription, ua.VariantType.UInt32)]
        self._requests.inc()
        try:
            with translated("asking what is monitored"):
                results = await self._session.call([request])
        except ServiceRefused:
            return None
        if not results or results[0].StatusCode.value >= 0x40000000 or len(results[0].OutputArguments or ()) < 2:
            return None
        items, handles = (argument.Value for argument in results[0].OutputArguments[:2])
        if not _are_numbers(items) or not _are_numbers(handles):
            return None
        return list(zip(items or (), handles or (), strict=False))

    async def lives(self, subscription: int, items: Sequence[int]) -> list[bool] | None:
        """Whether these items are there. Asked by SetMonitoringMode with the mode they have; None: it does not tell."""
        request = ua.SetMonitoringModeParameters()
        request.SubscriptionId = subscription
        request.MonitoringMode = ua.MonitoringMode.Reporting
        request.MonitoredItemIds = list(items)
        self._requests.inc()
        try:
            with translated("asking whether items are there"):
                results = await self._session.set_monitoring_mode(request)
        except (ServiceRefused, AnswerUndecodable):
            return None
        return [result.value < 0x80000000 for result in results] if len(results or ()) == len(items) else None

    async def unsubscribe(self, subscription: int) -> None:
        """DeleteSubscriptions, of one that was created here."""
        self._requests.inc()
        with translated("deleting a subscription"):
            await self._session.delete_subscriptions([subscription])

    async def forget(self, subscription: int, items: Sequence[int]) -> None:
        """DeleteMonitoredItems; those the server does not know are gone already."""
        request = ua.DeleteMonitoredItemsParameters()
        request.SubscriptionId = subscription
        request.MonitoredItemIds = list(items)
        self._requests.inc()
        with translated("deleting monitored items"):
            await self._session.delete_monitored_items(request)

    async def publish(self, acknowledge: Sequence[tuple[int, int]]) -> Notification:
        """One Publish request: waits as long as the server has nothing to say."""
        acks = [ua.SubscriptionAcknowledgement(SubscriptionId=sub, SequenceNumber=seq) for sub, seq in acknowledge]
        self._requests.inc()
        with translated("publishing"):
            heard = await self._session.notification(acks)
            if isinstance(heard, Heard):
                return plain_notification(heard)
            return decoded_notification(heard.Parameters.SubscriptionId, heard.Parameters.NotificationMessage)

    async def republish(self, subscription: int, sequence: int) -> Notification:
        """Republish: a notification sent before. Raises ServiceRefused where the server does not have it any more."""
        self._requests.inc()
        with translated("asking for a notification again"):
            return decoded_notification(subscription, await self._session.republish(subscription, sequence))


async def _nobody(_result: ua.PublishResult) -> None:
    """Callback the library wants; its publish loop never runs."""


def _are_numbers(value: Any) -> bool:
    """An array of whole numbers, as the method has it; or null."""
    return value is None or (isinstance(value, list) and all(isinstance(each, int) for each in value))


def _value_of(node: ResolvedNode) -> ua.ReadValueId:
    asked = ua.ReadValueId(NodeId=node.node_id, AttributeId=AttributeIds.Value)
    if node.point.index_range is not None:
        asked.IndexRange = node.point.index_range.text
    return asked


def _item(node: ResolvedNode) -> ua.MonitoredItemCreateRequest:
    parameters = ua.MonitoringParameters()
    parameters.ClientHandle = node.point.position
    parameters.SamplingInterval = node.point.sampling_ms
    parameters.QueueSize = node.point.queue_size
    parameters.DiscardOldest = node.point.discard_oldest
    if (wanted := node.point.filter) is not None:
        parameters.Filter = ua.DataChangeFilter(
            Trigger=ua.DataChangeTrigger(wanted.trigger),
            DeadbandType=wanted.kind,
            DeadbandValue=wanted.deadband,
        )
    item = ua.MonitoredItemCreateRequest()
    item.ItemToMonitor = _value_of(node)
    item.MonitoringMode = ua.MonitoringMode.Reporting
    item.RequestedParameters = parameters
    return item
