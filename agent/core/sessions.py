"""Which broker sessions were this run's own: routes of one agent are not strangers to each other."""

from __future__ import annotations

from collections import deque

#: Sessions remembered for each route.
REMEMBERED = 100


class Sessions:
    """Names of the sessions in which a route of this run has said that the agent is online."""

    def __init__(self) -> None:
        self._of: dict[str, deque[str]] = {}

    def spoke(self, route: str, session: str) -> None:
        """The route is about to say online under this name."""
        self._of.setdefault(route, deque(maxlen=REMEMBERED)).append(session)

    def newest(self, route: str) -> str | None:
        """The last one of the route; None where it has not spoken yet."""
        spoken = self._of.get(route)
        return spoken[-1] if spoken else None

    def __contains__(self, session: str) -> bool:
        return any(session in spoken for spoken in self._of.values())
