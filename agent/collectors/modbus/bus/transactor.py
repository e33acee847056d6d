"""One request of a bus carried out, and what its outcome says about the unit, the path to it and the connection."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from agent.collectors.modbus.bus.culprits import Culprits
from agent.collectors.modbus.bus.gateway import NO_PATH, NOT_THERE, PathBehind
from agent.collectors.modbus.bus.link import Link
from agent.collectors.modbus.bus.needs import Needs
from agent.collectors.modbus.bus.observer import Observer
from agent.collectors.modbus.bus.quiet import Quiet
from agent.collectors.modbus.bus.recording import Taps
from agent.collectors.modbus.bus.standing import UnitStanding
from agent.collectors.modbus.bus.transaction import (
    BadReply,
    NoAnswer,
    ReadRequest,
    Unanswered,
    UnitReply,
    Wire,
    WrongSize,
)
from agent.collectors.modbus.bus.turns import NOBODY
from agent.core.clock import Clock
from agent.core.errors import ConnectionLost
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Repeats

log = get_logger("modbus")


class Missed(NamedTuple):
    """A transaction that has begun, and had no answer."""

    wire: Wire
    asked_at: float  #: monotonic
    fault: Exception


class Transactor:
    """Of one bus, whose owner calls it for one request at a time."""

    def __init__(
        self, name: str, link: Link, needs: Needs, standing: UnitStanding, observer: Observer, clock: Clock
    ) -> None:
        self._name = name
        self._link = link
        self._needs = needs
        self._standing = standing
        self._observer = observer
        self._clock = clock
        self._repeats = Repeats()
        self._path = PathBehind(clock)
        self._last = (0.0, NOBODY)  #: when the newest transaction ended, and whose it was
        self.asked = NOBODY  #: unit of the transaction under way
        self.quiet = Quiet()
        self.culprits = Culprits()
        self.taps = Taps(clock)  #: who records what a unit is asked and answers

    async def answer(self, unit: int, request: ReadRequest, missed: Missed | None = None) -> UnitReply | None:
        """One transaction; None where its unit has to rest first, as is known only on a new connection.

        A connection that was answered on, and ended before a byte of this answer came, is made anew for it, once.
        `missed`: it has begun (`express.py`).
        """
        if missed is not None:
            wire = missed.wire
        elif self._path.closed:
            return UnitReply(b"", NO_PATH, self._clock.now_ms())
        else:
            if self._needs.pauses:
                await self._pause(unit)
            wire = await self._link.get(unit)
            if wire.rest(unit) > 0:
                return None
        try:
            return await self._transact(wire, unit, request, missed)
        except Unanswered as fault:
            if not self._link.proven:
                raise
            self._link.ended(fault.reason)
        wire = await self._link.get(unit)
        return None if wire.rest(unit) > 0 else await self._transact(wire, unit, request)

    def free(self, unit: int) -> bool:
        """Whether a transaction is no more than a request and its answer."""
        return unit not in self.taps.taken and not self._path.closed

    async def _pause(self, unit: int) -> None:
        ended, whose = self._last
        pause = max(self._needs.pauses.get(unit, 0.0), self._needs.pauses.get(whose, 0.0))
        await self._clock.sleep(ended + pause - self._clock.monotonic())

    def begin(self, unit: int) -> float:
        """A request goes out: now, monotonic."""
        asked_at = self._clock.monotonic()
        self.asked = unit
        self.quiet.asked(asked_at)
        return asked_at

    async def _transact(self, wire: Wire, unit: int, request: ReadRequest, missed: Missed | None = None) -> UnitReply:
        asked_at = self.begin(unit) if missed is None else missed.asked_at
        wanted, culprit = request.timeout, None
        if wire.numbered and not self._needs.alone:
            culprit = self._observer.patience.held_up_by(unit)
            if (timeout := self._patience(unit, wanted, asked_at)) != wanted:
                request = replace(request, timeout=timeout)
        try:
            if missed is not None:
                raise missed.fault
            data, code = await self.taps.transact(wire, unit, request)
        except NoAnswer as silence:
            self._over(unit, asked_at, wanted, culprit)
            self._path.silent(unit)
            self.quiet.silent(unit, asked_at, self._clock.monotonic())
            self._standing.silent(unit, self._clock.monotonic() - asked_at)
            deaf = self._needs.alone and not self._link.proven
            raise self._observer.silence(silence, wire, unit, request, asked_at, deaf=deaf) from None
        except WrongSize:
            self._over(unit, asked_at, wanted, culprit, answered=True)
            self._standing.answered(unit, 0.0)
            self._link.answered(unit)
            self.quiet.answered(unit, asked_at, asked_at)
            raise
        except BaseException:
            self._over(unit, asked_at, wanted, culprit)
            raise
        return self.answered(wire, unit, wanted, asked_at, data, code, culprit)

    def _over(
        self, unit: int, asked_at: float, wanted: float, culprit: int | None = None, *, answered: bool = False
    ) -> float:
        """The transaction has ended: now, monotonic. `culprit`: the unit that held up this one."""
        now = self._clock.monotonic()
        self._last, self.asked = (now, unit), NOBODY
        if culprit is not None and now - asked_at > wanted:
            self.culprits.took(now, culprit, now - asked_at, answered=False)
        else:
            self.culprits.took(now, unit, now - asked_at, answered=answered)
        return now

    def answered(
        self, wire: Wire, unit: int, wanted: float, asked_at: float, data: bytes, code: int, culprit: int | None = None
    ) -> UnitReply:
        """The answer, and what it says about who gave it."""
        there = code not in NOT_THERE
        now = self._over(unit, asked_at, wanted, culprit, answered=there)
        self._link.answered(unit)
        self._path.answered(unit, code, now)
        self.quiet.answered(unit, asked_at, now, there=there)
        if wire.late or wire.strangers or wire.doubled or self._observer.doubt is not None:
            self._observer.look(wire)
        if not self._needs.alone:
            if wire.numbered:
                self._observer.answered(unit, wanted, asked_at)
            standing = self._standing
            judged = standing.silent if not there else standing.refused if code else standing.answered
            judged(unit, now - asked_at)
        return UnitReply(data, code, self._clock.now_ms(), self._observer.doubt)

    def _patience(self, unit: int, wanted: float, now: float) -> float:
        """Seconds to wait for a unit where a late answer names its request."""
        patience = self._observer.patience
        timeout = patience.timeout(unit, wanted, now)
        return self._standing.patience(unit, wanted) if timeout == wanted and patience.known else timeout

    def judge(self, fault: ConnectionLost | NoAnswer | BadReply, unit: int) -> None:
        """What a failed transaction says about the connection."""
        wire = self._link.wire
        if wire is None:
            return
        if isinstance(fault, ConnectionLost):
            self._link.failed(fault.reason)
        elif isinstance(fault, BadReply):
            if (repeats := self._repeats.due(("bad", unit), self._clock.monotonic())) is not None:
                log.warning("modbus.bad_reply", bus=self._name, unit=unit, reason=fault.reason, repeats=repeats)
            if wire.lost is not None:
                self._link.close(on_purpose=True)  # opened anew for the next request
        else:
            self._link.unanswered(unit)
