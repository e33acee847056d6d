"""Where 4G data terminal units dial in: the agent listens, and a DTU says by its first bytes who it is.

A DTU sits behind its operator's NAT and cannot be dialled. It connects to the agent, sends its registration (its
number, say) and from then on passes bytes through, with a heartbeat now and then. Several may use one port. A DTU that
comes again replaces its old connection, which is dead even if nobody has noticed.
"""

from __future__ import annotations

import asyncio

from agent.collectors.common.dialin import DialIn, DialledIn
from agent.core.clock import Clock
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Repeats

log = get_logger("modbus")

_INTRODUCTION_SECONDS = 30.0  #: for a visitor to say who it is
_LONGEST = 512


class DtuPort(DialIn[bytes, "DtuConnection"]):
    """One listening port. DTUs are known by their registration; an empty one is whatever device connects."""

    def __init__(self, host: str, port: int, clock: Clock) -> None:
        super().__init__(host, port, _INTRODUCTION_SECONDS)
        self._clock = clock
        self._repeats = Repeats()

    def visitor(self) -> DtuConnection:
        return DtuConnection(self)

    def opened(self) -> None:
        log.info("modbus.listening", bus=self.name)

    def registration_in(self, said: bytes, *, final: bool = False) -> bytes | None:
        """Which registration these first bytes are; None: more has to come. ValueError: none that is expected."""
        expected = self._expected.values()
        longer = any(known.startswith(said) and len(known) > len(said) for known in expected)
        if longer and not final:
            return None
        fitting = [known for known in expected if said.startswith(known)]
        if not fitting:
            raise ValueError("nobody is expected to say so")
        return max(fitting, key=len)

    def crowded(self, caller: DialledIn) -> None:
        self._refused(caller, "crowded", "too many, or too many of its address, have yet to say who they are")

    def foreign(self, caller: DialledIn) -> None:
        self._refused(caller, "foreign", "`allow` has no network it comes from")

    def taken_over(self, caller: DtuConnection, before: DtuConnection) -> None:
        if (repeats := self._repeats.due("taken over", self._clock.monotonic())) is not None:
            log.warning("modbus.dtu_taken_over", bus=self.name, peer=caller.peer, before=before.peer, repeats=repeats)

    def _refused(self, caller: DialledIn, why: str, reason: str) -> None:
        if (repeats := self._repeats.due(why, self._clock.monotonic())) is not None:
            log.warning("modbus.dtu_refused", bus=self.name, peer=caller.peer, reason=reason, repeats=repeats)

    def unknown(self, caller: DtuConnection, said: bytes) -> None:
        """Somebody nobody expects."""
        if (repeats := self._repeats.due("unknown", self._clock.monotonic())) is not None:
            shown = said[:32].hex(" ")
            log.warning("modbus.dtu_unknown", bus=self.name, peer=caller.peer, said=shown, repeats=repeats)


class DtuConnection(DialledIn):
    """A connection that was dialled in."""

    def __init__(self, port: DtuPort) -> None:
        super().__init__(port)
        self._port = port
        self._registration: bytes | None = None

    def hand_over(self, protocol: asyncio.Protocol) -> None:
        """From now on its bytes are this protocol's, those behind the registration first. ConnectionLost: too late."""
        super().hand_over(protocol)
        if said := self._said[len(self._registration or b"") :]:
            protocol.data_received(said)

    def hear(self) -> None:
        if len(self._said) > _LONGEST:
            self._port.unknown(self, self._said)
            self.close()
        elif self._registration is None:
            self._listen()

    def too_slow(self) -> None:
        self._listen(final=True)

    def _listen(self, *, final: bool = False) -> None:
        try:
            registration = self._port.registration_in(self._said, final=final)
        except ValueError:
            self._port.unknown(self, self._said)
            self.close()
            return
        if registration is not None:
            self.known()
            self._registration = registration
            self._port.introduced(self, registration)
