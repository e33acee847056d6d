"""One connection that several devices share: its sole owner, fair between units, patient with transactions.

A transaction in flight is never cancelled: whoever gives up waiting only abandons the answer, so that a late one cannot
be taken for the next (M13). The connection is made when somebody needs it, and closed when nobody is left.

A unit that has to rest (its late answer may still come) is passed over, its neighbours are not; units that are lost
share a tenth of the time (`standing.py`). When a gateway has no path to any unit behind it (exception 0A), nobody asks
it for a while: it says so once per back-off, not once per unit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from agent.collectors.modbus.bus.allowance import Allowance
from agent.collectors.modbus.bus.express import Express
from agent.collectors.modbus.bus.link import Link
from agent.collectors.modbus.bus.manners import Manners
from agent.collectors.modbus.bus.needs import Needs
from agent.collectors.modbus.bus.observer import Observer
from agent.collectors.modbus.bus.standing import UnitStanding
from agent.collectors.modbus.bus.transaction import BadReply, NoAnswer, ReadRequest, UnitReply, Wire
from agent.collectors.modbus.bus.transactor import Missed, Transactor
from agent.collectors.modbus.bus.turns import NOBODY, PendingRequest, Turns
from agent.core.clock import Clock
from agent.core.errors import ConnectionLost
from agent.core.smallevent import SmallEvent


class ModbusBus:
    """Implements `core.ports.Bus` for Modbus. `run()` has to be running for anything to happen."""

    def __init__(
        self, name: str, connect: Callable[[], Awaitable[Wire]], clock: Clock, manners: Manners | None = None
    ) -> None:
        self.name = name
        self.searching = Allowance(clock.monotonic())  #: for what its devices ask beyond their blocks
        self._clock = clock
        self._manners = manners or Manners()
        self._closes_between = self._manners.close_after_cycle or self._manners.door is not None  #: between two cycles
        self._needs = Needs()
        self._work = SmallEvent()
        self._link = Link(name, connect, clock, self._manners, self._needs.any_unit, self._work.set)
        self._standing = UnitStanding(clock)
        self._observer = Observer(name, clock, self._standing)
        self._users = 0
        self._cycles: set[object] = set()  #: those in the middle of a cycle
        self._turns = Turns()
        self._transactor = Transactor(name, self._link, self._needs, self._standing, self._observer, clock)
        self._express = Express(self._transactor, self._link, self._needs, self._work.set)
        self.culprits = self._transactor.culprits
        self.taps = self._transactor.taps

    # --- what collectors call -----------------------------------------------------------------------------------------

    def know(self, unit: int, *, pause: float = 0.0, any_unit: bool = False) -> Callable[[], None]:
        """What one unit needs until the undo is called: a pause before and after its requests; being taken at its word
        under any unit id.
        """
        return self._needs.add(unit, pause, any_unit=any_unit)

    def lost(self, unit: int) -> None:
        """This unit does not answer: until it does, it shares a tenth of the time with others like it."""
        self._standing.lost(unit)

    def forget(self, unit: int) -> None:
        """Nobody reads this unit for now."""
        self._standing.forget(unit)
        self._transactor.quiet.forget(unit)

    def unanswered(self, unit: int) -> float | None:
        """Since when (monotonic) this unit is asked in vain; None: it answers, or is not asked."""
        waits = unit == self._transactor.asked or self._turns.waits(unit)
        return self._transactor.quiet.since(unit, self._clock.monotonic(), waits=waits)

    @property
    def alone(self) -> bool:
        """Whether one unit has it to itself."""
        return self._needs.alone

    @property
    def shared(self) -> str | None:
        """Why what comes over this bus may be meant for somebody else; None: it is ours alone."""
        return self._observer.shared

    @contextmanager
    def used(self) -> Iterator[None]:
        """While at least one is inside, the connection is kept."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            self._work.set()

    def cycle(self, whose: object, *, begins: bool) -> None:
        """A cycle of somebody begins or is over: with `close_after_cycle` the connection lives no longer than that."""
        if not self._closes_between:
            return
        if begins:
            self._cycles.add(whose)
        else:
            self._cycles.discard(whose)
            self._work.set()

    @property
    def connected(self) -> bool:
        """Whether the connection stands, as far as anybody knows, or is closed on purpose between two cycles."""
        return self._link.up

    async def ready(self) -> None:
        """Return once the connection stands. Raises ConnectionLost after an attempt failed; all who wait share it."""
        attempts = self._link.attempts
        while not self.connected:
            if self._link.attempts != attempts:
                raise ConnectionLost(self._link.reason)
            wait = self._link.holds_off
            if wait <= 0:
                await self._put(PendingRequest(NOBODY, None))
                return
            await self._clock.sleep(wait)

    async def ask(self, unit: int, request: ReadRequest, /) -> UnitReply:
        job = self.submit(unit, request)
        try:
            return await job
        finally:
            job.cancel()

    def submit(self, unit: int, request: ReadRequest) -> PendingRequest:
        """`ask`, for those who wait in turns. Cancelling it abandons the answer."""
        job = PendingRequest(unit, request)
        if not self._work.is_set() and self._express.send(job):
            return job
        return self._put(job)

    def _put(self, job: PendingRequest) -> PendingRequest:
        self._turns.put(job)
        self._work.set()
        return job

    # --- the owner ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        me = asyncio.current_task()
        cancelled = me.cancelling() if me else 0
        try:
            while True:
                if me and me.cancelling() > cancelled:
                    raise asyncio.CancelledError  # swallowed by the library's wait_for: the answer came with it
                self._work.clear()
                if self._express.job is not None:
                    if (left := self._express.take()) is not None:
                        await self._serve(*left)
                    else:
                        await self._work.wait()
                    continue
                self._link.make_room(busy=bool(self._cycles))
                job = self._turns.take(self._rest, None if self._needs.alone else self._standing.waits_behind)
                if isinstance(job, PendingRequest):
                    await self._serve(job)
                    continue
                seconds = self._let_go(job)
                self._express.open = seconds is None and self._users > 0 and not self._closes_between
                await self._idle(seconds)
                self._express.open = False
        finally:
            self._link.close()
            stopped = ConnectionLost("the bus is stopped")
            self._express.open = False
            self._express.stop(stopped)
            while isinstance(job := self._turns.take(), PendingRequest):
                job.fail(stopped)

    def _let_go(self, until: float | None) -> float | None:
        """Close the connection where nobody needs it. How long to wait for work at most."""
        if not self._users:
            deaf = self._link.deaf_until - self._clock.monotonic()
            if deaf > 0:
                return deaf if until is None else min(deaf, until)
            self._link.close()
        elif self._manners.close_after_cycle and not self._cycles and self._link.wire is not None:
            self._link.close(on_purpose=True)
        return until

    async def _idle(self, seconds: float | None) -> None:
        """Wait for work, or until a unit need not rest any more."""
        timer = None if seconds is None else asyncio.get_running_loop().call_later(seconds, self._work.set)
        try:
            await self._work.wait()
        finally:
            if timer is not None:
                timer.cancel()

    def _rest(self, unit: int) -> float:
        wire = self._link.wire
        rest = 0.0 if wire is None or wire.lost is not None else wire.rest(unit)
        if self._needs.alone:
            return rest
        patience = self._observer.patience
        silent = patience.held_up_by(unit)
        if silent is not None and self._standing.unproven(unit, silent):
            rest = max(rest, patience.held_for(self._clock.monotonic()))
        return max(rest, self._standing.wait(unit))

    async def _serve(self, job: PendingRequest, missed: Missed | None = None) -> None:
        reply: UnitReply | None = None
        error: Exception | None = None
        try:
            if job.request is None:
                await self._link.get(job.unit)
                reply = UnitReply(b"", 0, self._clock.now_ms())
            else:
                reply = await self._transactor.answer(job.unit, job.request, missed)
                if reply is None:  # it has to rest
                    self._turns.put(job)
                    return
        except (ConnectionLost, NoAnswer, BadReply) as fault:
            error = fault
            self._transactor.judge(fault, job.unit)
        except Exception as bug:  # noqa: BLE001 - whose answer it is shall see it; the bus serves the others
            error = bug
            self._link.close()
        except asyncio.CancelledError:
            error = ConnectionLost("the bus is stopped")
            raise
        finally:
            if reply is not None:
                job.answer(reply)
            elif error is not None:
                job.fail(error)
