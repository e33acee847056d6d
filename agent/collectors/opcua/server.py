"""What a connection knows about its server: namespaces, limits, state, clock."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from agent.collectors.opcua.address.namespaces import Namespaces
from agent.collectors.opcua.past import OperationLimits, Past
from agent.collectors.opcua.plan import ConnectionPlan
from agent.collectors.opcua.profiles import Profile, profile_of
from agent.collectors.opcua.services import (
    BUILD_INFO,
    CURRENT_TIME,
    MAX_ITEMS_PER_CALL,
    MAX_NODES_PER_BROWSE,
    MAX_NODES_PER_HISTORY_READ,
    MAX_NODES_PER_READ,
    NAMESPACE_ARRAY,
    SERVER_ARRAY,
    SERVER_STATE,
    SERVICE_LEVEL,
    Services,
    node_id,
)
from agent.collectors.opcua.translate import AnswerUndecodable, ServiceRefused
from agent.collectors.opcua.values.times import epoch_ms, is_off
from agent.collectors.opcua.values.values import clean
from agent.core.clock import Clock
from agent.core.errors import ConnectionLost
from agent.core.zones import LocalTime
from agent.telemetry import metrics
from agent.telemetry.logging import get_logger

log = get_logger("opcua")

_STATES = ("running", "failed", "no configuration", "suspended", "shutdown", "test", "communication fault", "unknown")


def _value(data: Any) -> Any:
    """The value of a DataValue, None unless it is good."""
    if data.StatusCode is not None and data.StatusCode.value >= 0x40000000:
        return None
    return None if data.Value is None else data.Value.Value


class ServerFacts:
    """Asked on every connection anew: namespaces may stand in another order after a restart."""

    def __init__(self, services: Services, clock: Clock, device: str, past: Past) -> None:
        self._services = services
        self._past = past
        self._clock = clock
        self._skew = metrics.CLOCK_SKEW.labels(device)
        self.namespaces = Namespaces()
        self.limits = OperationLimits()
        self.profile: Profile | None = None
        self.service_level: int | None = None  #: 0 to 255, where it is told
        self._product: str | None = None
        self._state: str | None = None
        self._skew_ms: int | None = None  #: its clock minus ours

    async def learn(self) -> None:
        """Namespaces, limits, and what kind of server it is."""
        await self.read_namespaces()
        limits = (MAX_NODES_PER_READ, MAX_ITEMS_PER_CALL, MAX_NODES_PER_BROWSE, MAX_NODES_PER_HISTORY_READ)
        asked = (*limits, SERVER_ARRAY, *BUILD_INFO)
        nodes = [node_id(address, 0) for address in asked]
        said = [
            None if data is None else _value(data) for data in await self._ask(nodes, "reading the server's limits")
        ]
        numbers = [value if isinstance(value, int) else None for value in said[: len(limits)]]
        own_uri, *build = said[len(limits) :]
        words = [*(own_uri[:1] if isinstance(own_uri, list) else []), *build]
        self.profile = profile_of(str(word) for word in words if word)
        known = () if self.profile is None else (self.profile.read, self.profile.monitor, self.profile.browse)
        self.limits = OperationLimits(*numbers, *known)
        self._product = clean(str(build[0])) if build[0] else None

    async def read_namespaces(self) -> None:
        """The NamespaceArray as of now."""
        data = await self._services.read([node_id(NAMESPACE_ARRAY, 0)], "reading the namespaces")
        array = _value(data[0])
        if isinstance(array, list):
            uris = [str(uri) for uri in array]
            self.namespaces = Namespaces(uris, self._past.memory.meanings.moved(uris))

    async def look(self) -> None:
        """State and clock. Raises ConnectionLost where the server does not answer; what it answers is its affair."""
        before = self._clock.now_ms()
        nodes = [node_id(each, 0) for each in (SERVER_STATE, CURRENT_TIME, SERVICE_LEVEL)]
        data = await self._ask(nodes, "reading the server's state")
        state, time, level = (None if each is None else _value(each) for each in data)
        self.service_level = level if isinstance(level, int) else None
        if isinstance(state, int):
            self._state = _STATES[state] if 0 <= state < len(_STATES) else str(state)
        if isinstance(time, dt.datetime):
            self._skew_ms = round(epoch_ms(time) - (before + self._clock.now_ms()) / 2)
            self._skew.set(self._skew_ms / 1000)

    async def _ask(self, nodes: Sequence[Any], doing: str) -> list[Any]:
        """A DataValue of each; None of what it does not tell. Some servers take one node at a time, or break off."""
        answers: list[Any] = []
        limit = self._past.facts
        while len(answers) < len(nodes):
            piece = nodes[len(answers) :][: min(limit.size, self._past.reads.size)]
            try:
                answers += await self._services.read(piece, doing)
                limit.answered(len(piece))
            except (ServiceRefused, AnswerUndecodable):  # too many at once, or one of them it cannot tell
                if not limit.refused(len(piece)):
                    answers.append(None)
            except ConnectionLost:
                limit.lost(len(piece))
                raise
        return answers

    def compare_clocks(self, plan: ConnectionPlan, past: Past) -> None:
        """Log once that its clock is off, and that it is right again; its times are published as they are."""
        if self._skew_ms is None or not plan.use_source_time or not self._clock.synced:
            return
        off = is_off(self._skew_ms, plan.max_skew, LocalTime(plan.zone).ahead(self._clock.now_ms()))
        if off != past.clock_off:
            past.clock_off = off
            say, event = (log.warning, "opcua.clock_off") if off else (log.info, "opcua.clock_right")
            say(event, device=plan.device, skew_s=round(self._skew_ms / 1000, 1), max_skew_s=plan.max_skew)

    @property
    def complaint(self) -> str | None:
        """What the server says of itself where it is not running as it should."""
        return None if self._state in {None, _STATES[0]} else f"the server says its state is {self._state}"

    def facts(self) -> dict[str, object]:
        """For logs and notes; without what is not known."""
        facts = {
            "namespaces": len(self.namespaces.uris),
            "max_nodes_per_read": self.limits.read,
            "max_items_per_call": self.limits.monitor,
            "product": self._product,
            "profile": None if self.profile is None else self.profile.name,
            "server_state": self._state,
            "service_level": self.service_level,
            "clock_skew_ms": self._skew_ms,
        }
        return {key: value for key, value in facts.items() if value is not None}
