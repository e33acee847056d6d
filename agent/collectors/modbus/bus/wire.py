"""One Modbus TCP connection, its datagram and TLS forms too. The only file that touches the library's transactions.

The library connects, sends and keeps one transaction at a time; what it lets through is checked here (M6 in the field
notes: replies of another function, another unit, another length, or transaction id 0 pass as good ones). After a reply
that does not belong to its request the byte stream cannot be trusted: the wire is `unclean`, and its owner opens a new
one.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Set as AbstractSet
from functools import partial
from struct import Struct
from typing import Any, cast

from pymodbus.exceptions import ModbusException
from pymodbus.framer import FramerSocket
from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.transaction import TransactionManager
from pymodbus.transport import CommParams, CommType

from agent.collectors.modbus.bus.dial import reason_of
from agent.collectors.modbus.bus.dialin import Caller
from agent.collectors.modbus.bus.transaction import BadReply, NoAnswer, Request
from agent.core.errors import ConnectionLost, TransientError
from agent.settings.tls import TLSSettings

# The library logs each silence as an error with the last 20 frames of all clients; we say it ourselves, once.
logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)

_HEADER = Struct(">HHHB")  #: transaction, protocol (0), length of what follows, unit (MODBUS Messaging V1.0b, 3.1.3)
_READ = Struct(">HH")
_MAX_LENGTH = 254  #: unit + PDU
_TLS_RETRY = 30.0  #: a wrong certificate is put right by people: no need to hurry
_BUFFER = 4096  #: several late replies may arrive together; the library drops everything above its own limit (M4)


class _Read(ModbusPDU):
    """A read, and its answer, kept as bytes: the codec takes them from there."""

    def __init__(self, unit: int, request: Request) -> None:
        super().__init__(dev_id=unit, address=request.offset, count=request.count)
        self.function_code = request.function
        self.size = request.size
        self.data = b""

    def encode(self) -> bytes:
        return _READ.pack(self.address, self.count)

    def take(self, frame: bytes) -> None:
        """Function code and data of the answer. ValueError where that is no answer to this request."""
        if frame[0] == self.function_code | 0x80 and len(frame) == 2:
            self.exception_code = frame[1]
        elif frame[0] != self.function_code:
            raise ValueError(f"function {frame[0]} answered instead of {self.function_code}")
        elif frame[1] != len(frame) - 2:
            raise ValueError(f"its byte count says {frame[1]}, {len(frame) - 2} arrived")
        else:
            self.data = frame[2:]


class _Transactions(TransactionManager):
    """The library's transactions, with every reply checked."""

    def __init__(self, params: CommParams) -> None:
        super().__init__(params, FramerSocket(DecodePDU(is_server=False)), 0, False, None, None, None)  # 0: no retries
        self.max_until_disconnect = 1 << 60  # when to give a connection up is its owner's decision
        self.max_buffer_size = _BUFFER
        self.asked: _Read | None = None  #: the request in flight
        self.any_unit = False  #: its answer may come under another unit id
        self.hint = ""  #: what may be the matter when the connection is closed
        self.noise: tuple[bytes, ...] = ()  #: what may come at any time and means nothing (a DTU's heartbeat)
        self._answer: _Read | None = None  #: the answer to it, not handed on yet
        self.lost: str | None = None  #: why the connection is gone
        self.unclean: str | None = None  #: why its byte stream cannot be trusted any more
        self.stale = 0  #: late answers to requests given up earlier

    def callback_data(self, data: bytes, addr: tuple[Any, ...] | None = None) -> int:  # noqa: ARG002 - the library's
        used = 0
        while len(data) - used > _HEADER.size or self.noise:
            if (beat := next((one for one in self.noise if data.startswith(one, used)), None)) is not None:
                used += len(beat)
                continue
            if len(data) - used <= _HEADER.size:
                break
            tid, protocol, length, unit = _HEADER.unpack_from(data, used)
            if protocol or not 3 <= length <= _MAX_LENGTH:
                self._distrust(f"no Modbus header: {data[used : used + 8].hex()}")
                used = len(data)
                break
            end = used + 6 + length
            if len(data) < end:
                break
            self._frame(tid, unit, data[used + 7 : end])
            used = end
        self._deliver(rest=len(data) - used)
        return used

    def _frame(self, tid: int, unit: int, frame: bytes) -> None:
        asked = self.asked
        if 0 < tid < self.next_tid or (asked is None and tid == self.next_tid):
            self.stale += 1  # late or doubled; it names a request that is over, so it cannot be mistaken
        elif asked is None or tid != self.next_tid:
            self._distrust(f"transaction {tid} was not asked for, the last was {self.next_tid}")
        elif unit != asked.dev_id and not self.any_unit:
            self._distrust(f"unit {unit} answered instead of {asked.dev_id}")
        else:
            try:
                asked.take(frame)
            except ValueError as error:
                self._distrust(str(error))
                return
            self.asked, self._answer = None, asked

    def _deliver(self, *, rest: int) -> None:
        """Hand on the answer that has come, unless something hangs behind it.

        A reply cut short and filled up with the head of another has the right form and a wrong value; what gives it
        away is the tail of the other one.
        """
        answer, self._answer = self._answer, None
        if answer is None or self.response_future.done():
            return
        if rest:
            self.unclean = self.unclean or f"{rest} bytes hang behind the answer"
        if self.unclean is not None:
            self.response_future.set_exception(BadReply(self.unclean))
        else:
            self.response_future.set_result(answer)

    def _distrust(self, reason: str) -> None:
        self.unclean = self.unclean or reason
        self._fail(BadReply(reason))

    def _fail(self, error: TransientError) -> None:
        if self.asked is not None and not self.response_future.done():
            self.asked = None
            self.response_future.set_exception(error)

    def error_received(self, exc: OSError) -> None:
        """What the network says of a datagram: nobody listens there."""
        self.lost = reason_of(exc)
        self._fail(ConnectionLost(self.lost))

    def callback_disconnected(self, exc: Exception | None) -> None:
        self.lost = (f"connection lost: {exc}" if exc else "closed by the peer") + self.hint
        self._fail(ConnectionLost(self.lost))


