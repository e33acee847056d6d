"""The port `core.ports.Collector` for OPC UA."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

from agent.collectors.common.choice import Choice
from agent.collectors.opcua.config import OpcUaConfig
from agent.collectors.opcua.guard import Guard
from agent.collectors.opcua.past import Past
from agent.collectors.opcua.plan import Pace, compile_plan
from agent.collectors.opcua.security import access_of
from agent.collectors.opcua.ways import ways_to
from agent.core.flow import Sample
from agent.core.ports import BuildContext

_PACE = Pace()


class OpcUaCollector:
    """One OPC UA server. `pace`: the rhythms of its connections."""

    def __init__(self, name: str, config: OpcUaConfig, context: BuildContext, pace: Pace = _PACE) -> None:
        self._plan = compile_plan(name, context.agent, config, pace)
        self._context = context
        self._past = Past(Choice(self._plan.servers), ways_to(config, context))
        self._guard = Guard(name, context.agent, access_of(dict(config)), context.data_dir / "pki", context.clock)

    def open(self) -> AbstractAsyncContextManager[AsyncIterator[Sample]]:
        """See the port. The library (41 MB) is imported here and not before."""
        from agent.collectors.opcua.conversation import conversation

        return conversation(self._plan, self._context, self._past, self._guard)
