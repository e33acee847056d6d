"""What passes between the loop and the thread of the disk: plain data, nothing shared while it is on its way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

import msgspec

from agent.core.errors import TransientError
from agent.core.flow import Batch, Gap


class DiskRefused(TransientError):
    """The disk does not take writes now (full, read-only, I/O error). What is in memory stays there; try again.

    `hint`: what somebody can do about it.
    """

    def __init__(self, reason: str, hint: str | None = None) -> None:
        super().__init__(reason)
        self.hint = hint


class Damaged(TransientError):
    """The file is not what was written. It has to be moved aside and salvaged."""


class StoredStream(msgspec.Struct, frozen=True):
    """A row of the table of streams."""

    id: int
    epoch: str
    device: str
    next: int  #: one more than the highest number ever committed (or declared) in it
    ts: int  #: of its last commit
    readings: int = 0
    due: int = 0  #: scans of the device: due, done, late
    done: int = 0
    late: int = 0


class Low(msgspec.Struct, frozen=True):
    """What holds a stream back, after a commit."""

    id: int
    hold: int | None  #: lowest number a row holds
    rows: bool  #: whether any row is left


def runs(rows: Iterable[int]) -> list[tuple[int, int]]:
    """Numbers of rows as ranges without holes: deleting, or asking, by range costs a fraction."""
    result = []
    for _, group in groupby(enumerate(sorted(rows)), lambda pair: pair[1] - pair[0]):
        members = [row for _, row in group]
        result.append((members[0], members[-1]))
    return result


class Job(msgspec.Struct, kw_only=True):
    """One transaction. Everything in it happens, or nothing."""

    new_streams: list[tuple[int, str, str]] = []  #: id, epoch, device
    acked: list[int] = []  #: rows the broker has
    dropped: list[int] = []  #: rows that go, declared by gaps among `inserts` and `updates`
    quarantined: list[tuple[str, int, int]] = []  #: reason, when (ms), row
    updates: list[tuple[bytes, int, int]] = []  #: gaps that grew: packed, size, row
    spilled: list[tuple[int, int, int | None, int, int, int, int, bytes]] = []  #: as `inserts`, but before all else
    inserts: list[tuple[int, int, int | None, int, int, int, int, bytes]] = []
    #: row, stream, hold, seq, ts, size, readings, packed
    streams: list[tuple[int, int, int, int, int, int, int]] = []  #: next, ts, readings, due, done, late, id
    declared: list[tuple[int, int, int]] = []  #: stream, first and last number of gaps that declare
    again_acked: list[int] = []  #: of what was sent once more: the broker has it
    again_refused: list[tuple[str, int, int]] = []  #: reason, when (ms), id
    memo: dict[str, bytes | None] = {}
    touched: set[int] = set()  #: streams whose lowest row may have gone
    keep_acked: bool = False
    now_ms: int = 0

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (
            self.spilled
            or self.acked
            or self.dropped
            or self.quarantined
            or self.updates
            or self.inserts
            or self.memo
            or self.streams
            or self.again_acked
            or self.again_refused
        )


class Committed(msgspec.Struct):
    """What the loop has to know after a transaction."""

    lows: list[Low]
    oldest: tuple[int, int] | None  #: row and ts
    pages: int  #: bytes of the file
    vacant: int  #: of those, of pages nothing is in


class Row(msgspec.Struct):
    """A row read back. `content` is None where its bytes can no longer be decoded."""

    row: int
    stream: int
    seq: int
    ts: int
    size: int
    readings: int
    content: Batch | Gap | None = None


class Opened(msgspec.Struct, kw_only=True):
    """What the file knew when it was opened."""

    previous_epoch: str | None
    clean: bool  #: the last run closed it
    same_boot: bool  #: the machine has not started since; True also where that cannot be known
    streams: Sequence[StoredStream]
    lows: Sequence[Low]
    records: int
    size: int  #: of those, bytes
    last_row: int
    oldest: tuple[int, int] | None
    pages: int
    vacant: int
    quarantined: int
    memo: dict[str, bytes]
    again: int = 0  #: records to be sent once more
    again_last: int = 0  #: highest of their ids
    shelved: set[int] = set()  #: streams of records that are kept acknowledged, or in quarantine
    downs: Sequence[Row] = ()  #: declarations of time, not delivered yet, of streams older than the last run
    damage: str | None = None  #: what was wrong, where the file had to be salvaged
    moved_to: str | None = None
    saved: int = 0  #: rows salvaged
