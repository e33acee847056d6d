"""Why a part of the historian does not work, since when, and what to do."""

from __future__ import annotations

from typing import Any

from agent.core.clock import Clock
from agent.telemetry.events import EVENTS


class PartStanding:
    """Of the database or of a source. `reason`: why it cannot be used now; None where it can."""

    def __init__(self, clock: Clock, reason: str) -> None:
        self._clock = clock
        self._reason: str | None = reason
        self._since = clock.monotonic()

    @property
    def reason(self) -> str | None:
        return self._reason

    @reason.setter
    def reason(self, reason: str | None) -> None:
        if (reason is None) != (self._reason is None):
            self._since = self._clock.monotonic()
        self._reason = reason

    @property
    def trouble(self) -> tuple[str, float] | None:
        """Why it does not work, and since when (monotonic)."""
        return None if self._reason is None else (self._reason, self._since)

    def shown(self, where: str, event: str) -> dict[str, Any]:
        """For the status; `event` has the remedy where the reason has none."""
        if (trouble := self.trouble) is None:
            return {"where": where, "state": "online", "reason": None, "since": None, "do": None}
        reason, _, hint = trouble[0].partition(" -> ")
        since = self._clock.now_ms() - round(1000 * (self._clock.monotonic() - trouble[1]))
        do = hint or EVENTS[event].remedy
        return {"where": where, "state": "offline", "reason": reason, "since": since, "do": do}