class MbapWire:
    """An open connection. Used by one task, one transaction at a time."""

    def __init__(self, transactions: _Transactions) -> None:
        self._transactions = transactions
        self.any_unit: AbstractSet[int] = frozenset()  #: units that answer with another unit id

    def hint(self, words: str) -> None:
        """What to say in addition should the peer close the connection."""
        self._transactions.hint = f" ({words})"

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

    async def transact(self, unit: int, request: Request) -> tuple[bytes, int]:
        """One read: data bytes and 0, or b"" and an exception code.

        Raises NoAnswer, BadReply (afterwards :attr:`lost` may be set) or ConnectionLost.
        """
        inner = self._transactions
        if (lost := self.lost) is not None:
            raise ConnectionLost(lost)
        inner.comm_params.timeout_connect = request.timeout  # the library's only time-out
        asked = inner.asked = _Read(unit, request)
        inner.any_unit = unit in self.any_unit
        try:
            await inner.execute(False, asked)
        except ModbusException as error:
            if inner.lost is not None:
                raise ConnectionLost(inner.lost) from error
            raise NoAnswer(f"no answer from unit {unit} within {request.timeout:g} s") from error
        finally:
            inner.asked = None
        if not asked.exception_code and len(asked.data) != request.size:
            raise BadReply(f"{len(asked.data)} data bytes instead of {request.size}")
        return asked.data, asked.exception_code

    def close(self) -> None:
        """Close at once, whatever is in flight."""
        transport = cast("asyncio.WriteTransport | None", self._transactions.transport)
        if transport is not None:
            transport.abort()  # a peer that does not read must not keep the socket
        self._transactions.close()


async def connect_tcp(host: str, port: int, timeout: float) -> MbapWire:
    """Connect over TCP. Raises ConnectionLost."""
    return await _connect(CommType.TCP, host, port, timeout)


async def connect_udp(host: str, port: int, timeout: float) -> MbapWire:
    """The same in datagrams. Whether anybody listens is only known when something is asked."""
    return await _connect(CommType.UDP, host, port, timeout)


async def connect_tls(host: str, port: int, timeout: float, settings: TLSSettings) -> MbapWire:
    """Connect over TLS (MODBUS/TCP Security, v21). Raises ConnectionLost, TransientError where a file is wrong."""
    context = await asyncio.to_thread(_context, settings)  # the system's authorities take long to read
    wire = await _connect(CommType.TLS, host, port, timeout, context, settings.server_name or host)
    if settings.cert_file is None:  # TLS 1.3 lets the handshake pass before the server looks for ours
        wire.hint("does it want a certificate of ours, tls.cert_file?")
    return wire


async def take_over(caller: Caller, noise: tuple[bytes, ...]) -> MbapWire:
    """A wire over a connection that was dialled in."""
    inner = _Transactions(CommParams(comm_name="dtu", comm_type=CommType.TCP, reconnect_delay=0.0))
    inner.noise = noise
    caller.hand_over(inner)  # type: ignore[arg-type]  # the library's protocol serves datagrams, too
    return MbapWire(inner)


def _context(settings: TLSSettings) -> ssl.SSLContext:
    """TLS >= 1.2, host name and chain checked. Read at every connection, so that files may be rotated."""
    where = f"tls.ca_file {settings.ca_file}"
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if settings.cert_file is not None:
            where = f"tls.cert_file {settings.cert_file}, tls.key_file {settings.key_file}"
            context.load_cert_chain(settings.cert_file, settings.key_file)
    except (OSError, ValueError) as error:
        raise TransientError(f"{where}: {error}", retry_after=_TLS_RETRY) from None
    return context


async def _connect(
    kind: CommType, host: str, port: int, timeout: float, context: ssl.SSLContext | None = None, name: str | None = None
) -> MbapWire:
    params = CommParams(
        comm_name="modbus", comm_type=kind, host=host, port=port, reconnect_delay=0.0, timeout_connect=timeout,
        sslctx=context,
    )  # fmt: skip
    inner = _Transactions(params)
    create: Any = inner.call_create if context is None else partial(inner.call_create, server_hostname=name)  # type: ignore[call-arg]
    reason = f"no connection within {timeout:g} s"

    async def noted() -> Any:
        nonlocal reason
        try:
            return await create()
        except OSError as error:  # the library logs it and says False
            reason = reason_of(error)
            raise

    inner.call_create = noted
    try:
        connected = await inner.connect()
    except BaseException:
        inner.close()
        raise
    if not connected:
        raise ConnectionLost(f"{host}:{port}: {reason}")
    return MbapWire(inner)
