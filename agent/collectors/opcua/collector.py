"""The port `core.ports.Collector` for OPC UA."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from agent.collectors.common.choice import Choice
from agent.collectors.common.planning import planned
from agent.collectors.opcua.connect.ways import Way
from agent.collectors.opcua.library import converse
from agent.collectors.opcua.memory import NamespaceMemory
from agent.collectors.opcua.past import Past
from agent.collectors.opcua.plan import ConnectionPlan, indexed, written_anew
from agent.collectors.opcua.retag import TagChange, tag_change
from agent.collectors.opcua.trust.guard import TrustGuard
from agent.collectors.opcua.trust.security import ServerAccess
from agent.core.flow import Sample
from agent.core.ports import BuildContext, Collector

if TYPE_CHECKING:
    from agent.collectors.opcua.conversation import Conversation


class OpcUaCollector:
    """One OPC UA server; `ways` to it, or to its redundant ones."""

    def __init__(
        self, plan: ConnectionPlan, ways: Mapping[str, Way], access: ServerAccess, context: BuildContext
    ) -> None:
        self._plan = plan
        self._context = context
        self._past = Past(Choice(plan.servers), ways)
        self._guard = TrustGuard(plan.device, context.agent, access, context.data_dir / "pki", context.clock)
        self._talk: Conversation | None = None  #: over the connection that stands
        self.change: TagChange | None = None  #: how it takes the place of another, where that can be

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterator[Sample]]:
        """See the port. The library is imported here and not before."""
        conversation = await converse()
        try:
            async with conversation(self._plan, self._context, self._past, self._guard) as talk:
                self._talk = talk
                yield talk
        finally:  # not before it is closed, which may take a while where nobody answers
            self._talk = None

    @property
    def unanswered(self) -> float | None:
        """See `core.patient.Patient`."""
        return None if self._talk is None else self._talk.unanswered

    @property
    def plan(self) -> ConnectionPlan:
        """What it reads."""
        return self._plan

    def inherit(self, before: Collector, /) -> None:
        """See `core.ports.Heir`: what changed at the same servers between the two connections is not known."""
        if isinstance(before, OpcUaCollector) and before.plan.servers == self._plan.servers:
            self._past.told = before.told
            self._past.memory = before.memory.inherited(before.plan, self._plan)

    @property
    def memory(self) -> NamespaceMemory:
        """What indexes of namespaces mean here."""
        return self._past.memory

    @property
    def told(self) -> int | None:
        """Until when (epoch ms) the last connection told everything; None: it did not, or stands."""
        return self._past.told

    async def prepare(self, successor: Collector, /) -> bool:
        """See `core.ports.Retaggable`."""
        if not isinstance(successor, OpcUaCollector) or self._talk is None:
            return False
        had = {use for _, use in indexed(self._plan)}
        if written_anew(had, indexed(successor.plan)) & self._talk.moved.keys():
            return False
        successor.change = await planned(tag_change, self._talk.plan, successor.plan)
        return successor.change is not None

    def retag(self, successor: Collector, /) -> bool:
        """See `core.ports.Retaggable`: at once, what comes is asked for beside."""
        if not isinstance(successor, OpcUaCollector) or successor.change is None or self._talk is None:
            return False
        self._talk.retag(successor.change)
        self._plan = successor.plan
        return True
