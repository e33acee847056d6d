"""Where 4G data terminal units dial in: the agent listens, and a DTU says by its first bytes who it is.

A DTU sits behind its operator's NAT and cannot be dialled. It connects to the agent, sends its registration (its
number, say) and from then on passes bytes through, with a heartbeat now and then. Several may use one port. A DTU that
comes again replaces its old connection, which is dead even if nobody has noticed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from agent.collectors.common.sockets import keep_alive
from agent.collectors.modbus.bus.dial import reason_of
from agent.core.clock import Clock
from agent.core.errors import ConnectionLost, TransientError
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Repeats

log = get_logger("modbus")

_INTRODUCTION_SECONDS = 30.0  #: for a visitor to say who it is
_VISITORS = 64  #: who have not said it yet; more are turned away
_LONGEST = 512


class DialIn:
    """One listening port. Implements `core.ports.Bus`: what is asked for is the connection of a DTU."""

    def __init__(self, host: str, port: int, clock: Clock) -> None:
        self.host, self.port = host, port  #: port: the real one once it listens
        self._clock = clock
        self._expected: dict[bytes, asyncio.Future[Caller]] = {}
        self._here: dict[bytes, Caller] = {}  #: the newest connection of each DTU
        self._known: dict[object, bytes] = {}  #: registrations, by who expects them
        self._visitors: set[Caller] = set()  #: who have not introduced themselves yet
        self._listening = False
        self._repeats = Repeats()

    async def run(self) -> None:
        """Listen until cancelled. Raises TransientError where the port cannot be had."""
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(lambda: Caller(self), self.host, self.port)
        except OSError as error:
            raise TransientError(f"cannot listen on {self.host}:{self.port}: {reason_of(error)}") from None
        self.port = server.sockets[0].getsockname()[1]
        self._listening = True
        log.info("modbus.listening", bus=f"{self.host}:{self.port}")
        try:
            await loop.create_future()
        finally:
            self._listening = False
            server.close()
            for caller in [*self._visitors, *self._here.values()]:
                caller.close()
            await server.wait_closed()

    def expect(self, registration: bytes) -> Callable[[], None]:
        """A DTU that introduces itself like this is wanted until the undo is called; empty: any device may connect."""
        key = object()
        self._known[key] = registration

        def undo() -> None:
            self._known.pop(key, None)
            if registration not in self._known.values() and (caller := self._here.pop(registration, None)):
                caller.close()

        return undo

    async def ask(self, unit: int, registration: bytes, /) -> Caller:  # noqa: ARG002 - the port's
        """A connection of this DTU that nobody has used yet, now or when it dials in. One waits for each."""
        caller = self._here.get(registration)
        if caller is not None and caller.fresh:
            return caller
        waiting: asyncio.Future[Caller] = asyncio.get_running_loop().create_future()
        self._expected[registration] = waiting
        try:
            return await waiting
        finally:
            self._expected.pop(registration, None)

    # --- callers ------------------------------------------------------------------------------------------------------

    def admit(self, caller: Caller) -> bool:
        """A new visitor; False: there are too many, or we are leaving."""
        if not self._listening or len(self._visitors) >= _VISITORS:
            return False
        self._visitors.add(caller)
        return True

    def registration_in(self, said: bytes, *, final: bool = False) -> bytes | None:
        """Which registration these first bytes are; None: more has to come. ValueError: none that is expected."""
        longer = any(known.startswith(said) and len(known) > len(said) for known in self._known.values())
        if longer and not final:
            return None
        fitting = [known for known in self._known.values() if said.startswith(known)]
        if not fitting:
            raise ValueError("nobody is expected to say so")
        return max(fitting, key=len)

    def arrived(self, caller: Caller, registration: bytes) -> None:
        """A caller has introduced itself. What it had before is dead."""
        self._visitors.discard(caller)
        old = self._here.pop(registration, None)
        if old is not None:
            old.close()
        self._here[registration] = caller
        waiting = self._expected.pop(registration, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(caller)

    def unknown(self, caller: Caller, said: bytes) -> None:
        """Somebody nobody expects."""
        repeats = self._repeats.due("unknown", self._clock.monotonic())
        if repeats is not None:
            log.warning(
                "modbus.dtu_unknown",
                bus=f"{self.host}:{self.port}",
                peer=caller.peer,
                said=said[:32].hex(" "),
                repeats=repeats,
            )

    def left(self, caller: Caller) -> None:
        """A caller is gone before anybody used it."""
        self._visitors.discard(caller)
        for registration, other in list(self._here.items()):
            if other is caller:
                del self._here[registration]


class Caller(asyncio.Protocol):
    """A connection that was dialled in; until it is handed over, the protocol that listens to its introduction."""

    def __init__(self, hall: DialIn) -> None:
        self._hall = hall
        self._transport: asyncio.Transport | None = None
        self._said = b""
        self._registration: bytes | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.fresh = True  #: nobody has used it, and it stands
        self.peer = ""

    def hand_over(self, protocol: asyncio.Protocol) -> None:
        """From now on its bytes are this protocol's, those behind the registration first. ConnectionLost: too late."""
        transport, said = self._transport, self._said[len(self._registration or b"") :]
        if transport is None or not self.fresh:
            raise ConnectionLost("the DTU has hung up")
        self.fresh = False
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if said:
            protocol.data_received(said)

    def close(self) -> None:
        """Hang up."""
        self.fresh = False
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one, but not by inheritance
        self.peer = str(transport.get_extra_info("peername"))
        keep_alive(transport.get_extra_info("socket"))
        if not self._hall.admit(self):
            self.close()
            return
        self._timer = asyncio.get_running_loop().call_later(_INTRODUCTION_SECONDS, self._listen, True)
        self._listen()

    def data_received(self, data: bytes) -> None:
        self._said += data
        if len(self._said) > _LONGEST:
            self._hall.unknown(self, self._said)
            self.close()
        elif self._registration is None:
            self._listen()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        self.close()
        self._transport = None
        self._hall.left(self)

    def _listen(self, final: bool = False) -> None:
        try:
            registration = self._hall.registration_in(self._said, final=final)
        except ValueError:
            self._hall.unknown(self, self._said)
            self.close()
            return
        if registration is not None and self._timer is not None:
            self._timer.cancel()
            self._registration = registration
            self._hall.arrived(self, registration)
