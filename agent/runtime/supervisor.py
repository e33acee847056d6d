"""Keeps one component running: judges why an attempt ended, waits, tries again. The only place that swallows errors.

An attempt is a coroutine that opens something and works until it fails. What its error means is decided by its class
(core/errors.py): transient → back off with full jitter; permanent → said once, tried every five minutes; anything else
is a bug: one traceback, a counter, then as transient.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from agent.core.backoff import Backoff
from agent.core.clock import Clock
from agent.core.errors import PermanentError, TransientError, leaves
from agent.core.text import carried
from agent.telemetry.bugs import Bugs
from agent.telemetry.logging import get_logger
from agent.telemetry.metrics import RESTARTS
from agent.telemetry.repeats import Repeats

#: A component that cannot work as configured is tried again this often, seconds.
PERMANENT_RETRY = 300.0

log = get_logger("supervisor")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt ended, judged."""

    kind: Literal["transient", "permanent", "bug"]
    reason: str  #: words for people
    retry_after: float = 0.0  #: seconds to wait at least


class Attempt:
    """What an attempt tells its supervisor."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._healthy_since: float | None = None

    def healthy(self) -> None:
        """The component works: from here on counts as a healthy run."""
        if self._healthy_since is None:
            self._healthy_since = self._clock.monotonic()

    @property
    def healthy_for(self) -> float:
        """Seconds; 0 where it never worked."""
        return 0.0 if self._healthy_since is None else self._clock.monotonic() - self._healthy_since


def judge(error: BaseException) -> Failure:
    """The failure an error amounts to. In a group a bug outranks a permanent error, and that a transient one."""
    inner = list(leaves(error))
    for one in inner:
        if not isinstance(one, TransientError | PermanentError):
            return Failure("bug", carried(f"{type(one).__name__}: {one}"))
    for one in inner:
        if isinstance(one, PermanentError):
            return Failure("permanent", carried(str(one)), PERMANENT_RETRY)
    transient = [one for one in inner if isinstance(one, TransientError)]
    return Failure("transient", carried(transient[0].reason), max(one.retry_after or 0.0 for one in transient))


class Supervisor:
    """Runs attempts of one component until cancelled, or until one ends by itself."""

    def __init__(
        self,
        name: str,
        *,
        clock: Clock,
        backoff: Backoff,
        report: Callable[[Failure], None] | None = None,
    ) -> None:
        self.name = name
        self._clock = clock
        self._backoff = backoff
        self._report = report
        self._bugs = Bugs(name)
        self._failed = False
        self._repeats = Repeats()

    async def run(self, attempt: Callable[[Attempt], Awaitable[None]]) -> None:
        """Returns when an attempt returns; never raises but for cancellation."""
        while True:
            current = Attempt(self._clock)
            try:
                await attempt(current)
            except Exception as error:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    # A task group that fails while it is cancelled tells of the failure only.
                    raise asyncio.CancelledError from error
                failure = judge(error)
                self._say(failure, error)
            else:
                return
            RESTARTS.labels(self.name).inc()
            await self._clock.sleep(self._backoff.failed(current.healthy_for, at_least=failure.retry_after))

    def _say(self, failure: Failure, error: Exception) -> None:
        """Log it and report it; what raises meanwhile is a bug of its own and ends nothing."""
        try:
            self._log(failure, error)
        except Exception as bug:  # noqa: BLE001 - a log that cannot be written must not end the component
            self._bugs.met(bug)
        if self._report is None:
            return
        try:
            self._report(failure)
        except Exception as bug:  # noqa: BLE001 - nor a report
            self._bugs.met(bug)

    def _log(self, failure: Failure, error: Exception) -> None:
        news = not self._failed
        self._failed = failure.kind == "permanent"
        if failure.kind == "bug":
            self._bugs.met(error)
        elif failure.kind == "permanent" and news:
            log.error("component.failed", component=self.name, reason=failure.reason, retry_s=PERMANENT_RETRY)
        elif failure.kind == "transient" and self._report is None:
            repeats = self._repeats.due(failure.reason, self._clock.monotonic())
            if repeats is not None:
                log.warning("component.retry", component=self.name, reason=failure.reason, repeats=repeats)
