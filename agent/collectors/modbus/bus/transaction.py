"""What a collector asks of a bus, and what comes back. Pure."""

from __future__ import annotations

import struct
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from msgspec import Struct

from agent.core.errors import ConnectionLost, TransientError

_READ = struct.Struct(">BHH")
IDENTIFY = 0x2B  #: encapsulated interface transport; of it only MEI type 0E, read device identification
MEI_TYPE = 0x0E


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """One read. `function` is 1 to 4, or 43 for `identity.py`: nothing else is ever sent.

    Of 43 (read device identification) `offset` is the first object, `count` the category.
    """

    function: int
    offset: int
    count: int
    timeout: float  #: seconds until its silence counts as no answer
    size: int = field(init=False, repr=False, compare=False)
    """Data bytes of a complete answer; -1: it says so itself."""
    pdu: bytes = field(init=False, repr=False, compare=False)
    """What follows the unit id."""
    begins: bytes = field(init=False, repr=False, compare=False)
    """How that of a complete answer begins; empty: it says so itself."""

    def __post_init__(self) -> None:
        if self.function == IDENTIFY:
            size, pdu, begins = -1, bytes((IDENTIFY, MEI_TYPE, self.count, self.offset)), b""
        else:
            size = self.count * 2 if self.function > 2 else (self.count + 7) // 8
            pdu = _READ.pack(self.function, self.offset, self.count)
            begins = bytes((self.function, size)) if size < 256 else b""
        object.__setattr__(self, "size", size)
        object.__setattr__(self, "pdu", pdu)
        object.__setattr__(self, "begins", begins)


def identity_length(data: bytes) -> int:
    """Bytes of an identification, from its MEI type on, as far as it has come; more than that where more has to."""
    length = 6
    for _ in range(data[5] if len(data) > 5 else 0):
        length += 2 + (data[length + 1] if len(data) > length + 1 else 0)
    return length


class UnitReply(Struct, frozen=True, gc=False):
    """What a unit answered: the data bytes, their number verified, or an exception code."""

    data: bytes
    code: int  #: Modbus exception code; 0: none
    ts: int  #: when it arrived, epoch milliseconds
    doubt: str | None = None  #: why it may be the answer to somebody else's request; None: it is ours


class NoAnswer(TransientError):
    """The connection stands, the unit kept silent until the timeout."""


class HalfAnswer(NoAnswer):
    """Some bytes of it came, and no more."""


class BadReply(TransientError):
    """Something answered that does not fit the request. There is no value in it."""


class WrongSize(BadReply):
    """The unit answered this request, with another number of bytes than were asked for: no value, but it is there."""


class Unanswered(ConnectionLost):
    """The connection ended before a byte of the answer came: a read may be sent once more on a new one.

    RFC 9112, 9.3.1 does the same for idempotent requests of HTTP.
    """


class LateAnswer(NamedTuple):
    """What came after everybody had given up waiting."""

    unit: int
    seconds: float  #: after its request
    code: int  #: exception code; 0: none


class Wire(Protocol):
    """An open connection, as `wire.py` and `stream.py` make it. Used by one task, one transaction at a time."""

    @property
    def lost(self) -> str | None: ...
    @property
    def stale(self) -> int: ...

    any_unit: AbstractSet[int]  #: units that answer with another unit id than they are asked by
    numbered: bool  #: answers name their request, so that a late one cannot be mistaken
    late: list[LateAnswer]  #: what came late since its owner last looked; emptied by its owner
    doubled: int  #: answers that came once more since its owner last looked; set to 0 by its owner
    strangers: list[float]  #: when whole frames came that nobody here asked for, likewise; monotonic

    def rest(self, unit: int) -> float: ...
    def renew(self, unit: int) -> bool: ...
    async def transact(self, unit: int, request: ReadRequest) -> tuple[bytes, int]: ...
    def close(self) -> None: ...

    @property
    def prompt(self) -> PromptWire | None: ...  # itself, if it is one


class PromptWire(Wire, Protocol):
    """A wire on which a unit never rests, so that a transaction can begin in the turn in which it is wanted."""

    def send(
        self, unit: int, request: ReadRequest, ended: Callable[[Any], None], /
    ) -> object: ...  # not where it is lost
    def outcome(self, ended: Any, /) -> tuple[bytes, int]: ...  # of what `ended` was called with: as `transact`
