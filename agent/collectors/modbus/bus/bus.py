"""One connection that several devices share: its sole owner, fair between units, patient with transactions.

A transaction in flight is never cancelled: whoever gives up waiting only abandons the answer, so that a late one cannot
be taken for the next (M13). The connection is made when somebody needs it, and closed when nobody is left.

A unit that has to rest (its late answer may still come) is passed over, its neighbours are not. When a gateway has no
path to any unit behind it (exception 0A), nobody asks it for a while: it says so once per back-off, not once per unit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from agent.collectors.modbus.bus.culprits import Culprits
from agent.collectors.modbus.bus.gateway import NO_PATH, NOT_THERE, PathBehind
from agent.collectors.modbus.bus.manners import Manners
from agent.collectors.modbus.bus.transaction import BadReply, NoAnswer, Reply, Request, Wire
from agent.collectors.modbus.bus.turns import NOBODY, PendingRequest, Turns
from agent.core.backoff import Backoff
from agent.core.clock import Clock
from agent.core.errors import ConnectionLost
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Repeats

_SHARE_SECONDS = 5.0  #: for which a bus with busy devices keeps others from the connection they share

log = get_logger("modbus")


class ModbusBus:
    """Implements `core.ports.Bus` for Modbus. `run()` has to be running for anything to happen."""

    def __init__(
        self, name: str, connect: Callable[[], Awaitable[Wire]], clock: Clock, manners: Manners | None = None
    ) -> None:
        self.name = name
        self._connect = connect
        self._clock = clock
        self._manners = manners or Manners()
        self._wire: Wire | None = None
        self._since = 0.0  #: when the connection was made
        self._backoff = Backoff(first=0.5, cap=5.0)
        self._not_before = 0.0
        self._attempts = 0  #: to connect, that failed
        self._reason = "not connected yet"
        self._said: bool | None = None  #: what the log last said of the connection: up or down
        self._on_purpose = False  #: closed by us, to be opened again when somebody asks
        self._unanswered = 0
        self._users = 0
        self._cycles: set[object] = set()  #: those in the middle of a cycle
        self._turns = Turns()
        self._work = asyncio.Event()
        self._repeats = Repeats()
        self._path = PathBehind(clock)
        self.culprits = Culprits()
        self._pauses: dict[int, float] = {}
        self._any_unit: set[int] = set()
        self._last = (0.0, NOBODY)  #: when the newest transaction ended, and whose it was

    # --- what collectors call -----------------------------------------------------------------------------------------

    def know(self, unit: int, *, pause: float = 0.0, any_unit: bool = False) -> None:
        """What one unit needs: a pause before and after its requests; being taken at its word under any unit id."""
        if pause:
            self._pauses[unit] = max(pause, self._pauses.get(unit, 0.0))
        if any_unit:
            self._any_unit.add(unit)

    @contextmanager
    def used(self) -> Iterator[None]:
        """While at least one is inside, the connection is kept."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            self._work.set()

    def courtesy(self, unit: int) -> float:
        """Seconds for which a unit that kept silent once more leaves the bus to others in need of it."""
        return self.culprits.courtesy(unit, self._clock.monotonic()) if self._users > 1 else 0.0

    def cycle(self, whose: object, *, begins: bool) -> None:
        """A cycle of somebody begins or is over: with `close_after_cycle` the connection lives no longer than that."""
        if begins:
            self._cycles.add(whose)
        else:
            self._cycles.discard(whose)
            self._work.set()

    @property
    def connected(self) -> bool:
        """Whether the connection stands, as far as anybody knows, or is closed on purpose between two cycles."""
        return self._on_purpose if self._wire is None else self._wire.lost is None

    async def ready(self) -> None:
        """Return once the connection stands. Raises ConnectionLost after an attempt failed; all who wait share it."""
        attempts = self._attempts
        while not self.connected:
            if self._attempts != attempts:
                raise ConnectionLost(self._reason)
            wait = self._not_before - self._clock.monotonic()
            if wait <= 0:
                await self._submit(PendingRequest(NOBODY, None, _future()))
                return
            await self._clock.sleep(wait)

    async def ask(self, unit: int, request: Request, /) -> Reply:
        return await self.submit(unit, request)

    def submit(self, unit: int, request: Request) -> asyncio.Future[Reply]:
        """`ask`, for those who wait on a future. Cancelling it abandons the answer."""
        return self._submit(PendingRequest(unit, request, _future()))

    def _submit(self, job: PendingRequest) -> asyncio.Future[Reply]:
        self._turns.put(job)
        self._work.set()
        return job.answer

    # --- the owner ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        me = asyncio.current_task()
        cancelled = me.cancelling() if me else 0
        try:
            while True:
                if me and me.cancelling() > cancelled:
                    raise asyncio.CancelledError  # swallowed by the library's wait_for: the answer came with it
                self._work.clear()
                self._make_room()
                job = self._turns.take(self._rest)
                if isinstance(job, PendingRequest):
                    await self._serve(job)
                    continue
                if not self._users:
                    self._close()
                elif self._manners.close_after_cycle and not self._cycles and self._wire is not None:
                    self._close(on_purpose=True)
                await self._idle(job)
        finally:
            self._close()
            while isinstance(job := self._turns.take(), PendingRequest):
                job.answer.set_exception(ConnectionLost("the bus is stopped"))

    async def _idle(self, seconds: float | None) -> None:
        """Wait for work, or until a unit need not rest any more."""
        if seconds is None:
            await self._work.wait()
            return
        timer = asyncio.get_running_loop().call_later(seconds, self._work.set)
        try:
            await self._work.wait()
        finally:
            timer.cancel()

    def _make_room(self) -> None:
        """Leave the door to others that want in: between cycles, or when they have waited for long."""
        door = self._manners.door
        if door is not None and self._wire is not None and door.wanted:
            long = self._clock.monotonic() - self._since > _SHARE_SECONDS
            if long or not self._cycles:
                self._close(on_purpose=True)

    def _rest(self, unit: int) -> float:
        return 0.0 if self._wire is None or self._wire.lost is not None else self._wire.rest(unit)

    async def _serve(self, job: PendingRequest) -> None:
        reply: Reply | None = None
        error: Exception | None = None
        try:
            wire = await self._connected(job.unit)
            if wire.rest(job.unit) > 0:  # known only now, on a new connection
                self._turns.put(job)
                return
            if job.request is None:
                reply = Reply(b"", 0, self._clock.now_ms())
            elif self._path.closed:
                reply = Reply(b"", NO_PATH, self._clock.now_ms())
            else:
                reply = await self._transact(wire, job.unit, job.request)
        except (ConnectionLost, NoAnswer, BadReply) as fault:
            error = fault
            self._judge(fault, job)
        except Exception as bug:  # noqa: BLE001 - whose answer it is shall see it; the bus serves the others
            error = bug
            self._close()
        except asyncio.CancelledError:
            error = ConnectionLost("the bus is stopped")
            raise
        finally:
            if not job.answer.done():
                if reply is not None:
                    job.answer.set_result(reply)
                elif error is not None:
                    job.answer.set_exception(error)

    async def _transact(self, wire: Wire, unit: int, request: Request) -> Reply:
        if self._pauses:
            ended, whose = self._last
            pause = max(self._pauses.get(unit, 0.0), self._pauses.get(whose, 0.0))
            await self._clock.sleep(ended + pause - self._clock.monotonic())
        began, answered = self._clock.monotonic(), False
        try:
            data, code = await wire.transact(unit, request)
            answered = code not in NOT_THERE
        except NoAnswer:
            self._path.silent(unit)
            raise
        finally:
            now = self._clock.monotonic()
            self._last = now, unit
            self.culprits.took(now, unit, now - began, answered=answered)
        self._unanswered = 0
        if not self._said:  # only now: a peer may well accept connections and never answer
            self._said = True
            log.info("modbus.connected", bus=self.name)
        self._path.answered(unit, code)
        return Reply(data, code, self._clock.now_ms())

    async def _connected(self, unit: int) -> Wire:
        """The connection, made anew where it is gone. Raises ConnectionLost, at once while backing off."""
        if self._wire is not None:
            reason = self._wire.lost
            if reason is not None:
                self._down(reason)
            elif not self._wire.renew(unit):
                return self._wire
            else:
                self._close(on_purpose=True)
        if self._clock.monotonic() < self._not_before:
            raise ConnectionLost(self._reason)
        door = self._manners.door
        if door is not None:
            await door.ask(0, self._work.set)
        try:
            self._wire = await self._connect()
        except ConnectionLost as fault:
            self._attempts += 1
            self._on_purpose = False
            self._hold_off(fault.reason)
            self._say_down(fault.reason)
            raise
        finally:
            if door is not None and self._wire is None:
                door.leave()
        self._wire.any_unit = self._any_unit
        self._since = self._clock.monotonic()
        self._unanswered = 0
        self._on_purpose = False
        if self._manners.pause_after_connect:
            await self._clock.sleep(self._manners.pause_after_connect)
        return self._wire

    def _judge(self, fault: ConnectionLost | NoAnswer | BadReply, job: PendingRequest) -> None:
        """What a failed transaction says about the connection."""
        wire = self._wire
        if wire is None:
            return
        if isinstance(fault, ConnectionLost):
            self._down(fault.reason)
            self._hold_off(fault.reason)
        elif isinstance(fault, BadReply):
            repeats = self._repeats.due(("bad", job.unit), self._clock.monotonic())
            if repeats is not None:
                log.warning("modbus.bad_reply", bus=self.name, unit=job.unit, reason=fault.reason, repeats=repeats)
            if wire.lost is not None:
                self._close(on_purpose=True)  # opened anew for the next request
        else:
            self._unanswered += 1
            if self._unanswered >= self._manners.doubt_after or wire.lost is not None:
                self._unanswered = 0
                self._close(on_purpose=True)

    def _hold_off(self, reason: str) -> None:
        now = self._clock.monotonic()
        self._reason = reason
        self._not_before = now + self._backoff.failed(now - self._since if self._since else 0.0)
        self._since = 0.0

    def _down(self, reason: str) -> None:
        self._close()
        self._say_down(reason)

    def _say_down(self, reason: str) -> None:
        if self._said is False:
            return
        repeats = self._repeats.due("down", self._clock.monotonic())
        if repeats is not None:  # else it stays "up" in the log, so that its return is not said either
            self._said = False
            log.warning("modbus.disconnected", bus=self.name, reason=reason, repeats=repeats)

    def _close(self, *, on_purpose: bool = False) -> None:
        wire, self._wire = self._wire, None
        self._on_purpose = on_purpose
        if wire is not None:
            wire.close()
            if self._manners.door is not None:
                self._manners.door.leave()


def _future() -> asyncio.Future[Reply]:
    return asyncio.get_running_loop().create_future()
