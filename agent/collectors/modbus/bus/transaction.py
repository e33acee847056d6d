"""What a collector asks of a bus, and what comes back. Pure."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from agent.core.errors import ConnectionLost, TransientError


@dataclass(frozen=True, slots=True)
class Request:
    """One read. `function` is 1 to 4: nothing else is ever sent."""

    function: int
    offset: int
    count: int
    timeout: float  #: seconds until its silence counts as no answer

    @property
    def size(self) -> int:
        """Data bytes of a complete answer."""
        return self.count * 2 if self.function > 2 else (self.count + 7) // 8


class Reply(NamedTuple):
    """What a unit answered: the data bytes, their number verified, or an exception code."""

    data: bytes
    code: int  #: Modbus exception code; 0: none
    ts: int  #: when it arrived, epoch milliseconds
    doubt: str | None = None  #: why it may be the answer to somebody else's request; None: it is ours


class NoAnswer(TransientError):
    """The connection stands, the unit kept silent until the timeout."""


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
    strangers: list[float]  #: when whole frames came that nobody here asked for, likewise; monotonic

    def rest(self, unit: int) -> float: ...
    def renew(self, unit: int) -> bool: ...
    async def transact(self, unit: int, request: Request) -> tuple[bytes, int]: ...
    def close(self) -> None: ...
