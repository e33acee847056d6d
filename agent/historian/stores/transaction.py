"""What the story of a transaction needs of a database, and the rows they speak of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from msgspec import Struct

from agent.consumer.contract import GapNotice, Reading
from agent.historian.items import AgentState, Aside, Catalogue, DeviceState, Record
from agent.historian.ledger import Book, Key

#: Epochs of a device that are looked at when another one begins.
MOST_EPOCHS = 100
#: How the id of a gap begins that the historian itself declares.
GIVEN_UP = "given-up-"
#: … and where an operator says that the agent will not come back.
GONE = "gone-"


class StreamRow(Struct):
    """The row of a stream."""

    id: int
    book: Book
    source: str
    path: str
    since: int | None  #: when its first record was heard; None while it is only named
    readings: int  #: received
    due: int | None  #: scans in all, once it is over and the agent told; …
    done: int | None  #: … and those made


class Stored(NamedTuple):
    """Readings of a record on their way into the table."""

    stream: int
    seq: int
    part: int
    snapshot: bool
    historical: bool
    readings: list[Reading]
    tags: list[int]  #: row of each reading's tag
    age: int  #: of the record when it arrived: see `Arrival`


class Arrival(NamedTuple):
    """Records of a stream in a quarter of an hour that were so old when they arrived."""

    stream: int
    slot: int
    age: int  #: twentieths of a decade of milliseconds


class Transaction(Protocol):
    """What the story needs of a database within one transaction. Streams are locked until its end."""

    def streams(self, keys: Sequence[Key], source: str) -> dict[Key, StreamRow]:
        """Their rows, made where they are not there, locked in the order of the keys."""

    def heard(self, devices: Iterable[tuple[str, str]]) -> dict[tuple[str, str], list[str]]:
        """The newest epochs of (agent, device) of which a record was heard, `MOST_EPOCHS` at most."""

    def save(self, entries: Iterable[tuple[Key, StreamRow]]) -> None:
        """Write streams down."""

    def partials(self, streams: Sequence[int]) -> dict[tuple[int, int], dict[tuple[int, int], int]]:
        """Parts of incomplete records, by (stream, seq), then by (of, part): how many bytes each has."""

    def parts(self, stream: int, seq: int, of: int) -> list[tuple[int, bytes]]:
        """The parts of a record that are here, as they came."""

    def keep_partial(self, stream: int, record: Record) -> None:
        """Keep a part until the others are here."""

    def drop_partials(self, stream: int, seq: int) -> None:
        """The record is complete."""

    def tag_ids(self, readings: Sequence[Reading], path: str, device: str) -> list[int]:
        """The row of each reading's tag, made where it is not there."""

    def readings(self, stored: Sequence[Stored], cutoff: int | None) -> tuple[int, int]:
        """Store rows; those older than `cutoff` are left out. How many were stored, and how many left out."""

    def has(self, stream: int, record: Record, reading: Reading) -> bool:
        """Whether this reading of it was stored, be it under another path."""

    def take_back(self, key: Key, seq: int) -> None:
        """A number that was given up came after all: the row in `gap` that says so has one record less."""

    def arrivals(self, counts: dict[Arrival, list[int]]) -> None:
        """Add records, snapshots and readings of each."""

    def slots(self, stream: int) -> list[tuple[int, int]]:
        """When its records were committed: how many in each quarter of an hour, in order."""

    def gap(self, stream: int | None, gap: GapNotice, at: int) -> bool:
        """Store a declared loss; False where it is there."""

    def agent_state(self, state: AgentState) -> None:
        """Store it, unless it is there."""

    def last_state(self, path: str, before: int) -> int | None:
        """When the newest state of a device was said, of those said before."""

    def device_state(self, state: DeviceState) -> None:
        """Store it, unless it is there."""

    def catalogue(self, catalogue: Catalogue) -> None:
        """Type, unit and description of tags."""

    def aside(self, message: Aside) -> None:
        """Keep a message that nobody can read; the oldest go where there are too many."""
