"""Keeps one component running: judges why an attempt ended, waits, tries again. The only place that swallows errors.

An attempt is a coroutine that opens something and works until it fails. What its error means is decided by its class
(core/errors.py): transient → back off with full jitter; permanent → said once, tried every five minutes; anything else
is a bug: one traceback, a counter, then as transient.
"""

from __future__ import annotations

import asyncio
import math
from asyncio import TaskGroup
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

from agent.core.backoff import Backoff
from agent.core.clock import Clock
from agent.core.errors import ConnectionLost, PermanentError, TransientError, leaves
from agent.core.smallevent import SmallEvent
from agent.core.text import carried, without_credentials
from agent.telemetry.bugs import Bugs
from agent.telemetry.logging import get_logger
from agent.telemetry.metrics import RESTARTS
from agent.telemetry.repeats import Repeats

#: A component that cannot work as configured is tried again this often, seconds.
PERMANENT_RETRY = 300.0

log = get_logger("supervisor")

#: What to do stands behind the reason, as in the words of a PermanentError.
_HINT = " -> "
_OF_A_BUG = f"{_HINT}this is a bug, of the agent or of a plugin: `component.bug` in the log has the traceback to report"
_OF_BUILDING = "once that is mended, restart the agent"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt ended, judged."""

    kind: Literal["transient", "permanent", "bug"]
    reason: str  #: words for people
    retry_after: float = 0.0  #: seconds to wait at least
    retry_in: float = 0.0  #: seconds until the next attempt, unless somebody wakes the supervisor; infinite: none

    @property
    def retry_in_s(self) -> float | None:
        """The same for a log line."""
        return None if math.isinf(self.retry_in) else round(self.retry_in, 1)


class UnbuiltError(Exception):
    """The component could not be built, and will not be before the agent is restarted."""

    def __init__(self, reason: BaseException) -> None:
        super().__init__(str(reason))
        self.reason = reason


class Attempt:
    """What an attempt tells its supervisor."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._healthy_since: float | None = None
        self.has_carried = False

    def healthy(self) -> None:
        """The component works: from here on counts as a healthy run."""
        if self._healthy_since is None:
            self._healthy_since = self._clock.monotonic()

    def carried(self) -> None:
        """It did what it is for: its end is a new trouble, tried again after the first delay."""
        self.has_carried = True

    @property
    def works(self) -> bool:
        """Whether it has got somewhere."""
        return self.has_carried or self._healthy_since is not None

    @property
    def healthy_for(self) -> float:
        """Seconds; 0 where it never worked."""
        return 0.0 if self._healthy_since is None else self._clock.monotonic() - self._healthy_since


def judge(error: BaseException) -> Failure:
    """The failure an error amounts to. In a group a bug outranks a permanent error, and that a transient one."""
    inner = list(leaves(error))
    if (cause := _of_building(inner)) is not None:
        failure = judge(cause)
        before = "; " if _HINT in failure.reason else _HINT
        return replace(failure, reason=f"{failure.reason}{before}{_OF_BUILDING}", retry_after=math.inf)
    for one in inner:
        if not isinstance(one, TransientError | PermanentError):
            return Failure("bug", _told(f"{type(one).__name__}: {one}") + _OF_A_BUG)
    for one in inner:
        if isinstance(one, PermanentError):
            return Failure("permanent", _told(str(one)), PERMANENT_RETRY)
    transient = [one for one in inner if isinstance(one, TransientError)]
    return Failure("transient", _told(transient[0].reason), max(one.retry_after or 0.0 for one in transient))


def _of_building(errors: Iterable[BaseException]) -> BaseException | None:
    return next((one.reason for one in errors if isinstance(one, UnbuiltError)), None)


def _told(reason: str) -> str:
    return without_credentials(carried(reason))


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
        self._woken = SmallEvent()
        self._attempt: Attempt | None = None
        self._next_attempt: float | None = None

    @property
    def next_attempt(self) -> float | None:
        """When the next attempt is due, monotonic seconds; None while one is under way."""
        return self._next_attempt

    def wake(self) -> None:
        """Try again now: what stood in the way may have changed (a secret, a certificate, the configuration).

        Ends the present wait; during an attempt that has not succeeded yet, the one that would follow it. A component
        that works is left alone.
        """
        if self._attempt is None or not self._attempt.works:
            self._backoff.reset()
            self._woken.set()

    async def run(self, attempt: Callable[[Attempt], Awaitable[None]]) -> None:
        """Returns when an attempt returns; never raises but for cancellation."""
        while True:
            self._woken.clear()
            self._attempt = current = Attempt(self._clock)
            try:
                await attempt(current)
            except asyncio.CancelledError as cancelled:
                raise cancelled.with_traceback(None) from None  # its frames know the task: neither would ever be freed
            except (Exception, SystemExit) as error:  # libraries of plugins may want to exit
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    # A task group that fails while it is cancelled tells of the failure only.
                    raise asyncio.CancelledError from error
                failure = self._judge(error, current)
                self._say(failure, error)
            else:
                return
            finally:
                self._attempt = None
            RESTARTS.labels(self.name).inc()
            await self._wait(failure.retry_in)

    def _judge(self, error: BaseException, attempt: Attempt) -> Failure:
        failure = judge(error)
        if self._woken.is_set():  # it began before the change it was woken for
            return failure
        healthy_for = attempt.healthy_for
        carried = attempt.has_carried or any(isinstance(one, ConnectionLost) and one.learned for one in leaves(error))
        wait = self._backoff.failed(healthy_for, at_least=failure.retry_after, carried=carried)
        return replace(failure, retry_in=wait)

    async def _wait(self, seconds: float) -> None:
        """Until the next attempt is due, or somebody wakes it."""
        if math.isinf(seconds):
            await self._woken.wait()
            return
        self._next_attempt = self._clock.monotonic() + seconds
        try:
            async with TaskGroup() as group:
                ends = [
                    group.create_task(wait, name=f"{self.name}: wait")
                    for wait in (self._clock.sleep(seconds), self._woken.wait())
                ]
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                for task in ends:
                    task.cancel()
        finally:
            self._next_attempt = None

    def _say(self, failure: Failure, error: BaseException) -> None:
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

    def _log(self, failure: Failure, error: BaseException) -> None:
        news = not self._failed
        self._failed = failure.kind == "permanent"
        if failure.kind == "bug":
            self._bugs.met(_of_building(leaves(error)) or error)
        elif failure.kind == "permanent" and news:
            log.error("component.failed", component=self.name, reason=failure.reason, retry_in_s=failure.retry_in_s)
        elif (
            failure.kind == "transient"
            and self._report is None
            and (repeats := self._repeats.due(failure.reason, self._clock.monotonic())) is not None
        ):
            log.warning(
                "component.retry", component=self.name, reason=failure.reason, retry_in_s=failure.retry_in_s,
                repeats=repeats,
            )  # fmt: skip
        log.debug("component.waits", component=self.name, retry_in_s=failure.retry_in_s)
