"""Modbus TCP transactions of the library, with every reply checked.

The library keeps the transport and counts transactions; what it lets through is checked here (M6 in the field notes:
replies of another function, another unit, another length, or transaction id 0 pass as good ones). After a reply that
does not belong to its request the byte stream cannot be trusted: it is `unclean`, and its owner opens a new one.

A request goes by :meth:`MbapTransactions.ask`, not by the library's `execute`: its lock, its retries and its turns
of the event loop are for several tasks on one connection, and here there is one.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from struct import Struct
from typing import Any, NamedTuple

from pymodbus.framer import FramerSocket
from pymodbus.pdu import DecodePDU
from pymodbus.transaction import TransactionManager
from pymodbus.transport import CommParams, CommType

from agent.collectors.modbus.bus.framing import Rtu
from agent.collectors.modbus.bus.mbap_read import MbapRead
from agent.collectors.modbus.bus.shown import OWN_UNIT, ending_of, reason_of, shown, words_in
from agent.collectors.modbus.bus.transaction import (
    IDENTIFY,
    BadReply,
    LateAnswer,
    identity_length,
)
from agent.core.errors import ConnectionLost, TransientError

# The library logs each silence as an error with the last 20 frames of all clients; we say it ourselves, once.
logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)

HEADER = Struct(">HHHB")  #: transaction, protocol (0), length of what follows, unit (MODBUS Messaging V1.0b, 3.1.3)
OWN_IDS = "a gateway that counts its own needs `workarounds: {transaction_ids: ignore}`"
_NO_UNIT = (0, 255)  #: ids of a device that is not on a serial bus (MODBUS Messaging V1.0b, 4.4.1.2)
_LAST_TID = 65000  #: then from 1 on again, as the library counts
_MAX_LENGTH = 254  #: unit + PDU
_REMEMBERED = 64  #: requests that were given up on, and may be answered yet
_BUFFER = 4096  #: several late replies may arrive together; the library drops everything above its own limit (M4)


class MbapHabits(NamedTuple):
    """What is known of such a connection."""

    any_transaction: bool = False  #: answers come under transaction ids of their own
    own_length: bool = False  #: the header's length is wrong, the answer's own byte count right
    noise: tuple[bytes, ...] = ()  #: what may come at any time and means nothing (a DTU's heartbeat)
    monotonic: Callable[[], float] = time.monotonic


STRICT = MbapHabits()


class _GivenUp(NamedTuple):
    """A request nobody waits for any more."""

    unit: int
    asked_at: float


def _same(_sending: bool, data: Any) -> Any:
    return data


def _untold(_connected: bool) -> None:
    pass


class MbapTransactions(TransactionManager):
    """The library's transactions, with every reply checked."""

    def __init__(self, params: CommParams, habits: MbapHabits) -> None:
        framer = FramerSocket(DecodePDU(is_server=False))
        super().__init__(params, framer, 0, False, _same, _same, _untold)  # 0: no retries
        del self.call_create, self.low_level_send  # its own methods, which nobody calls here: it would never be freed
        self.max_until_disconnect = 1 << 60  # when to give a connection up is its owner's decision
        self.max_buffer_size = _BUFFER
        self.habits = habits
        self.asked: MbapRead | None = None  #: the request in flight
        self.touched = False  #: something has come since it was sent
        self.other_id: int | None = None  #: of a transaction that came instead, and would have fitted
        self.given_up: OrderedDict[int, _GivenUp] = OrderedDict()  #: by transaction id
        self.late: list[LateAnswer] = []
        self.any_unit = False  #: its answer may come under another unit id
        self.hint = ""  #: what may be the matter when the connection is closed
        self._answer: MbapRead | None = None  #: the answer to it, not handed on yet
        self._whole = b""  #: how the answer begins where it is complete; empty: that is to be looked at
        self.lost: str | None = None  #: why the connection is gone
        self.unclean: str | None = None  #: why its byte stream cannot be trusted any more
        self.stale = 0  #: late answers to requests given up earlier

    def ask(self, asked: MbapRead) -> None:
        """Send a request. One at a time: until it has ended.

        It ends with an answer, or with TimeoutError, BadReply where the byte stream cannot be trusted any more, or
        ConnectionLost.
        """
        self.asked = asked
        self.touched, self.other_id = False, None
        request, unit = asked.request, asked.dev_id
        tid = self.next_tid = self.next_tid % _LAST_TID + 1
        if request.begins and not self.habits.noise:
            self._whole = HEADER.pack(tid, 0, 3 + request.size, unit) + request.begins
        else:
            self._whole = b""
        asked.timer = self.loop.call_later(request.timeout, self._expire, asked)
        self.send(HEADER.pack(tid, 0, 1 + len(request.pdu), unit) + request.pdu)

    def _expire(self, asked: MbapRead) -> None:
        self._end(asked, TimeoutError())

    def _end(self, asked: MbapRead, error: Exception | None = None) -> None:
        """There is an answer, or none will be waited for any more."""
        self.asked = None
        if asked.timer is not None:
            asked.timer.cancel()
        asked.error = error
        asked.ended(asked)

    def forget(self, asked: MbapRead) -> None:
        """Whatever comes, it is not for this one."""
        self.asked = None
        if asked.timer is not None:
            asked.timer.cancel()

    def send(self, data: bytes, addr: tuple[Any, ...] | None = None) -> None:  # noqa: ARG002 - the library's
        """As the library's, without its dump either."""
        self.recv_buffer = b""
        if self.comm_params.comm_type is CommType.UDP:
            self.transport.sendto(data)  # type: ignore[attr-defined]  # as the library declares it
        else:
            self.transport.write(data)  # type: ignore[attr-defined]  # the same

    def data_received(self, data: bytes) -> None:
        """As the library's, without its dump of the last frames of all connections.

        Nearly always it is the answer, whole, and nothing else: nine bytes tell that as well as a look at each.
        """
        asked, whole = self.asked, self._whole
        if asked is not None and whole and not self.recv_buffer and data.startswith(whole):
            answer = data[len(whole) :]
            if len(answer) == asked.request.size:
                asked.data = answer
                self._end(asked)
                return
        buffer = self.recv_buffer + data
        self.recv_buffer = b""
        if len(buffer) <= _BUFFER:
            self.recv_buffer = buffer[self.callback_data(buffer) :]

    def datagram_received(self, data: bytes, addr: tuple[Any, ...] | None) -> None:  # noqa: ARG002 - the library's
        """Likewise."""
        self.data_received(data)

    def callback_data(self, data: bytes, addr: tuple[Any, ...] | None = None) -> int:  # noqa: ARG002 - the library's
        used = 0
        noise = self.habits.noise
        self.touched = True
        while len(data) - used > HEADER.size or noise:
            if (beat := next((one for one in noise if data.startswith(one, used)), None)) is not None:
                used += len(beat)
                continue
            if len(data) - used <= HEADER.size:
                break
            tid, protocol, length, unit = HEADER.unpack_from(data, used)
            if protocol or not (3 <= length <= _MAX_LENGTH or self.habits.own_length):
                self._distrust(other_protocol(data[used:]) or f"no Modbus header: {shown(data[used : used + 8])}")
                used = len(data)
                break
            announced = used + 6 + length
            end = used + 7 + own_length(data[used + 7 :]) if self.habits.own_length else announced
            if len(data) < end:
                break
            self._frame(tid, unit, data[used + 7 : end])
            used = min(max(end, announced), len(data)) if self.habits.own_length else end
        self._deliver(rest=len(data) - used)
        return used

    def _frame(self, tid: int, unit: int, frame: bytes) -> None:
        asked = self.asked
        if asked is None or not (tid == self.next_tid or self.habits.any_transaction):
            self._other(tid, unit, frame)
        elif unit != asked.dev_id and not self.any_unit:
            hint = f" ({OWN_UNIT})" if unit in _NO_UNIT and asked.takes(frame) else ""
            self._distrust(f"unit {unit} answered instead of {asked.dev_id}{hint}")
        else:
            try:
                asked.take(frame)
            except ValueError as error:
                self._distrust(str(error))
                return
            self.asked, self._answer = None, asked

    def _other(self, tid: int, unit: int, frame: bytes) -> None:
        """No answer to what is asked now."""
        over = self.given_up.pop(tid, None)
        if over is not None:
            code = frame[1] if frame[0] & 0x80 and len(frame) > 1 else 0
            self.late.append(LateAnswer(over.unit, self.habits.monotonic() - over.asked_at, code))
        fits = self.asked is not None and unit == self.asked.dev_id and self.asked.takes(frame)
        if over is not None or 0 < tid <= self.next_tid or self.habits.any_transaction:
            self.stale += 1  # late or doubled; it names a request that is over, so it cannot be mistaken
            if fits and over is None:
                self.other_id = tid
            return
        hint = f" ({OWN_IDS})" if fits else ""
        self._distrust(f"transaction {tid} was not asked for, the last was {self.next_tid}{hint}")

    def give_up(self, unit: int, asked_at: float) -> None:
        """Nobody waits for the answer to the newest request any more. It may come."""
        self.given_up[self.next_tid] = _GivenUp(unit, asked_at)
        while len(self.given_up) > _REMEMBERED:
            self.given_up.popitem(last=False)

    def _deliver(self, *, rest: int) -> None:
        """Hand on the answer that has come, unless something hangs behind it.

        A reply cut short and filled up with the head of another has the right form and a wrong value; what gives it
        away is the tail of the other one.
        """
        answer, self._answer = self._answer, None
        if answer is None:
            return
        if rest:
            self.unclean = self.unclean or f"{rest} bytes hang behind the answer"
        self._end(answer, None if self.unclean is None else BadReply(self.unclean))

    def _distrust(self, reason: str) -> None:
        self.unclean = self.unclean or reason
        self.end(BadReply(reason))

    def end(self, error: TransientError) -> None:
        """What is asked has no answer."""
        if self.asked is not None:
            self._end(self.asked, error)

    def error_received(self, exc: OSError) -> None:
        """What the network says of a datagram: nobody listens there."""
        self.lost = reason_of(exc)
        self.end(ConnectionLost(self.lost))

    def callback_disconnected(self, exc: Exception | None) -> None:
        self.lost = ending_of(exc) + self.hint
        self.end(ConnectionLost(self.lost))


def other_protocol(data: bytes) -> str | None:
    """What came instead of a Modbus TCP frame, where that can be told."""
    return words_in(data) or ("an RTU frame answered, is it `rtu+tcp://`?" if Rtu().whole(data) else None)


def own_length(pdu: bytes) -> int:
    """How long an answer is by its own account: an exception has two bytes (Application Protocol V1.1b3, chapter 7)."""
    if pdu[0] == IDENTIFY:
        return 1 + identity_length(pdu[1:])
    return 2 if pdu[0] & 0x80 or len(pdu) < 2 else 2 + pdu[1]
