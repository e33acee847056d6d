"""Who else speaks under our name: heard on the agent's status topic, which nobody should write but we.

We, that is every route of this run, and each broker that says the will of one that was cut off.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec import Struct

from agent.core.flow import Incoming
from agent.core.ports import RouteInfo
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Repeats

log = get_logger("encoder")


class Rivals:
    """Logs that another agent has our name: at once, then rarely, however often sessions change."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._repeats = Repeats()

    def heard(self, agent: str, topic: str, session: str) -> None:
        """Another agent has written our status."""
        if (repeats := self._repeats.due("conflict", self._monotonic())) is not None:
            log.error("publisher.conflict", agent=agent, topic=topic, session=session, repeats=repeats)


class _Status(Struct):
    """What matters of it."""

    state: str = ""
    session: str = ""


class NameWatch:
    """Listens to our status topic during one session."""

    def __init__(self, route: RouteInfo, session: str, rivals: Rivals) -> None:
        self.conflict: str | None = None  #: session of another agent that writes our status
        self._route = route
        self._session = session
        self._rivals = rivals
        self._before = route.sessions.newest(route.name)

    def hear(self, incoming: Incoming) -> bool:
        """Look at a received status; whether ours is wrong at the broker and has to be published again."""
        try:
            status = msgspec.json.decode(incoming.payload, type=_Status)
        except (ValueError, RecursionError):  # no JSON, no UTF-8, or nested without end
            return False
        if status.session in self._route.sessions:
            # not online: another route of this agent lost its connection, and its will says that the agent is offline
            return not incoming.retain and status.state != "online" and status.session != self._session
        if self.conflict is None and (self._followed(status) if incoming.retain else status.state == "online"):
            self.conflict = status.session
            self._rivals.heard(self._route.agent, incoming.topic, status.session)
        return False

    def _followed(self, status: _Status) -> bool:
        """Whether somebody else has spoken since we last did: two agents that share a client_id put each other out.

        What is retained when a run begins is our own past; so is what is older than what we said, at a broker that was
        restored.
        """
        return self._before is not None and status.session > self._before
