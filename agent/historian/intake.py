"""What the brokers deliver, until it is committed: bounded in bytes; what is beyond waits at the broker.

A message is acknowledged to the connection it came by, after the commit, in the order it came. Where that connection is
gone the broker sends it again, and the ledger knows it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from msgspec import Struct

from agent.consumer.source import uncovered
from agent.consumer.subscriber import Subscriber, Terms
from agent.core.clock import Clock
from agent.core.flow import Incoming, Message
from agent.historian.config import SourceConfig
from agent.historian.contents import SourceMessage
from agent.historian.standing import PartStanding
from agent.publishers.mqtt.access import Server
from agent.publishers.mqtt.client import Connection
from agent.publishers.mqtt.oversize import Oversize
from agent.telemetry import metrics
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Repeats

#: Payload bytes that wait for their commit; beyond, connections are not read.
MOST_BYTES = 2 << 20
#: Messages the broker may send before one is acknowledged (MQTT 5).
RECEIVE_MAXIMUM = 200
#: Bytes and messages of one transaction.
BATCH_BYTES, BATCH_MESSAGES = 1 << 20, 64
#: Levels below the root at which status and catalogue are listened to apart from the group.
_DEPTHS = range(1, 9)

log = get_logger("historian")


class PendingMessage(Struct):
    """A message and how it is acknowledged."""

    message: SourceMessage
    connection: Connection
    mid: int

    def done(self) -> None:
        """It is committed, or will never be."""
        self.connection.acknowledge(self.mid)


class Inbox:
    """Of all sources together, in the order of arrival."""

    def __init__(self) -> None:
        self._waiting: deque[PendingMessage] = deque()
        self._bytes = 0
        self._news = asyncio.Event()
        self._held: set[Connection] = set()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, delivery: PendingMessage) -> None:
        """One more; its connection is not read where there are too many."""
        self._waiting.append(delivery)
        self._bytes += len(delivery.message.payload)
        if self._bytes > MOST_BYTES:
            self._held.add(delivery.connection)
            delivery.connection.hold(True)
        self._news.set()

    def forget(self, connection: Connection) -> None:
        """The connection is gone: what came by it comes again, unless the broker has forgotten us.

        So it is kept, as long as there is room: once more is no harm. At QoS 0 nothing comes again.
        """
        self._held.discard(connection)
        if self._bytes <= MOST_BYTES // 2:
            return
        kept = [one for one in self._waiting if one.connection is not connection or not one.mid]
        self._waiting = deque(kept)
        self._bytes = sum(len(one.message.payload) for one in kept)
        self._release()

    def admit(self, connection: Connection) -> None:
        """A new connection is not read either while there is too much."""
        if self._bytes > MOST_BYTES:
            self._held.add(connection)
            connection.hold(True)

    async def take(self) -> list[PendingMessage]:
        """What makes one transaction: all there is, within its bounds."""
        while not self._waiting:
            self._news.clear()
            await self._news.wait()
        taken: list[PendingMessage] = []
        size = 0
        while self._waiting and len(taken) < BATCH_MESSAGES and (not taken or size < BATCH_BYTES):
            delivery = self._waiting.popleft()
            size += len(delivery.message.payload)
            taken.append(delivery)
        self._bytes -= size
        self._release()
        return taken

    def _release(self) -> None:
        """Read again where there is room."""
        if self._held and self._bytes <= MOST_BYTES // 2:
            for connection in self._held:
                connection.hold(False)
            self._held.clear()


class SourceIntake(PartStanding):
    """One entry under `sources:`; see `agent.consumer.subscriber.Keeper`."""

    def __init__(
        self, name: str, config: SourceConfig, identity: str, *, group: str | None, inbox: Inbox, clock: Clock,
        began: Callable[[str], None], ended: Callable[[str], None],
    ) -> None:  # fmt: skip
        super().__init__(clock, "not connected yet")
        self.name = name
        self.root = config.root
        self.where = ", ".join(config.hosts())
        self.terms = Terms(
            identity=config.client_id or f"{identity}-{name}-historian",
            version=config.version if group is None else "5",
            keep_alive=config.keep_alive,
            connect_timeout=config.connect_timeout,
            session_expiry=max(1, round(config.session_expiry)),
            max_incoming=config.max_incoming_bytes,
            receive_maximum=RECEIVE_MAXIMUM,
        )
        self._inbox = inbox
        self._began = began
        self._ended = ended
        self._repeats = Repeats()
        self._standing: dict[str, Connection] = {}
        self._up = metrics.HISTORIAN_SOURCE_UP.labels(name)
        self._up.set(0)
        topics = filters(config.filters(), config.root, group)
        self.subscriber = Subscriber(config.access(), topics, _unused, clock=clock, keeper=self)

    def stands(self, server: Server, connection: Connection, *, resumed: bool) -> None:
        self._standing[server.name] = connection
        self._inbox.admit(connection)
        self._repeats = Repeats()
        self.reason = None
        self._up.set(1)
        log.info("historian.source_online", source=self.name, broker=server.name, resumed=resumed)
        self._began(self.name)

    def gone(self, server: Server, reason: str) -> None:
        lost = self._standing.pop(server.name, None)
        if lost is not None:
            self._inbox.forget(lost)
        if not self._standing:
            self.reason = reason
            self._up.set(0)
            self._ended(self.name)
        if (repeats := self._repeats.due((server.name, reason), self._clock.monotonic())) is not None:
            log.warning(
                "historian.source_offline", source=self.name, broker=server.name, reason=reason, repeats=repeats
            )

    def delivered(self, connection: Connection, incoming: Incoming) -> None:
        message = SourceMessage(
            self.name, self.root, incoming.topic, incoming.payload, incoming.retain, self._clock.now_ms()
        )
        self._inbox.put(PendingMessage(message, connection, incoming.mid))

    def oversized(self, found: Oversize) -> None:
        metrics.HISTORIAN_REFUSED.labels("too_large").inc()
        if (repeats := self._repeats.due(("oversized", found.topic), self._clock.monotonic())) is not None:
            log.warning("mqtt.incoming_too_large", topic=found.topic[:200], bytes=found.size, repeats=repeats)

    def publish(self, topic: str, payload: bytes) -> bool:
        """Send one message at every broker of the source; whether there was one."""
        for connection in self._standing.values():
            connection.say(Message(topic=topic, payload=payload))
        return bool(self._standing)


def filters(topics: Sequence[str], root: str, group: str | None) -> list[str]:
    """What to subscribe to. A shared subscription brings no retained message: these are listened to by every member."""
    topics = uncovered(topics)  # a broker may deliver once for each filter that matches
    if group is None:
        return topics
    shared = [f"$share/{group}/{topic}" for topic in topics]
    levels = ["/".join(["+"] * depth) for depth in _DEPTHS]
    own = [f"{root}/{level}/{kind}" for level in levels for kind in ("status", "tags", "tags/+")]
    return [*shared, *own, f"{root}/agents/+/streams/+"]


def _unused(topic: str, payload: bytes, *, retained: bool) -> None:
    """A keeper takes everything."""
