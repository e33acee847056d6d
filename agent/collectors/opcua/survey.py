"""All variables of a server with what it says about them, over one connection of its own: for `edge-agent browse`."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from itertools import islice, takewhile
from typing import NamedTuple

from asyncua import ua
from msgspec import Struct

from agent.collectors.common.choice import Choice
from agent.collectors.opcua.address.namespaces import Namespaces
from agent.collectors.opcua.address.nodeid import NodeAddress
from agent.collectors.opcua.browse.facts import Nature, NodeWords, describing_of, natures, told
from agent.collectors.opcua.browse.selection import chosen, enters
from agent.collectors.opcua.browse.walk import Met, Walk, address_of
from agent.collectors.opcua.connect.channel import Times
from agent.collectors.opcua.connect.endpoints import offers, secured, users
from agent.collectors.opcua.connect.session import SessionConnection, connected
from agent.collectors.opcua.connect.ways import Way
from agent.collectors.opcua.explore import Explorer
from agent.collectors.opcua.past import Past
from agent.collectors.opcua.plan import ConnectionPace, Selection
from agent.collectors.opcua.server import ServerFacts
from agent.collectors.opcua.services import Services, node_id
from agent.collectors.opcua.translate import AnswerUndecodable, ServiceRefused
from agent.collectors.opcua.trust.guard import TrustGuard
from agent.collectors.opcua.types.types import Types
from agent.collectors.opcua.wire.limits import WireLimits
from agent.core.clock import Clock
from agent.core.errors import PermanentError

_TOGETHER = 200  #: variables that are asked about in one go
_REFERENCES = 100_000  #: looked at at least, whatever `max_nodes`


class FoundVariable(Struct):
    """One variable. `told` and `nature` are None until it was asked about."""

    name: str  #: the browse names on the way to it
    place: tuple[int, ...]  #: in the tree
    address: NodeAddress  #: by the URI of its namespace, or its index where it has none of its own
    told: NodeWords | None = None
    nature: Nature | None = None


class SurveyProgress(NamedTuple):
    """How far it has come."""

    what: str
    found: int
    described: int


class AboutServer(NamedTuple):
    """The server itself, for people."""

    product: str | None
    offers: str  #: security of the channel
    secured: Sequence[str]  #: policies with which it encrypts, best first
    users: str


class Survey:
    """`found` grows while it goes on, so that one that is stopped, or loses its server, has a result too."""

    def __init__(self) -> None:
        self.found: list[FoundVariable] = []
        self.about: AboutServer | None = None
        self.namespaces = Namespaces()
        self.looked = 0  #: nodes met
        self.described = 0
        self.refused = 0  #: nodes below which the server lets nobody look
        self.cut = False  #: there are more than `max_nodes`
        self.deep = False  #: there is more below the deepest level
        self._waiting: deque[tuple[ua.NodeId, FoundVariable]] = deque()

    async def steps(
        self, connection: SessionConnection, selection: Selection, deepest: int, device: str, clock: Clock,
        *, pause: float = 0.0,
    ) -> AsyncGenerator[SurveyProgress]:  # fmt: skip
        """Look around. Raises ConnectionLost, ServiceRefused, AnswerUndecodable, PermanentError."""
        past = Past(Choice((device,)), {})
        server = ServerFacts(Services(connection.session, device), clock, device, past)
        await server.learn()
        past.heed(server.limits)
        self.namespaces = server.namespaces
        product = server.facts().get("product")
        endpoints = connection.endpoints
        self.about = AboutServer(
            str(product) if product else None, offers(endpoints), secured(endpoints), users(endpoints)
        )
        explorer = Explorer(connection.session, past.reads, past.browses, device, clock, pause=pause)
        index = selection.root.index_in(self.namespaces)
        if index is None:
            raise PermanentError(self.namespaces.trouble(selection.root.namespace))
        walk = Walk(
            explorer, node_id(selection.root, index), enters=lambda name: enters(name, selection), deepest=deepest
        )
        types = Types(explorer)
        most = max(_REFERENCES, 20 * selection.max_nodes)
        async with aclosing(walk.nodes()) as pages:
            async for page in pages:
                self._take(page, selection)
                self.refused, self.deep = explorer.refused, walk.deep
                yield self._progress(page[-1].name if page else "")
                self.cut = self.cut or walk.looked > most
                if self.cut:
                    break
                while len(ready := self._ready(walk)) == _TOGETHER:
                    await self._describe(ready, explorer, types, walk)
                    yield self._progress(ready[-1][1].name)
        self.refused, self.deep = explorer.refused, walk.deep
        while self._waiting:
            ready = list(islice(self._waiting, _TOGETHER))
            await self._describe(ready, explorer, types, walk)
            yield self._progress(ready[-1][1].name)

    def _take(self, page: Sequence[Met], selection: Selection) -> None:
        for one in page:
            self.looked += 1
            if not one.variable or not chosen(one.name, selection):
                continue
            if len(self.found) == selection.max_nodes:
                self.cut = True
                return
            address = address_of(one.node, self.namespaces)
            if address is None:
                address = NodeAddress(int(one.node.NamespaceIndex), one.node.Identifier)
            variable = FoundVariable(one.name, one.place, address)
            self.found.append(variable)
            self._waiting.append((one.node, variable))

    def _ready(self, walk: Walk) -> list[tuple[ua.NodeId, FoundVariable]]:
        """Those whose properties are known by now: the walk goes through them in the same order."""
        return list(islice(takewhile(lambda each: each[0] in walk.asked, self._waiting), _TOGETHER))

    async def _describe(
        self, ready: Sequence[tuple[ua.NodeId, FoundVariable]], explorer: Explorer, types: Types, walk: Walk
    ) -> None:
        nodes = [node for node, _ in ready]
        try:
            unseen = [node for node in nodes if node not in walk.asked]
            describing = {**walk.describing, **await describing_of(explorer, unseen)} if unseen else walk.describing
            words = await told(explorer, [(node, one.name) for node, one in ready], describing)
            kinds = await natures(explorer, types, nodes)
        except (ServiceRefused, AnswerUndecodable):  # it can be read all the same
            words, kinds = [NodeWords()] * len(ready), [Nature()] * len(ready)
        for (_, one), said, kind in zip(ready, words, kinds, strict=True):
            one.told, one.nature = said, kind
            self._waiting.popleft()
        self.described += len(ready)

    def _progress(self, what: str) -> SurveyProgress:
        return SurveyProgress(what, len(self.found), self.described)


@asynccontextmanager
async def reached(
    way: Way, guard: TrustGuard, name: str, timeout: float, limits: WireLimits
) -> AsyncIterator[SessionConnection]:
    """A session for a survey. Raises ConnectionLost, TransientError or PermanentError."""
    pace = ConnectionPace()
    async with connected(
        way, guard, name, Times(timeout, pace.session, pace.channel, pace.close, pace.call), limits
    ) as connection:
        yield connection
