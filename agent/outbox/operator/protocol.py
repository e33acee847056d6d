"""What an operator may ask of an outbox, and the answers: plain data that crosses a socket as one line of JSON each."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from agent.core.ports import Lost

Verb = Literal["list", "quarantined", "requeue", "discard", "resend"]


class Which(Struct, frozen=True, omit_defaults=True):
    """Which records. What is left out does not narrow the choice."""

    ids: tuple[int, ...] | None = None
    device: str | None = None  #: a glob
    epoch: str | None = None
    first: int | None = None  #: sequence numbers, both ends included
    last: int | None = None
    since: int | None = None  #: committed at or after, epoch milliseconds
    until: int | None = None  #: committed before or at

    @property
    def everything(self) -> bool:
        """Whether nothing narrows the choice."""
        return self == Which()


class OutboxQuestion(Struct, frozen=True, omit_defaults=True):
    """One question, or order."""

    verb: Verb
    which: Which = Which()


class Heap(Struct, frozen=True):
    """Records of one stream, as figures."""

    device: str
    epoch: str
    records: int
    readings: int
    bytes: int
    first: int  #: lowest sequence number among them
    last: int
    from_ts: int
    to_ts: int


class Listing(Struct, kw_only=True):
    """What an outbox holds."""

    epoch: str | None  #: of the present run, or the last one
    waiting: list[Heap]
    declarations: int  #: gaps that wait to be told
    quarantined: list[Heap]
    again: list[Heap] = []  #: to be sent once more
    kept: list[Heap]  #: acknowledged records that can be sent again
    bytes: int = 0  #: of what waits, declarations too
    limit: int | None = None  #: bytes it may hold now; None: known to a running agent only
    orphan: bool = False  #: no publisher uses it any more
    full: bool = False  #: records are being lost for want of room
    lost: Lost = field(default_factory=Lost)  #: since it started; of a stopped one's, what nobody has been told


class QuarantinedRecord(Struct, frozen=True):
    """A record in quarantine."""

    id: int
    device: str
    epoch: str
    seq: int
    ts: int
    at: int  #: when it was put there
    readings: int
    bytes: int
    reason: str


class Done(Struct, frozen=True):
    """What an order has moved."""

    records: int
    readings: int
    bytes: int


class OutboxAnswer(Struct, frozen=True, omit_defaults=True):
    """Exactly one field is set."""

    listing: Listing | None = None
    quarantined: list[QuarantinedRecord] | None = None
    done: Done | None = None
    error: str | None = None
