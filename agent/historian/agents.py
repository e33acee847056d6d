"""Who of the agents can be asked for what is missing. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from agent.historian.items import AgentState

#: So many agents are known at once: a client of the broker could name any number.
MOST_AGENTS = 10_000


class _Known(Struct):
    session: str
    online: bool
    resend: bool
    publisher: str


class Agents:
    """What each agent said last, at each source."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, _Known]] = {}  # by agent, then by source

    def heard(self, state: AgentState) -> bool:
        """Take in a status; whether a session begins with it."""
        known = self._known.get(state.agent, {}).get(state.source)
        if state.state != "online":
            if known is not None and known.session == state.session:
                known.online = False
            return False
        begins = known is None or known.session != state.session or not known.online
        there = self._known.pop(state.agent, {})  # who was heard last stands last
        if len(self._known) >= MOST_AGENTS:
            del self._known[next(iter(self._known))]
        there[state.source] = _Known(state.session, True, state.resend, state.publisher)
        self._known[state.agent] = there
        return begins

    def away(self, source: str) -> None:
        """Our own connection to a broker is lost: no agent there can be asked."""
        for there in self._known.values():
            if source in there:
                there[source].online = False

    def askable(self, agent: str) -> list[str]:
        """Sources at which the agent is online and answers requests."""
        return [source for source, known in self._of(agent) if known.online and known.resend]

    def online_somewhere(self, agent: str) -> bool:
        """Whether it is online at any source."""
        return any(known.online for _, known in self._of(agent))

    def refuses(self, agent: str) -> bool:
        """Whether it is online and answers no requests anywhere."""
        online = [known for _, known in self._of(agent) if known.online]
        return bool(online) and not any(known.resend for known in online)

    def publisher(self, agent: str) -> str:
        """Name of a publisher of the agent, for people."""
        return next((known.publisher for _, known in self._of(agent) if known.publisher), "") or "NAME"

    @property
    def names(self) -> set[str]:
        """All that were heard."""
        return set(self._known)

    @property
    def online(self) -> int:
        """How many are online."""
        return sum(map(self.online_somewhere, self._known))

    def _of(self, agent: str) -> Iterable[tuple[str, _Known]]:
        return self._known.get(agent, {}).items()
