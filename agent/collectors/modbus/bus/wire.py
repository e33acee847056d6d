"""One Modbus TCP connection, its datagram and TLS forms too. With `mbap.py` all that touches the library."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from typing import cast

from pymodbus.transport import CommParams, CommType

from agent.collectors.modbus.bus.dial import dial, dial_datagrams
from agent.collectors.modbus.bus.dialin import DtuConnection
from agent.collectors.modbus.bus.mbap import (
    HEADER,
    OWN_IDS,
    STRICT,
    MbapHabits,
    MbapTransactions,
    other_protocol,
    own_length,
)
from agent.collectors.modbus.bus.mbap_read import OWN_LENGTH, MbapRead
from agent.collectors.modbus.bus.transaction import (
    BadReply,
    HalfAnswer,
    NoAnswer,
    ReadRequest,
    Unanswered,
    WrongSize,
)
from agent.core.errors import ConnectionLost, TransientError
from agent.settings.tls import TLSSettings, client_context


class MbapWire:
    """An open connection. Used by one task, one transaction at a time."""

    def __init__(self, transactions: MbapTransactions) -> None:
        self._transactions = transactions
        self.any_unit: AbstractSet[int] = frozenset()  #: units that answer with another unit id
        self.numbered = not transactions.habits.any_transaction
        self.late = transactions.late
        self.doubled = 0  #: they name a transaction that is over
        self.strangers: list[float] = []  #: who shares a network shares no answers

    def hint(self, words: str) -> None:
        """What to say in addition should the peer close the connection."""
        self._transactions.hint = f" ({words})"

    @property
    def prompt(self) -> MbapWire:
        """A transaction may begin at once."""
        return self

    def rest(self, unit: int) -> float:  # noqa: ARG002 - a late answer names its transaction
        """A unit may be asked at any time."""
        return 0.0

    def renew(self, unit: int) -> bool:  # noqa: ARG002 - the same
        """Nothing is left over that could be mistaken."""
        return False

    @property
    def lost(self) -> str | None:
        """Why the connection is gone or not to be used any more; None while it is good."""
        inner = self._transactions
        if inner.lost is None and inner.unclean is None and inner.recv_buffer and inner.asked is None:
            inner.unclean = "half a reply is left over"
        return inner.lost or inner.unclean

    @property
    def stale(self) -> int:
        """Late answers thrown away so far."""
        return self._transactions.stale

    async def transact(self, unit: int, request: ReadRequest) -> tuple[bytes, int]:
        """One read: data bytes and 0, or b"" and an exception code.

        Raises NoAnswer, BadReply (afterwards :attr:`lost` may be set) or ConnectionLost.
        """
        if (lost := self.lost) is not None:
            raise Unanswered(lost)
        if self._transactions.transport is None:
            raise Unanswered("not connected")
        gate = asyncio.get_running_loop().create_future()
        asked = self.send(unit, request, lambda _: None if gate.done() else gate.set_result(None))
        try:
            await gate
        finally:
            self._transactions.forget(asked)
        return self.outcome(asked)

    def send(self, unit: int, request: ReadRequest, ended: Callable[[MbapRead], None]) -> MbapRead:
        """Send it now; the wire is not lost, and nothing else under way. `ended` is called once, at its end."""
        inner = self._transactions
        asked = MbapRead(unit, request, inner.habits.monotonic(), ended)
        inner.any_unit = unit in self.any_unit
        inner.ask(asked)
        return asked

    def outcome(self, asked: MbapRead) -> tuple[bytes, int]:
        """Of what has ended: see :meth:`transact`."""
        error, size = asked.error, asked.request.size
        if error is None and (asked.exception_code or len(asked.data) == size or size < 0):
            return asked.data, asked.exception_code
        if error is not None:
            if isinstance(error, TimeoutError):
                raise self._silence(asked)
            raise self._lost_on_the_way(error.reason) if isinstance(error, ConnectionLost) else error
        raise WrongSize(f"{len(asked.data)} data bytes instead of {size}")

    def _lost_on_the_way(self, reason: str) -> ConnectionLost:
        return ConnectionLost(reason) if self._transactions.touched else Unanswered(reason)

    def _silence(self, asked: MbapRead) -> TransientError:
        """No whole answer came in time. Why, where that can be told."""
        inner, unit = self._transactions, asked.dev_id
        buffer = inner.recv_buffer
        if len(buffer) > HEADER.size + 1 and len(buffer) == HEADER.size + own_length(buffer[HEADER.size :]):
            announced = HEADER.unpack_from(buffer)[2]
            inner.unclean = inner.unclean or "half a reply is left over"
            return BadReply(
                f"the header of its answer announces {announced} bytes, {len(buffer) - 6} came ({OWN_LENGTH})"
            )
        inner.give_up(unit, asked.asked_at)
        if inner.habits.any_transaction:
            inner.unclean = inner.unclean or "a late answer could not be told from the next one"
        reason = f"no answer from unit {unit} within {round(asked.request.timeout, 3):g} s"
        if inner.other_id is not None:
            reason += f", but one under transaction id {inner.other_id} instead of {inner.next_tid} ({OWN_IDS})"
        if not buffer:
            return NoAnswer(reason)
        return HalfAnswer(
            f"{reason}, only {len(buffer)} bytes of it" if (words := other_protocol(buffer)) is None else words
        )

    def close(self) -> None:
        """Close at once; what is in flight has no answer."""
        self._transactions.end(ConnectionLost("closed"))
        transport = cast("asyncio.WriteTransport | None", self._transactions.transport)
        if transport is not None:
            transport.abort()  # a peer that does not read must not keep the socket
        self._transactions.close()


async def connect_tcp(host: str, port: int, timeout: float, habits: MbapHabits = STRICT) -> MbapWire:
    """Connect over TCP. Raises ConnectionLost."""
    inner = _transactions(CommType.TCP, host, port, habits)
    return await _opened(inner, dial(inner, host, port, timeout))


async def connect_udp(host: str, port: int, timeout: float, habits: MbapHabits = STRICT) -> MbapWire:
    """The same in datagrams. Whether anybody listens is only known when something is asked."""
    inner = _transactions(CommType.UDP, host, port, habits)
    return await _opened(inner, dial_datagrams(inner, host, port, timeout))


async def connect_tls(
    host: str, port: int, timeout: float, settings: TLSSettings, habits: MbapHabits = STRICT
) -> MbapWire:
    """Connect over TLS (MODBUS/TCP Security, v21). Raises ConnectionLost, TransientError where a file is wrong."""
    context = await asyncio.to_thread(client_context, settings)  # the system's authorities take long to read
    inner = _transactions(CommType.TLS, host, port, habits)
    wire = await _opened(inner, dial(inner, host, port, timeout, context, settings.server_name or host))
    if settings.cert_file is None:  # TLS 1.3 lets the handshake pass before the server looks for ours
        wire.hint("does it want a certificate of this agent, tls.cert_file?")
    return wire


async def take_over(caller: DtuConnection, habits: MbapHabits) -> MbapWire:
    """A wire over a connection that was dialled in."""
    inner = _transactions(CommType.TCP, "", 0, habits)
    caller.hand_over(inner)  # type: ignore[arg-type]  # the library's protocol serves datagrams, too
    return MbapWire(inner)


def _transactions(kind: CommType, host: str, port: int, habits: MbapHabits) -> MbapTransactions:
    params = CommParams(comm_name="modbus", comm_type=kind, host=host, port=port, reconnect_delay=0.0)
    return MbapTransactions(params, habits)


async def _opened(inner: MbapTransactions, opening: Awaitable[None]) -> MbapWire:
    try:
        await opening
    except BaseException:
        inner.close()
        raise
    return MbapWire(inner)
