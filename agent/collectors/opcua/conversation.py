"""One connection from hello to goodbye: what is asked when, and what runs beside.

connected ── namespaces, limits ── subscriptions or poller ── settle(all tags) ── the inbox is the iterator
                                                 beside: publish, watch, pulse, renew, lost, again
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from agent.collectors.opcua.background import Background
from agent.collectors.opcua.decode import Decoder
from agent.collectors.opcua.inbox import Inbox
from agent.collectors.opcua.limits import ChunkLimit
from agent.collectors.opcua.nodes import Missing, resolve
from agent.collectors.opcua.plan import DevicePlan, Point, names_of
from agent.collectors.opcua.poller import Poller
from agent.collectors.opcua.publishing import Publishing, Subscription
from agent.collectors.opcua.reader import Reader
from agent.collectors.opcua.server import Server
from agent.collectors.opcua.services import Node, Services, node_id
from agent.collectors.opcua.session import Connection, connected
from agent.collectors.opcua.times import SourceClock
from agent.core.errors import ConnectionLost
from agent.core.flow import Answer
from agent.core.ports import Site
from agent.core.quality import BAD_DECODING_ERROR, name_of
from agent.telemetry import metrics
from agent.telemetry.logging import get_logger

log = get_logger("opcua")

_SOON = 1 / 32  #: share of the usual wait after which refused nodes are tried for the first time
_RENEW_AT = 0.75  #: share of a security token's life (OPC 10000-4, 5.5.2)


@asynccontextmanager
async def conversation(plan: DevicePlan, site: Site) -> AsyncIterator[Inbox]:
    """What `Collector.open()` promises, for one device."""
    async with (
        connected(
            plan.url,
            agent=plan.agent,
            device=plan.device,
            timeout=plan.timeout,
            session_timeout=plan.pace.session,
            close_within=plan.pace.close,
        ) as connection,
        Background() as background,
    ):
        talk = Conversation(plan, site, connection, background)
        try:
            await talk.begin()
            yield talk.inbox
        finally:
            talk.end()


class Conversation:
    """The parts of one connection, put together."""

    def __init__(self, plan: DevicePlan, site: Site, connection: Connection, background: Background) -> None:
        self._plan, self._site, self._clock = plan, site, site.clock
        self._connection = connection
        self._background = background
        self._services = Services(connection.session, plan.device)
        self._times = SourceClock(
            use=plan.use_source_time,
            utc_offset=plan.utc_offset,
            max_skew=plan.max_skew,
            synced=lambda: site.clock.synced,
        )
        self._decoder = Decoder(plan.size, self._times)
        self.inbox = Inbox(site.clock, self._decoder.news)
        self._server = Server(self._services, site.clock, plan.device)
        self._missing = Missing()
        self._reads = ChunkLimit(None)
        self._items = ChunkLimit(None)
        self._reader = Reader(self._services, self._decoder, self._reads, site.clock, plan.device)
        self._publishing = Publishing(
            self._services, self._reader, self._decoder, self.inbox, self._items, site.clock, plan, self._given_up
        )
        intervals = [group.interval for group in plan.groups if group.interval is not None]
        self._poller = Poller(self._reader, self.inbox, site.clock, plan.device, intervals)
        self._subscriptions: list[Subscription] = []

    # --- begin and end ----------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Learn the server, ask for every tag, start what runs beside. Raises what makes the connection useless."""
        await self._server.learn()
        self._reads.told(self._server.max_nodes_per_read)
        self._items.told(self._server.max_items_per_call)
        log.info("opcua.connected", device=self._plan.device, **self._server.facts())
        self._beside(self._lost, "connection")
        self._beside(self._renew, "channel")
        periodic = [group.interval for group in self._plan.groups if group.interval is not None]
        if self._plan.subscribe:
            self._subscriptions = [await self._publishing.create(interval) for interval in periodic]
            if periodic:
                for number in range(self._publishing.wanted):
                    self._beside(self._publishing.publish, f"publish {number}")
                self._beside(self._publishing.watch, "silence")
        await self._settle(list(self._plan.points.values()))
        if not self._plan.subscribe and periodic:
            self._beside(self._poller.run, "poll")
        self._beside(self._pulse, "pulse")
        self._beside(self._again, "again")
        if self._plan.subscribe:
            active = len(self._plan.points) - len(self._missing)
            log.info("opcua.subscribed", device=self._plan.device, active=active, configured=len(self._plan.points))

    def end(self) -> None:
        """The connection is being left."""
        if self.inbox.error is not None:
            log.warning("opcua.disconnected", device=self._plan.device, reason=str(self.inbox.error))
        self._site.note(self._plan.device, "opcua", None)

    def _beside(self, work: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        self._background.start(self._guarded(work), f"opcua {self._plan.device} {name}")

    async def _guarded(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """A failure of any part is the connection's: the iterator raises it."""
        try:
            await work()
        except Exception as error:  # noqa: BLE001  # raised by the iterator; bugs too
            self.inbox.fail(error)

    # --- what runs beside -------------------------------------------------------------------------------------------

    async def _lost(self) -> None:
        await self._connection.lost()
        raise ConnectionLost("the connection was closed")

    async def _renew(self) -> None:
        while True:
            await self._clock.sleep(self._connection.channel_lifetime * _RENEW_AT)
            await self._connection.renew_channel()

    async def _pulse(self) -> None:
        every = min(self._plan.pace.pulse, self._connection.session_timeout / 3)
        while True:
            await self._server.look()
            self._note()
            await self._clock.sleep(every)

    async def _again(self) -> None:
        """Soon at first: a controller that has just started is still loading its program."""
        wait = self._plan.pace.again * _SOON
        while True:
            await self._clock.sleep(wait)
            wait = min(2 * wait, self._plan.pace.again)
            wanted = [*self._missing.points, *await self._publishing.drop_vanished()]
            if wanted:
                await self._server.read_namespaces()
                await self._settle(wanted)

    # --- tags -------------------------------------------------------------------------------------------------------

    async def _settle(self, points: Sequence[Point]) -> None:
        """Ask the server for these tags; what it refuses is said as bad and tried again later."""
        known, refused = resolve(points, self._server.namespaces)
        nodes = {point.position: Node(point, node_id(point.address, index)) for point, index in known}
        for number, group in enumerate(self._plan.groups):
            mine = [nodes[position] for position in group.positions if position in nodes]
            if not mine:
                continue
            if group.interval is None:
                refused += await self._read_once(mine)
            elif self._plan.subscribe:
                refused += await self._monitor(number, mine)
            else:
                self._poller.add(number, mine)
        self._sort(points, refused)

    async def _monitor(self, number: int, nodes: Sequence[Node]) -> list[tuple[Point, int, str]]:
        """What could not be decoded is read first: monitored too early, it would break its neighbours' messages."""
        doubtful = [node for node in nodes if self._missing.code(node.point) == BAD_DECODING_ERROR]
        still: set[int] = set()
        await self._reader.read(
            self._reader.layout(doubtful),
            lambda answer: still.update(answer.tags if answer.status == BAD_DECODING_ERROR else ()),
        )
        sound = [node for node in nodes if node.point.position not in still]
        rejected = await self._publishing.monitor(self._subscriptions[number], sound)
        return [
            *((point, code, "the server refuses to monitor this node") for point, code in rejected),
            *((node.point, BAD_DECODING_ERROR, "") for node in nodes if node.point.position in still),
        ]

    def _given_up(self, broken: Sequence[tuple[Point, int, str]]) -> None:
        self._sort((), broken)

    async def _read_once(self, nodes: Sequence[Node]) -> list[tuple[Point, int, str]]:
        """Read; the good values are handed on, the bad ones come back."""
        bad: list[tuple[Point, int, str]] = []

        def sort(answer: Answer) -> None:
            if answer.status == 0:
                self.inbox.put(answer)
                return
            for at, position in enumerate(answer.tags):
                code = answer.status if isinstance(answer.status, int) else answer.status[at]
                one = (position,)
                if code & 0x80000000:
                    reason = answer.reason if isinstance(answer.reason, str) else (answer.reason or {}).get(at)
                    bad.append((self._plan.points[position], code, reason or "the server has no value"))
                else:
                    src = None if answer.src is None else [answer.src[at]]
                    self.inbox.put(Answer(one, [answer.values[at]], answer.ts, [code], src))

        await self._reader.read(self._reader.layout(nodes), sort)
        return bad

    def _sort(self, asked: Iterable[Point], refused: Sequence[tuple[Point, int, str]]) -> None:
        """Keep the books of what is missing, and say what changed."""
        device = self._plan.device
        gone = {point.position for point, _, _ in refused}
        back = self._missing.found([point for point in asked if point.position not in gone])
        if back:
            log.info("opcua.items_recovered", device=device, count=len(back), tags=names_of(back))
        for _, code, _ in refused:
            metrics.READ_ERRORS.labels(device, name_of(code)).inc()
        answer = self._missing.add(refused, self._clock.now_ms())
        if answer is not None:
            news = [self._plan.points[position] for position in answer.tags]
            log.warning("opcua.items_rejected", device=device, count=len(news), tags=names_of(news))
            self.inbox.put(answer)
        self._note()

    def _note(self) -> None:
        missing = self._missing.points
        self._site.note(
            self._plan.device,
            "opcua",
            {
                "mode": "subscribe" if self._plan.subscribe else "poll",
                **self._server.facts(),
                "chunk_read": self._reads.size,
                "chunk_monitor": self._items.size,
                "configured": len(self._plan.points),
                "active": len(self._plan.points) - len(missing),
                "rejected": names_of(missing),
                "subscriptions": self._publishing.facts(),
                "overflows": self._decoder.overflows,
                "source_times_refused": self._times.refused,
                "source_ahead_ms": self._times.ahead_ms,
            },
        )
