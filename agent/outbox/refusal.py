"""While the disk refuses: what was logged of it, and when it is tried again."""

from __future__ import annotations

from agent.core.errors import AgentError
from agent.outbox.report import OutboxReport
from agent.outbox.state import OutboxState

#: How long a refusing disk is left alone, seconds.
RETRY = 3.0


class Refusal:
    """Of one outbox."""

    def __init__(self, state: OutboxState, report: OutboxReport) -> None:
        self.reason: str | None = None  #: why, and behind ` -> ` what to do; None while there is none
        self._state = state
        self._report = report
        self._said: set[str] = set()  # what to do about the present one, each once
        self._retry_at = 0.0

    def met(self, error: AgentError, *, again_at: float | None = None) -> None:
        """The disk has refused; it is tried again after a while, or at `again_at`, monotonic seconds."""
        now = self._state.clock.monotonic()
        self._retry_at = now + RETRY if again_at is None else again_at
        if self.reason is None:
            self._said.clear()
        hint = getattr(error, "hint", None)
        self.reason = f"{error} -> {hint}" if hint else str(error)
        remedy = hint or str(error)
        if remedy not in self._said:  # SQLite has several words for one trouble, and one may follow another
            self._said.add(remedy)
            self._report.disk_refused(error, self._state)

    def over(self) -> None:
        """It has taken something."""
        if self.reason is not None:
            self.reason = None
            self._report.disk_ok()

    def waits(self, now: float) -> bool:
        """Whether it is left alone for now."""
        return self.reason is not None and now < self._retry_at
