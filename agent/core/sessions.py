"""Which broker sessions were this run's own: neither routes of one agent nor its own attempts are strangers to it."""

from __future__ import annotations

from collections import deque

#: Sessions remembered for each route.
REMEMBERED = 100


class Sessions:
    """Names under which a route of this run says whether the agent is online, or may have it said by a broker.

    A CONNECT that was given up may still reach its broker, from a link that hung for a while: then the broker says its
    will, although nobody was ever online under that name.
    """

    def __init__(self) -> None:
        self._begun: dict[str, deque[str]] = {}
        self._spoken: dict[str, deque[str]] = {}

    def begun(self, route: str, session: str) -> None:
        """The route is about to connect, with a will under this name."""
        self._begun.setdefault(route, deque(maxlen=REMEMBERED)).append(session)

    def spoke(self, route: str, session: str) -> None:
        """The route is about to say online under this name."""
        self._spoken.setdefault(route, deque(maxlen=REMEMBERED)).append(session)

    def newest(self, route: str) -> str | None:
        """The last one in which the route spoke; None where it has not spoken yet."""
        spoken = self._spoken.get(route)
        return spoken[-1] if spoken else None

    def __contains__(self, session: str) -> bool:
        return any(session in names for of in (self._begun, self._spoken) for names in of.values())
