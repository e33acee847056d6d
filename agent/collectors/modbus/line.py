"""One connection that several devices share: its sole owner, fair between units, patient with transactions.

A transaction in flight is never cancelled: whoever gives up waiting only abandons the answer, so that a late one cannot
be taken for the next (M13). The connection is made when somebody needs it, and closed when nobody is left.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from agent.collectors.modbus.transaction import BadReply, NoAnswer, Reply, Request
from agent.core.backoff import Backoff
from agent.core.clock import Clock
from agent.core.errors import ConnectionLost
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Repeats

CONNECT_SECONDS = 5.0
_GIVE_UP_AFTER = 3  #: unanswered requests in a row, of whatever unit; then the connection itself is doubted

log = get_logger("modbus")


class Wire(Protocol):
    """An open connection, as `wire.py` makes it."""

    @property
    def lost(self) -> str | None: ...
    @property
    def stale(self) -> int: ...
    async def transact(self, unit: int, request: Request) -> tuple[bytes, int]: ...
    def close(self) -> None: ...


class _Job(NamedTuple):
    unit: int
    request: Request | None  #: None: only connect
    answer: asyncio.Future[Reply]


class ModbusLine:
    """Implements `core.ports.Line` for Modbus. `run()` has to be running for anything to happen."""

    def __init__(self, name: str, connect: Callable[[], Awaitable[Wire]], clock: Clock) -> None:
        self.name = name
        self._connect = connect
        self._clock = clock
        self._wire: Wire | None = None
        self._since = 0.0  #: when the connection was made
        self._backoff = Backoff(first=0.5, cap=5.0)
        self._not_before = 0.0
        self._attempts = 0  #: to connect, that failed
        self._reason = "not connected yet"
        self._said_down = False
        self._unanswered = 0
        self._users = 0
        self._queues: dict[int, deque[_Job]] = {}
        self._turns: deque[int] = deque()  #: units with work, the next one first
        self._work = asyncio.Event()
        self._repeats = Repeats()

    @classmethod
    def tcp(cls, host: str, port: int, clock: Clock) -> ModbusLine:
        """A line over Modbus TCP. The library is imported when it first connects."""

        async def connect() -> Wire:
            from agent.collectors.modbus.wire import connect_tcp

            return await connect_tcp(host, port, CONNECT_SECONDS)

        return cls(f"{host}:{port}", connect, clock)

    # --- what collectors call -----------------------------------------------------------------------------------------

    @contextmanager
    def used(self) -> Iterator[None]:
        """While at least one is inside, the connection is kept."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            self._work.set()

    @property
    def connected(self) -> bool:
        """Whether the connection stands, as far as anybody knows."""
        return self._wire is not None and self._wire.lost is None

    async def ready(self) -> None:
        """Return once the connection stands. Raises ConnectionLost after an attempt failed; all who wait share it."""
        attempts = self._attempts
        while not self.connected:
            if self._attempts != attempts:
                raise ConnectionLost(self._reason)
            wait = self._not_before - self._clock.monotonic()
            if wait <= 0:
                await self._submit(_Job(-1, None, _future()))
                return
            await self._clock.sleep(wait)

    async def ask(self, unit: int, request: Request, /) -> Reply:
        return await self.submit(unit, request)

    def submit(self, unit: int, request: Request) -> asyncio.Future[Reply]:
        """`ask`, for those who wait on a future. Cancelling it abandons the answer."""
        return self._submit(_Job(unit, request, _future()))

    def _submit(self, job: _Job) -> asyncio.Future[Reply]:
        queue = self._queues.setdefault(job.unit, deque())
        if not queue:
            self._turns.append(job.unit)
        queue.append(job)
        self._work.set()
        return job.answer

    # --- the owner ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        try:
            while True:
                job = self._take()
                if job is not None:
                    await self._serve(job)
                    continue
                if not self._users:
                    self._close()
                self._work.clear()
                await self._work.wait()
        finally:
            self._close()
            self._fail_waiting("the line is stopped")

    def _take(self) -> _Job | None:
        """The next job of the unit whose turn it is."""
        while self._turns:
            unit = self._turns.popleft()
            queue = self._queues[unit]
            while queue and queue[0].answer.done():  # abandoned
                queue.popleft()
            job = queue.popleft() if queue else None
            if queue:
                self._turns.append(unit)
            else:
                del self._queues[unit]
            if job is not None:
                return job
        return None

    async def _serve(self, job: _Job) -> None:
        reply: Reply | None = None
        error: Exception | None = None
        try:
            wire = await self._connected()
            if job.request is None:
                reply = Reply(b"", 0, self._clock.now_ms())
            else:
                data, code = await wire.transact(job.unit, job.request)
                reply = Reply(data, code, self._clock.now_ms())
                self._unanswered = 0
        except (ConnectionLost, NoAnswer, BadReply) as fault:
            error = fault
            self._judge(fault, job)
        except Exception as bug:  # noqa: BLE001 - whose answer it is shall see it; the line serves the others
            error = bug
            self._close()
        finally:
            if not job.answer.done():
                if reply is not None:
                    job.answer.set_result(reply)
                else:
                    job.answer.set_exception(error or ConnectionLost("the line is stopped"))

    async def _connected(self) -> Wire:
        """The connection, made anew where it is gone. Raises ConnectionLost, at once while backing off."""
        if self._wire is not None:
            reason = self._wire.lost
            if reason is None:
                return self._wire
            self._down(reason)
        if self._clock.monotonic() < self._not_before:
            raise ConnectionLost(self._reason)
        try:
            self._wire = await self._connect()
        except ConnectionLost as fault:
            self._attempts += 1
            self._hold_off(fault.reason)
            if not self._said_down:
                self._said_down = True
                log.warning("modbus.disconnected", line=self.name, reason=fault.reason)
            raise
        self._since = self._clock.monotonic()
        self._unanswered = 0
        self._said_down = False
        log.info("modbus.connected", line=self.name)
        return self._wire

    def _judge(self, fault: ConnectionLost | NoAnswer | BadReply, job: _Job) -> None:
        """What a failed transaction says about the connection."""
        wire = self._wire
        if wire is None:
            return
        if isinstance(fault, ConnectionLost):
            self._down(fault.reason)
            self._hold_off(fault.reason)
        elif isinstance(fault, BadReply):
            suppressed = self._repeats.due(("bad", job.unit), self._clock.monotonic())
            if suppressed is not None:
                log.warning(
                    "modbus.bad_reply", line=self.name, unit=job.unit, reason=fault.reason, suppressed=suppressed
                )
            if wire.lost is not None:
                self._close()  # opened anew for the next request
        else:
            self._unanswered += 1
            if self._unanswered >= _GIVE_UP_AFTER or wire.lost is not None:
                self._unanswered = 0
                self._close()

    def _hold_off(self, reason: str) -> None:
        now = self._clock.monotonic()
        self._reason = reason
        self._not_before = now + self._backoff.failed(now - self._since if self._since else 0.0)
        self._since = 0.0

    def _down(self, reason: str) -> None:
        self._close()
        if not self._said_down:
            self._said_down = True
            log.warning("modbus.disconnected", line=self.name, reason=reason)

    def _close(self) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()

    def _fail_waiting(self, reason: str) -> None:
        while (job := self._take()) is not None:
            job.answer.set_exception(ConnectionLost(reason))


def _future() -> asyncio.Future[Reply]:
    return asyncio.get_running_loop().create_future()
