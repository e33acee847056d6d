"""Finding a home for every tag on a connection: a subscription, a polling group, one reading, or the list of missing.

What the server refuses is said as bad, once, and tried again for as long as the connection lives.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

from agent.collectors.opcua.address.nodeid import NodeAddress
from agent.collectors.opcua.address.paths import BrowsePath
from agent.collectors.opcua.inbox import SampleInbox
from agent.collectors.opcua.past import Past
from agent.collectors.opcua.plan import ConnectionPlan, TagPoint, indexed, names_of
from agent.collectors.opcua.server import ServerFacts
from agent.collectors.opcua.services import ResolvedNode, node_id, path_of
from agent.collectors.opcua.tags.homes import Homes
from agent.collectors.opcua.tags.monitoring import Monitoring
from agent.collectors.opcua.tags.nodes import MissingTags, resolve
from agent.collectors.opcua.tags.poller import Poller
from agent.collectors.opcua.tags.reader import ChunkReader
from agent.collectors.opcua.translate import AnswerUndecodable, ServiceRefused
from agent.collectors.opcua.types.types import Labels, Types
from agent.core.clock import Clock
from agent.core.flow import Answer, Loss
from agent.core.quality import BAD_DECODING_ERROR, name_of
from agent.telemetry import metrics
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Repeats

log = get_logger("opcua")


class Settling:
    """The tags of one connection. `changed` is called when it is known anew which tags are missing."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of a connection meet here
        self,
        plan: ConnectionPlan,
        past: Past,
        server: ServerFacts,
        types: Types,
        reader: ChunkReader,
        items: Monitoring,
        homes: Homes,
        poller: Poller,
        inbox: SampleInbox,
        clock: Clock,
        changed: Callable[[], None],
    ) -> None:
        self._plan = plan
        self._past = past
        self._server = server
        self._types = types
        self._reader = reader
        self._items = items
        self._homes = homes
        self._poller = poller
        self._inbox = inbox
        self._clock = clock
        self._changed = changed
        self._nodes: dict[int, ResolvedNode] = {}
        self._audited = clock.now_ms()
        self._said = Repeats()
        self._turn = asyncio.Lock()
        self.note: Callable[[Answer], None] = items.look_at  #: called with what was read instead of being notified
        self.missing = MissingTags()

    def remember(self) -> None:
        """What indexes (`ns=2`) mean from now on, whatever the server's order; a change of that is logged."""
        moved = self._server.namespaces.moved
        meant = {
            f"ns={index}": moved[index].uri for index in {index for index, _ in indexed(self._plan)} & moved.keys()
        }
        meanings = self._past.memory.meanings
        if meant != meanings.told and meant:
            log.warning("opcua.namespaces_moved", device=self._plan.device, meant=meant)
        meanings.told = meant
        meanings.learn(self._server.namespaces.uris)
        if self._plan.subscribe:  # what is polled tells later whether it is there
            for point in self._plan.points.values():
                if not self.missing.code(point):
                    meanings.read.update(point.address.indexes)

    async def extend(self, plan: ConnectionPlan) -> None:
        """The plan with more tags behind those it had."""
        fresh = [point for position, point in plan.points.items() if position not in self._plan.points]
        self._plan = plan
        await self.settle(fresh)

    async def retag(self, plan: ConnectionPlan, gone: Sequence[TagPoint], come: Sequence[TagPoint]) -> None:
        """The plan with other tags: these are asked for no longer, those from now on."""
        positions = {point.position for point in gone}
        async with self._turn:
            self._plan = plan
            self.missing.found(gone)
            await self._homes.leave(positions)
            for position in positions:
                self._nodes.pop(position, None)
            await self._settle(come)

    async def settle(self, points: Sequence[TagPoint]) -> None:
        """Ask the server for these tags; what it refuses is reported as bad and tried again later."""
        async with self._turn:
            await self._settle(points)

    async def _settle(self, points: Sequence[TagPoint]) -> None:
        where = resolve(points, self._server.namespaces)
        refused = where.refused
        nodes = {
            point.position: ResolvedNode(point, node_id(point.address, index))
            for point, index in where.known
            if isinstance(point.address, NodeAddress)
        }
        nodes |= await self._follow(where.ways, refused)
        await self._learn_types([node for position, node in nodes.items() if position not in self._nodes])
        self._nodes.update(nodes)
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

    async def _follow(
        self, ways: Sequence[tuple[TagPoint, list[tuple[int, str]]]], refused: list[tuple[TagPoint, int, str]]
    ) -> dict[int, ResolvedNode]:
        """The nodes at the end of these browse paths; those that lead nowhere are refused."""
        if not ways:
            return {}
        nodes = {}
        paths = [path_of(point.address.start, names) for point, names in ways if isinstance(point.address, BrowsePath)]
        try:
            ends = await self._types.explorer.follow(paths)
        except (ServiceRefused, AnswerUndecodable) as error:  # it costs these tags, not those that have a node id
            code = error.code if isinstance(error, ServiceRefused) else BAD_DECODING_ERROR
            refused += [(point, code, error.reason) for point, _ in ways]
            return {}
        for (point, _), end in zip(ways, ends, strict=True):
            if isinstance(end, int):
                refused.append((point, end, "there is no node at the end of this path"))
            else:
                nodes[point.position] = ResolvedNode(point, end)
        return nodes

    async def move(self, positions: Sequence[int]) -> None:
        """Polled tags whose node went away: the path of some may lead to another one, which a new program made."""
        if self._plan.subscribe:  # there an item that is dropped is settled anew
            return
        points = [self._plan.points[at] for at in positions if isinstance(self._plan.points[at].address, BrowsePath)]
        where = resolve(points, self._server.namespaces)
        for position, node in (await self._follow(where.ways, [])).items():
            if position in self._nodes and node.node_id != self._nodes[position].node_id:
                self._nodes[position] = node
                self._poller.move(node)

    async def _learn_types(self, nodes: Sequence[ResolvedNode]) -> None:
        """Texts and fields before the values that need them; a server that cannot tell in time is read without."""
        told: Mapping[int, Labels] = {}
        try:
            async with asyncio.timeout(self._plan.pace.types):
                told = await self._types.survey(nodes)
        except (ServiceRefused, AnswerUndecodable, TimeoutError) as error:
            self._say_unknown(error)
        self._inbox.label(self._past.texts([node.point.position for node in nodes], told))

    def node(self, position: int) -> ResolvedNode | None:
        """Where a tag is on this connection; None where that is not known."""
        return self._nodes.get(position)

    async def audit(self) -> None:
        """Configured against active: whatever is in nobody's books is asked for again."""
        gone = await self._items.audit(self._homes.subscriptions)
        now = self._clock.now_ms()
        if gone:
            tags = tuple(point.position for point in gone)
            self._inbox.lose(Loss(self._audited, now, "the server had stopped monitoring", tags))
            log.warning("opcua.items_lost", device=self._plan.device, count=len(gone), tags=names_of(gone))
        self._audited = now
        async with self._turn:
            active = {position for each in self._homes.subscriptions for position in each.items}
            periodic = [group.positions for group in self._plan.groups if group.interval is not None]
            wanted = {position for positions in periodic for position in positions}
            points = [self._plan.points[at] for at in sorted(wanted - active - self._poller.positions)]
            idle = [point for point in points if not self.missing.code(point)]
            if idle:
                await self._settle(idle)

    async def again(self) -> None:
        """Ask once more for what is missing, what went away, and what is polled for want of a subscription."""
        await self.move(sorted(self._items.vanished))
        gone = await self._items.drop_vanished(self._homes.subscriptions)
        wanted = [*self.missing.points, *gone]
        if wanted:
            await self._server.read_namespaces()
            await self.settle(wanted)
        async with self._turn:
            await self._homes.promote()

    def _say_unknown(self, error: Exception) -> None:
        if (repeats := self._said.due("types", self._clock.monotonic())) is not None:
            reason = str(error) or "no answer in time"
            log.warning("opcua.types_unknown", device=self._plan.device, reason=reason, repeats=repeats)

    async def learn_more(self, positions: set[int]) -> bool:
        """Values came whose type is not known: ask for it, and for the values of these tags again. False: not yet."""
        try:
            async with asyncio.timeout(self._plan.pace.types):
                learned = await self._types.learn_wanted()
        except (ServiceRefused, AnswerUndecodable, TimeoutError) as error:
            self._say_unknown(error)
            return False
        if learned:
            await self.read(positions)
        return True

    async def read(self, positions: Iterable[int]) -> None:
        """Say these tags once more, by what is known of them now."""
        nodes = [self._nodes[position] for position in sorted(positions) if position in self._nodes]
        await self._reader.read(self._reader.layout(nodes), self._hand_on)

    def _hand_on(self, answer: Answer) -> None:
        self._inbox.put(answer)
        self.note(answer)

    async def _monitor(self, number: int, nodes: Sequence[ResolvedNode]) -> list[tuple[TagPoint, int, str]]:
        """What could not be decoded is read first: monitored too early, it would break its neighbours' messages."""
        doubtful = [node for node in nodes if self.missing.code(node.point) == BAD_DECODING_ERROR]
        still: set[int] = set()
        await self._reader.read(
            self._reader.layout(doubtful),
            lambda answer: still.update(answer.tags if answer.status == BAD_DECODING_ERROR else ()),
        )
        sound = [node for node in nodes if node.point.position not in still]
        rejected = await self._homes.monitor(number, sound)
        return [
            *((point, code, "the server refuses to monitor this node") for point, code in rejected),
            *((node.point, BAD_DECODING_ERROR, "") for node in nodes if node.point.position in still),
        ]

    def given_up(self, broken: Sequence[tuple[TagPoint, int, str]]) -> None:
        self._sort((), broken)

    async def _read_once(self, nodes: Sequence[ResolvedNode]) -> list[tuple[TagPoint, int, str]]:
        """Read; the good values are handed on, the bad ones come back."""
        bad: list[tuple[TagPoint, int, str]] = []

        def sort(answer: Answer) -> None:
            if answer.status == 0:
                self._inbox.put(answer)
                return
            for at, position in enumerate(answer.tags):
                code = answer.status if isinstance(answer.status, int) else answer.status[at]
                one = (position,)
                if code & 0x80000000:
                    reason = answer.reason if isinstance(answer.reason, str) else (answer.reason or {}).get(at)
                    bad.append((self._plan.points[position], code, reason or "the server has no value"))
                else:
                    src = None if answer.src is None else [answer.src[at]]
                    self._inbox.put(Answer(one, [answer.values[at]], answer.ts, [code], src))

        await self._reader.read(self._reader.layout(nodes), sort)
        return bad

    def _sort(self, asked: Iterable[TagPoint], refused: Sequence[tuple[TagPoint, int, str]]) -> None:
        """Keep the books of what is missing, and say what changed."""
        device = self._plan.device
        gone = {point.position for point, _, _ in refused}
        back = self.missing.found([point for point in asked if point.position not in gone])
        if back:
            log.info("opcua.items_recovered", device=device, count=len(back), tags=names_of(back))
        for _, code, _ in refused:
            metrics.READ_ERRORS.labels(device, name_of(code)).inc()
        answer = self.missing.add(refused, self._clock.now_ms())
        if answer is not None:
            news = [self._plan.points[position] for position in answer.tags]
            log.warning("opcua.items_rejected", device=device, count=len(news), tags=names_of(news))
            self._inbox.put(answer)
        self._changed()
