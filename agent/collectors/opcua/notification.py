"""What one answer to a Publish request brings, in the two forms it is decoded in. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from asyncua import ua

from agent.collectors.opcua.values.times import NOT_BEFORE_MS, ticks_ms
from agent.collectors.opcua.wire.columns import Columns
from agent.collectors.opcua.wire.session import Heard
from agent.collectors.opcua.wire.slow import columns_of, ticks_of


class Notification(NamedTuple):
    """One answer to a Publish request. Without `handles` and `ended` it is a keep-alive."""

    subscription: int
    sequence: int
    handles: tuple[int, ...]  #: client handles: positions of tags
    values: Columns  #: one row for each handle
    ended: int | None = None  #: status of a subscription the server gave up; 0: it says that all is well
    events: Sequence[tuple[int, Sequence[Any]]] = ()  #: client handle and fields of each
    empty: bool = True  #: a keep-alive: its sequence number is the next one's
    made: int | None = None  #: when, by the server's clock, epoch ms; None where that cannot be a time


def plain_notification(heard: Heard) -> Notification:
    """Of an answer that was read straight into columns."""
    return Notification(
        heard.subscription,
        heard.sequence,
        heard.handles,
        heard.columns or columns_of(()),
        empty=heard.columns is None,
        made=_made(heard.made),
    )


def decoded_notification(subscription: int, message: ua.NotificationMessage) -> Notification:
    """Of an answer that the library decoded."""
    data = message.NotificationData or ()
    handles: list[int] = []
    values: list[Any] = []
    events: list[tuple[int, Sequence[Any]]] = []
    ended: int | None = None
    for part in data:
        if isinstance(part, ua.DataChangeNotification):
            for item in part.MonitoredItems or ():
                handles.append(item.ClientHandle)
                values.append(item.Value)
        elif isinstance(part, ua.EventNotificationList):
            events += [(event.ClientHandle, event.EventFields or ()) for event in part.Events or ()]
        elif isinstance(part, ua.StatusChangeNotification):
            ended = part.Status.value
    return Notification(
        subscription,
        message.SequenceNumber,
        tuple(handles),
        columns_of(values),
        ended=ended,
        events=events,
        empty=not data,
        made=_made(ticks_of(message.PublishTime)),
    )


def _made(ticks: int) -> int | None:
    made = ticks_ms(ticks)
    return made if made >= NOT_BEFORE_MS else None
