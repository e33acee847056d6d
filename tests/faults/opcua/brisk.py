"""`python -m tests.faults.opcua.brisk run -c FILE`: the agent, but for the rhythms of its OPC UA connections.

They are in seconds here what they are in minutes in a plant, so that a fault and its recovery take a moment.
"""

from __future__ import annotations

from collections.abc import Mapping

from agent.cli import main
from agent.collectors.opcua import collector
from agent.collectors.opcua.connect.ways import Way
from agent.collectors.opcua.plan import ConnectionPace, ConnectionPlan
from agent.collectors.opcua.trust.security import ServerAccess
from agent.core.ports import BuildContext

PACE = ConnectionPace(silence=0.5, pulse=0.5, again=2.0, session=2.0, channel=1.0, audit=1.0, history=0.2, close=1.0)


class BriskCollector(collector.OpcUaCollector):
    """`OpcUaConfig.build` finds it under the name of the other."""

    def __init__(
        self, plan: ConnectionPlan, ways: Mapping[str, Way], access: ServerAccess, context: BuildContext
    ) -> None:
        pace = PACE._replace(silence=min(PACE.silence, plan.pace.silence))
        super().__init__(plan._replace(pace=pace), ways, access, context)


if __name__ == "__main__":
    collector.OpcUaCollector = BriskCollector  # type: ignore[misc]
    main()
