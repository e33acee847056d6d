"""The short way of a request: sent in the turn of the loop in which it is asked, answered in that of its answer.

It is for a unit that has its bus to itself, while nothing has to be waited for first. All else is for the bus's task: a
connection to be made, a pause, a recording; and whatever came instead of an answer, which it takes up from there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agent.collectors.modbus.bus.link import Link
from agent.collectors.modbus.bus.needs import Needs
from agent.collectors.modbus.bus.transaction import PromptWire
from agent.collectors.modbus.bus.transactor import Missed, Transactor
from agent.collectors.modbus.bus.turns import PendingRequest


class Express:
    """Of one bus. `wake` calls its task."""

    def __init__(self, transactor: Transactor, link: Link, needs: Needs, wake: Callable[[], None]) -> None:
        self.open = False  #: the task rests: it has nothing to do
        self.job: PendingRequest | None = None  #: under way, or left
        self.missed: Missed | None = None  #: what came of it, where that was no answer
        self._transactor = transactor
        self._link = link
        self._needs = needs
        self._wake = wake
        self._wire: PromptWire | None = None
        self._asked_at = 0.0

    def send(self, job: PendingRequest) -> bool:
        """Send it, if that can be done at once."""
        wire = self._link.wire
        if not self.open or self.job is not None or wire is None or self._needs.pauses or not self._needs.alone:
            return False
        prompt = wire.prompt
        if prompt is None or prompt.lost is not None or not self._transactor.free(job.unit):
            return False
        assert job.request is not None  # noqa: S101 - who wants only the connection has it
        self.job, self._wire = job, prompt
        self._asked_at = self._transactor.begin(job.unit)
        try:
            prompt.send(job.unit, job.request, self._landed)
        except Exception as fault:  # noqa: BLE001 - as that of an answer, below: or it would be under way for ever
            self.missed = Missed(prompt, self._asked_at, fault)
            self._wake()
        return True

    def _landed(self, sent: Any) -> None:
        job, wire = self.job, self._wire
        if job is None or job.request is None or wire is None:
            return
        try:
            data, code = wire.outcome(sent)
            reply = self._transactor.answered(wire, job.unit, job.request.timeout, self._asked_at, data, code)
        except Exception as fault:  # noqa: BLE001 - the bus's task raises it again, and judges it
            self.missed = Missed(wire, self._asked_at, fault)
        else:
            self.job = None
            job.answer(reply)
        if self.missed is not None or not self.open:
            self._wake()

    def take(self) -> tuple[PendingRequest, Missed] | None:
        """What is left to the bus's task."""
        job, missed = self.job, self.missed
        if job is None or missed is None:
            return None
        self.job = self.missed = None
        return job, missed

    def stop(self, reason: Exception) -> None:
        """What is under way has no answer."""
        if self.job is not None:
            self.job.fail(reason)
        self.job = self.missed = None
