"""Frames without a transaction id: RTU and ASCII (MODBUS over Serial Line V1.02, 2.5). Pure.

A reply says of itself only whose it is (unit, function) and how long. So its form is known before it comes, and nothing
is taken that does not have it to the last byte: what is not the answer asked for, and not one that was given up on
earlier, is garbage.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from agent.collectors.modbus.bus.shown import shown
from agent.collectors.modbus.bus.transaction import IDENTIFY, ReadRequest, identity_length

_LONGEST = 252  #: data bytes of an answer that says itself how long it is
_REMNANT = 256 * 2 + 8  #: no frame of either kind is longer (ASCII: 513 characters)


@dataclass(frozen=True, slots=True)
class Form:
    """What the answer to a request looks like."""

    unit: int | None  #: None: any (a device that answers with another unit id than it is asked by)
    function: int
    size: int  #: data bytes

    @classmethod
    def of(cls, unit: int, request: ReadRequest, *, any_unit: bool = False) -> Form:
        """The form of the answer to this request."""
        return cls(None if any_unit else unit, request.function, request.size)

    def takes(self, message: bytes) -> bool:
        """Whether a whole message (unit, function, data; checksum seen to) is such an answer, or its exception."""
        if self.unit is not None and message[0] != self.unit:
            return False
        if message[1] == self.function | 0x80:
            return len(message) == 3
        if message[1] == IDENTIFY:
            return self.function == IDENTIFY and len(message) == 2 + identity_length(message[2:])
        return message[1] == self.function and message[2] == self.size and len(message) == 3 + self.size


def of_another_size(request: ReadRequest, sizes: Collection[int]) -> ReadRequest:
    """A read at the same place whose answer has none of these sizes: a part of it where possible, else more.

    What is not there is refused, and a refusal is an answer, too.
    """
    if request.function == IDENTIFY:
        request = replace(request, function=3, offset=0, count=1)
        if request.size not in sizes:
            return request
    whole, step = (250, 2) if request.function > 2 else (250, 1)
    known = {*sizes, request.size}
    smaller = range(request.size - step, 0, -step)
    larger = range(request.size + step, whole + 1, step)
    size = next((size for size in (*smaller, *larger) if size not in known), request.size)
    count = size // 2 if request.function > 2 else size * 8 - 7
    return replace(request, offset=min(request.offset, 0x10000 - count), count=count)


class Frame(NamedTuple):
    """What stands at the beginning of the bytes received."""

    form: Form
    message: bytes  #: unit, function, data
    length: int  #: bytes it takes

    @property
    def code(self) -> int:
        """Exception code; 0: none."""
        return self.message[2] if self.message[1] & 0x80 else 0

    @property
    def data(self) -> bytes:
        """The data bytes; none with an exception."""
        return b"" if self.message[1] & 0x80 else self.message[3:]


class Garbage(ValueError):
    """What stands there is no answer to anything. `over`: the answer has come, damaged; nothing else is due."""

    def __init__(self, reason: str, *, over: bool = False, size: bool = False) -> None:
        super().__init__(reason)
        self.over = over
        self.size = size  #: it is the answer, with another number of data bytes


class Framer(Protocol):
    """One of the two kinds of frames."""

    def encode(self, unit: int, request: ReadRequest) -> bytes:
        """The frame of a read."""

    def length(self, form: Form) -> int:
        """Bytes of a complete answer."""

    def find(self, data: bytes, forms: Iterable[Form]) -> Frame | None:
        """The frame at the beginning, of the first form that takes it; None: more has to come. Raises Garbage."""

    def whole(self, data: bytes) -> int | None:
        """Bytes of the frame at the beginning, whoever's it is, a request or an answer, right to its checksum; 0: there
        is none; None: more has to come.
        """

    def size_for(self, frame: bytes, form: Form) -> int | None:
        """Data bytes of a whole frame where it is an answer of this unit and function; None where it is not."""


class Rtu:
    """Binary, CRC-16, low byte first."""

    def encode(self, unit: int, request: ReadRequest) -> bytes:
        message = bytes((unit,)) + request.pdu
        return message + crc(message)

    def length(self, form: Form) -> int:
        return 5 + (form.size if form.size >= 0 else _LONGEST)

    def find(self, data: bytes, forms: Iterable[Form]) -> Frame | None:
        waiting = damaged = False
        for form in forms:
            length = _rtu_length(data, form)
            if length is None:
                continue
            if len(data) < length:
                waiting = True
            elif crc(data[: length - 2]) == data[length - 2 : length]:
                return Frame(form, data[: length - 2], length)
            else:
                damaged = True
        if waiting:
            return None
        raise Garbage(f"{'checksum wrong' if damaged else 'no answer'}: {shown(data)}", over=damaged)

    def whole(self, data: bytes) -> int | None:
        lengths = _rtu_lengths(data)
        for length in lengths:
            if len(data) >= length and crc(data[: length - 2]) == data[length - 2 : length]:
                return length
        return None if any(len(data) < length for length in lengths) else 0

    def size_for(self, frame: bytes, form: Form) -> int | None:
        ours = form.unit in (None, frame[0]) and frame[1] == form.function and len(frame) == 5 + frame[2]
        return frame[2] if ours else None


def _rtu_lengths(data: bytes) -> tuple[int, ...]:
    """How long a frame may be that begins like this: reads and writes, requests and answers (V1.1b3, chapter 6)."""
    if not 0 < data[0] <= 247:
        return ()
    if len(data) < 3:
        return (5,)
    function = data[1]
    if function & 0x80:
        return (5,)
    if function in (5, 6):
        return (8,)
    if function in (15, 16):
        return (8, 9 + data[6]) if len(data) > 6 else (8,)
    if function == IDENTIFY:
        return (7, 4 + identity_length(data[2:]))
    return (8, 5 + data[2]) if function in (1, 2, 3, 4) else ()


def _rtu_length(data: bytes, form: Form) -> int | None:
    """How long the frame is if `data` begins one of this form; None where it does not."""
    if form.unit is not None and data[:1] not in (b"", bytes([form.unit])):
        return None
    if len(data) < 2:
        return 5
    if data[1] == form.function | 0x80:
        return 5
    if data[1] == form.function == IDENTIFY:
        return 4 + identity_length(data[2:])
    if data[1] != form.function or (len(data) > 2 and data[2] != form.size):
        return None
    return 5 + form.size


class Ascii:
    """Hexadecimal digits between a colon and CR LF, LRC."""

    def encode(self, unit: int, request: ReadRequest) -> bytes:
        message = bytes((unit,)) + request.pdu
        return b":" + (message + lrc(message)).hex().upper().encode() + b"\r\n"

    def length(self, form: Form) -> int:
        return 1 + 2 * (4 + (form.size if form.size >= 0 else _LONGEST)) + 2

    def find(self, data: bytes, forms: Iterable[Form]) -> Frame | None:
        if data[:1] not in (b"", b":"):
            raise Garbage(f"no answer: {shown(data)}")
        if (second := data.find(b":", 1)) > 0 and (data.find(b"\n") < 0 or second < data.find(b"\n")):
            raise Garbage(f"an answer broken off: {shown(data)}", over=False)
        end = data.find(b"\r\n")
        if end < 0:
            if len(data) > _REMNANT:
                raise Garbage(f"no end: {shown(data)}")
            return None
        try:
            message = bytes.fromhex(data[1:end].decode("ascii"))
        except ValueError:
            raise Garbage(f"no hexadecimal digits: {shown(data)}", over=True) from None
        if len(message) < 4 or lrc(message[:-1]) != message[-1:]:
            raise Garbage(f"checksum wrong: {shown(data)}", over=True)
        for form in forms:
            if form.takes(message[:-1]):
                return Frame(form, message[:-1], end + 2)
        raise Garbage(f"no answer: {shown(data)}")

    def whole(self, data: bytes) -> int | None:
        if data[:1] != b":":
            return 0
        end = data.find(b"\r\n")
        if end < 0:
            return None if len(data) <= _REMNANT else 0
        try:
            message = bytes.fromhex(data[1:end].decode("ascii"))
        except ValueError:
            return 0
        return end + 2 if len(message) >= 4 and lrc(message[:-1]) == message[-1:] else 0

    def size_for(self, frame: bytes, form: Form) -> int | None:
        message = bytes.fromhex(frame[1:-2].decode("ascii"))
        ours = form.unit in (None, message[0]) and message[1] == form.function and len(message) == 4 + message[2]
        return message[2] if ours else None


def crc(data: bytes) -> bytes:
    """CRC-16 of RTU frames, as it is sent (V1.02, 6.2.2)."""
    value = 0xFFFF
    for byte in data:
        value = (value >> 8) ^ _TABLE[(value ^ byte) & 0xFF]
    return value.to_bytes(2, "little")


def lrc(data: bytes) -> bytes:
    """LRC of ASCII frames, as one byte (V1.02, 6.2.1)."""
    return bytes([-sum(data) & 0xFF])


def _table() -> tuple[int, ...]:
    rows = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ 0xA001 if value & 1 else value >> 1  # noqa: PLW2901
        rows.append(value)
    return tuple(rows)


_TABLE = _table()
