"""One connection from Hello to close: what is asked when, and what runs beside.

connected ── namespaces, limits ── subscriptions or poller ── settle(all tags) ── the inbox is the iterator
                                                 beside: publish, watch, pulse, renew, lost, again
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from agent.collectors.common.background import Background
from agent.collectors.common.choice import elsewhere_next
from agent.collectors.opcua.address.namespaces import Moved
from agent.collectors.opcua.connect.channel import Times
from agent.collectors.opcua.connect.session import SessionConnection, connected
from agent.collectors.opcua.explore import Explorer
from agent.collectors.opcua.history.backfill import VALUES, Backfill
from agent.collectors.opcua.history.history import HistoryReader
from agent.collectors.opcua.history.keeping import HistoryKeeper, keeping
from agent.collectors.opcua.inbox import SampleInbox
from agent.collectors.opcua.past import Past
from agent.collectors.opcua.plan import ConnectionPlan, names_of
from agent.collectors.opcua.pulse import ServerPulse
from agent.collectors.opcua.retag import Renumbering, TagChange
from agent.collectors.opcua.server import ServerFacts
from agent.collectors.opcua.services import Services
from agent.collectors.opcua.tags.confirming import Confirming
from agent.collectors.opcua.tags.events import EventNotifiers
from agent.collectors.opcua.tags.homes import Homes
from agent.collectors.opcua.tags.meaning import Meaning
from agent.collectors.opcua.tags.monitoring import Monitoring
from agent.collectors.opcua.tags.poller import Poller
from agent.collectors.opcua.tags.publishing import Publishing
from agent.collectors.opcua.tags.reader import ChunkReader
from agent.collectors.opcua.tags.selection import Browsing, extended
from agent.collectors.opcua.tags.settling import Settling
from agent.collectors.opcua.trust.guard import TrustGuard
from agent.collectors.opcua.types.types import Types
from agent.collectors.opcua.upkeep import Upkeep
from agent.collectors.opcua.values.decode import Decoder
from agent.collectors.opcua.values.times import SourceClock
from agent.core.flow import Answer, Loss, Sample
from agent.core.ports import BuildContext
from agent.telemetry.logging import get_logger

log = get_logger("opcua")

_ONE_LOST, _MOMENT = 2.0, 0.5  #: seconds: of two acknowledgements one may be lost, and the other take its time


@asynccontextmanager
async def conversation(
    plan: ConnectionPlan, context: BuildContext, past: Past, guard: TrustGuard
) -> AsyncIterator[Conversation]:
    """What `Collector.open()` promises, for one device; `past` goes from one connection to the next."""
    async with (
        keeping(plan, context, past) as keeper,
        elsewhere_next(past.choice, context.clock),
        connected(
            past.ways[past.choice.server],
            guard,
            f"{plan.agent}/{plan.device}",
            Times(plan.timeout, plan.pace.session, plan.pace.channel, plan.pace.close, plan.pace.call),
            plan.limits,
        ) as connection,
        Background() as background,
    ):
        server = ServerFacts(Services(connection.session, plan.device), context.clock, plan.device, past)
        await past.memory.recall(plan, context)
        await server.learn()
        past.heed(server.limits)
        talk = Conversation(plan, context, past, keeper, connection, background, server)
        past.announce(talk.inbox, plan.size)
        try:
            await talk.begin()
            background.start(guard.watch(), f"opcua {plan.device} certificates")
            background.start(talk.guarded(guard.attend), f"opcua {plan.device} trust")
            yield talk
        finally:
            talk.end()
            await keeper.end()


class Conversation:
    """The parts of one connection, put together; iterates over its samples."""

    def __init__(
        self, plan: ConnectionPlan, context: BuildContext, past: Past, keeper: HistoryKeeper,
        connection: SessionConnection, background: Background, server: ServerFacts,
    ) -> None:  # fmt: skip
        self._configured, self._plan = plan, extended(plan, past.found)
        plan = self._plan
        self._context, self._clock = context, context.clock
        self._past = past
        self._news = past.down.ended()  #: whether the log is to say that it stands
        self._keeper = keeper
        self._publishers = 0
        self._chosen = past.choice.server
        self._listening = False
        self._connection = connection
        self._background = background
        self._services = Services(connection.session, plan.device)
        self._times = SourceClock(
            use=plan.use_source_time, zone=plan.zone, max_skew=plan.max_skew, synced=lambda: context.clock.synced
        )
        self._reads, self._creates, self._browses = past.reads, past.creates, past.browses
        self._types = Types(Explorer(connection.session, self._reads, self._browses, plan.device, self._clock))
        self._renumber: Renumbering | None = None
        self._parts = {each.position: each.index_range for each in plan.points.values() if each.index_range is not None}
        self._decoder = Decoder(
            plan.size, self._times, self._types.structure, self._parts, self._types.begin,
            partial(context.room, plan.device),
        )  # fmt: skip
        self.inbox = SampleInbox(context.clock, self._decoder.news)
        self._server = server
        self._reader = ChunkReader(self._services, self._decoder, self._reads, context.clock, plan.device)
        intervals = [group.interval for group in plan.groups if group.interval is not None]
        self._reader.handed = self.inbox.handed
        self._items = Monitoring(self._services, self._creates, context.clock, plan.device)
        self._items.disbelieved = past.disbelieved
        self._poller = Poller(self._reader, self.inbox, context.clock, plan.device, intervals, self._items.look_at)
        self._publishing = Publishing(
            self._services, self._reader, self._decoder, self.inbox, self._items, context.clock, plan
        )
        self._publishing.grown = self._publish
        self._homes = Homes(self._publishing, self._items, self._poller, context.clock, plan.device, plan.pace)
        self._tags = Settling(
            plan, past, self._server, self._types, self._reader, self._items, self._homes, self._poller, self.inbox,
            context.clock, self._note,
        )  # fmt: skip
        self._confirming = Confirming(
            plan, self._reader, self._items, self._homes, self.inbox, context.clock, self._tags.settle
        )
        self._publishing.note = self._tags.note = self._came
        self._publishing.lost.given_up = self._tags.given_up
        self._meaning = Meaning(
            self._decoder, self._types, past, self.inbox, context.clock, plan.device, plan.pace, self._tags.node
        )
        self._reader.settled = self._meaning.settled
        self._upkeep = Upkeep(
            plan, context, past, connection, self._tags, self._items, self._types, self._decoder, self._note
        )
        self._pulse = ServerPulse(plan, server, past, self.inbox, context.clock, self._note)
        history = HistoryReader(connection.session, plan.device, VALUES)
        keeper.follow(plan, self._decoder.first)
        if plan.backfill:
            self.inbox.witness = keeper
        self._backfill = Backfill(
            plan, history, self._decoder, self.inbox, context.clock, past, keeper, self._tags.node
        )

    # --- begin and end ----------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Ask for every tag, start what runs beside. Raises what makes the connection useless."""
        self._items.filters = self._server.profile is None or self._server.profile.filters
        if self._news:
            log.info("opcua.connected", device=self._plan.device, **self._server.facts())
        self._beside(self._connection.lost, "connection")
        self._beside(self._upkeep.renew, "channel")
        periodic = [group.interval for group in self._plan.groups if group.interval is not None]
        if self._plan.subscribe:
            await self._homes.begin(periodic, publishes=not self._past.unpublished)
        if self._plan.notifiers:
            await self._listen()
        self._beside(self._poller.run, "poll")
        await self._tags.settle(list(self._plan.points.values()))
        self._tags.remember()
        if not self._plan.subscribe and periodic:
            self._poller.wanted.set()
        self._beside(self._upkeep.keep, "namespaces")
        self._beside(partial(self._pulse.run, self._connection.session_timeout), "pulse")
        self._beside(self._upkeep.again, "again")
        if self._plan.selection is not None:
            explorer = self._types.explorer
            args = (self._configured, self._plan.selection, self._server, explorer, self._past, self._clock)
            self._beside(Browsing(*args, self._grow, self._say_found).run, "browse")
        self._beside(self._upkeep.learn, "types")
        self._beside(partial(self._meaning.run, self._tags.read), "meaning")
        self._beside(self._meaning.watch, "versions")
        if self._plan.backfill:
            self._beside(self._backfill.run, "backfill")
        if self._plan.subscribe and periodic:
            self._beside(self._upkeep.audit, "audit")
            self._beside(self._confirming.run, "confirming")
        if self._publishing.subscriptions:
            self._declare_outage()
        if self._plan.subscribe and self._news:
            active = len(self._plan.points) - len(self._tags.missing)
            log.info("opcua.subscribed", device=self._plan.device, active=active, configured=len(self._plan.points))

    def _publish(self) -> None:
        """There is another subscription: it wants its Publish requests."""
        if not self._publishers:
            self._beside(self._publishing.watch, "silence")
        while self._publishers < self._publishing.wanted:
            self._beside(self._publishing.publish, f"publish {self._publishers}")
            self._publishers += 1

    async def _listen(self) -> None:
        """Events have a subscription of their own; what is refused is tried again for as long as this lives."""
        plan = self._plan
        events = EventNotifiers(
            self._connection.session, plan.device, plan.notifiers, self.inbox, self._times, self._clock, self._past
        )
        self._publishing.on_event = events.take

        async def listen() -> None:
            await events.listen(self._publishing.create, plan.interval, self._server.namespaces)

        async def again() -> None:
            while True:
                await self._clock.sleep(plan.pace.again)
                await listen()

        await listen()
        self._beside(again, "events")

    async def _grow(self, plan: ConnectionPlan) -> None:
        """Browsing has found nodes that are no tags yet."""
        self._plan = plan
        self._decoder.grow(plan.size)
        self._keeper.follow(plan, self._decoder.first)
        self._confirming.follow(plan)
        self._upkeep.follow(plan)
        self._say_found()
        await self._tags.extend(plan)

    def _say_found(self) -> None:
        self._past.announce(self.inbox, self._configured.size)
        self._note()

    @property
    def unanswered(self) -> float | None:
        """See `core.patient.Patient`."""
        quiet = self._connection.quiet_for
        return None if quiet < max(self._plan.timeout, _ONE_LOST) + _MOMENT else self._clock.monotonic() - quiet

    @property
    def moved(self) -> Mapping[int, Moved]:
        """The indexes of namespaces that mean something else on this connection."""
        return self._server.namespaces.moved

    @property
    def plan(self) -> ConnectionPlan:
        """What is read over this connection."""
        return self._plan

    def __aiter__(self) -> AsyncIterator[Sample]:
        return self

    async def __anext__(self) -> Sample:
        sample = await self.inbox.__anext__()
        return sample if self._renumber is None else self._renumber(sample)

    def retag(self, change: TagChange) -> None:
        """Read other tags: those that stay are handed on as before, those that come are asked for beside."""
        self._plan = change.plan
        self._renumber = Renumbering(change.places)
        self._decoder.grow(change.plan.size)
        self._parts.update({each.position: each.index_range for each in change.come if each.index_range is not None})
        self._keeper.follow(change.plan, self._decoder.first)
        self._confirming.follow(change.plan)
        self._upkeep.follow(change.plan)
        self._beside(partial(self._tags.retag, change.plan, change.gone, change.come), "other tags")

    def _came(self, answer: Answer) -> None:
        self._items.look_at(answer)
        self._confirming.note(answer)

    def _declare_outage(self) -> None:
        """What changed while nobody listened is not known; polled values say so by their own readings."""
        self._listening = True
        since, self._past.told = self._past.told, None
        if since is not None:
            tags = None if self._plan.subscribe else tuple(each.position for each in self._plan.notifiers)
            reason = "no connection: what changed meanwhile is not known"
            self.inbox.lose(Loss(since, self._clock.now_ms(), reason, tags))

    def end(self) -> None:
        """The connection is being left."""
        if self.inbox.error is not None:
            if (repeats := self._past.down.lasts(self._clock.monotonic())) is not None:
                reason = str(self.inbox.error)
                log.warning("opcua.disconnected", device=self._plan.device, reason=reason, repeats=repeats)
            if self._past.choice.server == self._chosen:
                self._past.choice.failed(self._clock.monotonic())
        self._past.unpublished |= self._publishing.unsupported
        if self._listening:
            self._past.told = self._publishing.told
        self._context.note(self._plan.device, "opcua", None)

    def _beside(self, work: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        self._background.start(self.guarded(work), f"opcua {self._plan.device} {name}")

    async def guarded(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """A failure of any part is the connection's: the iterator raises it."""
        try:
            await work()
        except Exception as error:  # noqa: BLE001  # raised by the iterator; bugs too
            self.inbox.fail(error)

    # --- for people ---------------------------------------------------------------------------------------------------

    def _note(self) -> None:
        missing = self._tags.missing.points
        self._context.note(
            self._plan.device,
            "opcua",
            {
                "mode": "subscribe" if self._plan.subscribe else "poll",
                **self._server.facts(),
                **({"server": self._past.choice.server} if len(self._plan.servers) > 1 else {}),
                "chunk_read": self._reads.wide,
                "chunk_monitor": self._creates.size,
                "configured": len(self._plan.points),
                "active": len(self._plan.points) - len(missing),
                "rejected": names_of(missing),
                **self._past.shown(),
                "subscriptions": self._publishing.facts(),
                "polled": len(self._poller.positions) if self._plan.subscribe else None,
                **self._items.facts(),
                "overflows": self._decoder.overflows,
                "source_times_refused": self._times.refused,
                "source_ahead_ms": self._times.ahead_ms,
            },
        )
