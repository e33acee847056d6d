"""The pulse of one connection: the server's state, clock and service level, looked at again and again."""

from __future__ import annotations

from collections.abc import Callable

from agent.collectors.opcua.floors import PERIOD
from agent.collectors.opcua.inbox import SampleInbox
from agent.collectors.opcua.past import Past
from agent.collectors.opcua.plan import ConnectionPlan
from agent.collectors.opcua.server import ServerFacts
from agent.core.clock import Clock
from agent.core.errors import ConnectionLost
from agent.telemetry.logging import get_logger

log = get_logger("opcua")


class ServerPulse:
    """Keeps the session, finds a frozen server, leaves one that is not well. `looked` is called after each look."""

    def __init__(
        self,
        plan: ConnectionPlan,
        server: ServerFacts,
        past: Past,
        inbox: SampleInbox,
        clock: Clock,
        looked: Callable[[], None],
    ) -> None:
        self._plan, self._server, self._past, self._inbox, self._clock = plan, server, past, inbox, clock
        self._looked = looked

    async def run(self, session_timeout: float) -> None:
        """For ever; raises what ends the connection."""
        every = min(self._plan.pace.pulse, max(session_timeout / 3, PERIOD))
        while True:
            await self._server.look()
            self._server.compare_clocks(self._plan, self._past)
            self._inbox.complain(self._server.complaint)
            self._compare(self._server.service_level)
            self._looked()
            await self._clock.sleep(every)

    def _compare(self, level: int | None) -> None:
        """Leave a server that is not well for another that may be."""
        if level is not None and self._past.choice.leave(level, self._clock.monotonic()):
            log.warning("opcua.failover", device=self._plan.device, service_level=level, to=self._past.choice.server)
            raise ConnectionLost(f"the server's service level is {level}; another server takes over")
