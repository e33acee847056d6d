"""The port `core.ports.Collector` for OPC UA."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager

from agent.collectors.common.choice import Choice
from agent.collectors.opcua.connect.ways import Way
from agent.collectors.opcua.past import Past
from agent.collectors.opcua.plan import DevicePlan
from agent.collectors.opcua.trust.guard import Guard
from agent.collectors.opcua.trust.security import Access
from agent.core.flow import Sample
from agent.core.ports import BuildContext


class OpcUaCollector:
    """One OPC UA server; `ways` to it, or to its redundant ones."""

    def __init__(self, plan: DevicePlan, ways: Mapping[str, Way], access: Access, context: BuildContext) -> None:
        self._plan = plan
        self._context = context
        self._past = Past(Choice(plan.servers), ways)
        self._guard = Guard(plan.device, context.agent, access, context.data_dir / "pki", context.clock)

    def open(self) -> AbstractAsyncContextManager[AsyncIterator[Sample]]:
        """See the port. The library (41 MB) is imported here and not before."""
        from agent.collectors.opcua.conversation import conversation

        return conversation(self._plan, self._context, self._past, self._guard)
