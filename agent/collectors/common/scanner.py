"""One scan of a protocol of requests and responses: what is due, asked step by step, and handed on in pieces.

Nothing here knows the protocol. A scan that takes longer than 100 ms hands on what it has, so that good values never
wait for a dead block; what was read before a connection is lost is handed on before the loss is. A whole scan without
an answer takes the device offline, and after two silences at its start nobody waits for a third. A silent step is asked
again within the scan as often as `retries` says, for devices that sleep.
"""

from __future__ import annotations

import asyncio
import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from agent.collectors.common.pending import Pending, ReplyT
from agent.collectors.common.polling import SCAN_YIELD_SECONDS
from agent.core.clock import Clock, Timer
from agent.core.errors import ConnectionLost
from agent.core.flow import Answer

_SILENCES = 2  #: at the start of a scan; then the device is gone, and its neighbours on the bus get their turn

StepT = TypeVar("StepT")


class Scanner(ABC, Generic[StepT, ReplyT]):
    """Asks the steps of one tick. Call :meth:`next` until it is :attr:`over`, :meth:`close` in any case.

    `wake` is called when there is something to go on with. `lenient`: silence says nothing about the device, because
    too little is asked.
    """

    answered = 0  #: steps that drew any answer of the device itself
    silent = 0  #: steps that drew none, or rubbish
    over = False  #: everything has been asked, and all answers are handed on
    _pending: Pending[ReplyT] | None = None
    _lost: ConnectionLost | None = None
    _asked_at = 0.0
    _late_at = 0.0  #: until when (by the loop's clock) what is at hand may wait for more; 0: it need not yet
    _timer: Timer | None = None

    def __init__(
        self, clock: Clock, steps: Iterable[StepT], wake: Callable[[], None], *, lenient: bool = False
    ) -> None:
        self._clock = clock
        self._wake = wake
        self._steps = deque(steps)
        self._lenient = lenient
        self._answers: list[Answer] = []

    # --- what a protocol says -----------------------------------------------------------------------------------------

    @abstractmethod
    def ask(self, step: StepT) -> Pending[ReplyT]:
        """Send it."""

    @abstractmethod
    def judge(self, step: StepT, answer: Pending[ReplyT], asked_at: float) -> None:
        """What was asked at this (monotonic) time is answered, or not: append to what is handed on.

        Raises what ends the connection.
        """

    @abstractmethod
    def silence(self) -> Exception:
        """What is raised where the device does not answer at all."""

    def not_before(self, step: StepT) -> float:  # noqa: ARG002 - most protocols do not wait
        """When (monotonic) it may be sent; 0: at once."""
        return 0.0

    def extra(self) -> StepT | None:
        """One more step that may be asked in this scan."""
        return None

    def rest(self) -> None:
        """Everything is asked: say what is still to be said."""

    # --- asking -------------------------------------------------------------------------------------------------------

    def next(self) -> list[Answer] | None:
        """Answers to hand on now: all that are left, or, where that takes more than 100 ms, what is at hand by then.

        None: it waits; ask again when woken. Raises ConnectionLost, or what :meth:`silence` says where the device does
        not answer at all.
        """
        if self._lost is not None:
            raise self._lost
        while self._steps or self._more():
            step, pending = self._steps[0], self._pending
            if pending is None:
                now = self._clock.monotonic()
                if (later := self.not_before(step)) > now:
                    return self._put_off(later)
                self._asked_at = now
                pending = self._pending = self.ask(step)
            if not pending.over:
                if not self._may_wait():
                    return self._hand_on()
                pending.told = self._wake
                return None
            self._pending = None
            self._steps.popleft()
            try:
                self.judge(step, pending, self._asked_at)
            except ConnectionLost as fault:
                if not self._presentable:
                    raise
                self._lost = fault
                return self._hand_on()
            if self.silent:
                self.check_silence(at_end=False)
        if self.silent:
            self.check_silence(at_end=True)
        self.rest()
        self.over = True
        return self._hand_on()

    def check_silence(self, *, at_end: bool) -> None:
        """Raise where the device is not there."""
        if not self._lenient and not self.answered and self.silent and (at_end or self.silent >= _SILENCES):
            raise self.silence()

    def _more(self) -> bool:
        if (extra := self.extra()) is None:
            return False
        self._steps.append(extra)
        return True

    def close(self) -> None:
        """Abandon what is on its way."""
        self._stop_timer()
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None

    # --- waiting ------------------------------------------------------------------------------------------------------

    @property
    def _presentable(self) -> bool:
        """Whether there is something worth saying: of a device that may be offline nothing is, yet."""
        return bool(self._answers) and self.answered > 0

    def _put_off(self, until: float) -> list[Answer] | None:
        """Nothing is asked before that (monotonic) time."""
        if self._presentable:
            return self._hand_on()
        if self._timer is None:
            self._timer = self._clock.call_at(until, self._waited)
        return None

    def _may_wait(self) -> bool:
        """Whether what is at hand may wait for one more answer; wakes the scan when it may no longer."""
        loop = asyncio.get_running_loop()
        if not self._late_at:
            self._late_at = loop.time() + SCAN_YIELD_SECONDS
        if not self._presentable:
            return True
        if loop.time() >= self._late_at:
            return False
        if self._timer is None:
            self._timer = loop.call_at(self._late_at, self._late)
        return True

    def _late(self) -> None:
        self._late_at = -math.inf
        self._waited()

    def _waited(self) -> None:
        self._timer = None
        self._wake()

    def _hand_on(self) -> list[Answer]:
        if self._timer is not None:
            self._stop_timer()
        self._late_at = 0.0
        answers, self._answers = self._answers, []
        return answers

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
