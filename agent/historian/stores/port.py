"""What the historian needs of a database. Everything blocks: a store belongs to one thread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

from msgspec import Struct

from agent.core.errors import AgentError
from agent.historian.items import Item
from agent.historian.ledger import Key

#: How a hole stands: not asked for yet, asked for, the agent does not answer requests, asked for a day in vain.
RepairState = Literal["open", "waiting", "refused", "given_up"]


class BadData(AgentError):
    """The database takes some of these items never: find out which by writing them one by one."""


class Written(Struct):
    """What one transaction came to."""

    rows: int = 0  #: readings
    records: int = 0
    duplicates: int = 0  #: records, or parts of one, that were there before
    late: int = 0  #: readings older than `retention` on arrival: entered, not stored
    gaps: int = 0
    repaired: int = 0  #: records that came because they were asked for
    lost: int = 0  #: numbers declared lost
    given_up: int = 0  #: holes that were given up, because their stream had too many
    aside: int = 0  #: messages kept as they came
    newest: int | None = None  #: when the newest live record was committed at its agent, epoch milliseconds


class Hole(NamedTuple):
    """Numbers of one stream that are missing."""

    stream: int  #: id of its row
    source: str
    key: Key
    first: int
    last: int


class RepairMark(NamedTuple):
    """How the repair of a hole stands."""

    stream: int
    first: int
    last: int
    since: int  #: when it was noticed, epoch milliseconds
    asked: int | None  #: when it was asked for last
    attempts: int
    repair: RepairState


class Way(NamedTuple):
    """Where the readings of a device come from."""

    source: str
    agent: str
    device: str
    path: str


class Store(Protocol):
    """One database. `open` connects and brings the tables to the newest version; after an error it is opened again.

    Raises StoreAway (a TransientError) where the database cannot be had now, PermanentError where it cannot be used.
    """

    def open(self) -> None:
        """Connect; make or upgrade the tables."""

    def write(self, items: Sequence[Item], now_ms: int, /) -> Written:
        """Everything in one transaction: committed when it returns, and nothing of it where it raises.

        Raises BadData where the database refuses the contents.
        """

    def holes(self, most: int, /) -> list[Hole]:
        """What is missing, as the view `missing` shows it; first of the streams that have few holes.

        One that is full of them costs no other its repair.
        """

    def marks(self) -> list[RepairMark]:
        """What `mark` wrote."""

    def mark(self, marks: Sequence[RepairMark], /) -> None:
        """How each repair stands; what is not among them is forgotten."""

    def ways(self) -> list[Way]:
        """Of every device that was heard."""

    def leads(self) -> bool:
        """Whether this historian is the one that asks for holes, of all on this database that would ask."""

    def sweep(self, now_ms: int, /) -> int:
        """Throw away some of what is older than `retention`, as much as takes a moment; how many rows (or partitions).

        0 where nothing is left, or another historian is doing it at this moment.
        """

    def give_up(self) -> None:
        """From any thread: whatever the store waits for breaks off with StoreAway, where that is possible."""

    def close(self) -> None:
        """Let go of it. Never raises."""
