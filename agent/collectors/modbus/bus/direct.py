"""The short way of a request over a bus that one unit has to itself: the twin of `ModbusBus._serve` when all is well.

A request is sent in the turn of the loop in which it is asked, and answered in the turn in which its answer comes: the
bus's own task, which sleeps meanwhile, costs two more turns and half a dozen coroutines a request. Whatever goes wrong
is handed to that task, with the moment the request was sent; it judges as if it had asked itself.
"""

from __future__ import annotations

from collections.abc import Callable

from agent.collectors.modbus.bus.link import Link
from agent.collectors.modbus.bus.transaction import Outcome
from agent.collectors.modbus.bus.turns import PendingRequest
from agent.core.clock import Clock
from agent.core.errors import ConnectionLost


class Direct:
    """Of one bus; one request at a time. `answered` gets what came, `woken` is called when the bus's task has work."""

    def __init__(
        self,
        link: Link,
        clock: Clock,
        answered: Callable[[PendingRequest, bytes, int], None],
        woken: Callable[[], None],
    ) -> None:
        self._link = link
        self._clock = clock
        self._answered = answered
        self._woken = woken
        self._job: PendingRequest | None = None
        self._failed: PendingRequest | None = None

    @property
    def busy(self) -> bool:
        """Whether a request is on its way: nothing else may be sent."""
        return self._job is not None

    def begins(self, job: PendingRequest) -> bool:
        """Send it; False where it has to go the long way."""
        wire, request = self._link.wire, job.request
        if (
            wire is None
            or request is None
            or not self._link.proven
            or self._job is not None
            or self._failed is not None
        ):
            return False
        self._job = job._replace(asked_at=self._clock.monotonic())
        if wire.begin(job.unit, request, self._ended):
            return True
        self._job = None
        return False

    def _ended(self, outcome: Outcome) -> None:
        job, self._job = self._job, None
        if job is None:
            return  # the bus has stopped
        if isinstance(outcome, Exception):
            self._failed = job._replace(fault=outcome)
            self._woken()
        else:
            self._answered(job, *outcome)

    def failed(self) -> PendingRequest | None:
        """What went wrong since this was asked last, with why."""
        failed, self._failed = self._failed, None
        return failed

    def stop(self) -> None:
        """The bus stops: whoever waits is told."""
        for job in (self._job, self._failed):
            if job is not None and not job.answer.done():
                job.answer.set_exception(ConnectionLost("the bus is stopped"))
        self._job = self._failed = None
