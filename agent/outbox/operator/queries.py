"""What an operator does with a file: the SQL behind `edge-agent outbox`.

Every function runs where the one connection is used: in the outbox's worker thread, or in the command itself while no
agent runs.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Literal

from msgspec import structs

from agent.core.flow import Gap
from agent.core.ports import Lost
from agent.outbox.file import again
from agent.outbox.file.errors import transaction, translated
from agent.outbox.file.pack import Undecodable, unpack
from agent.outbox.file.transaction import Row, StoredStream
from agent.outbox.operator.protocol import Done, Heap, Listing, QuarantinedRecord, Which

Shelf = Literal["quarantine", "acked"]

#: What a listing adds up.
TABLES = ("records", "again", "quarantine", "acked")
#: Rows that are looked at between two commits of others.
PORTION = 20_000
_COLUMNS = "id, stream, seq, ts, size, readings"


def streams(db: sqlite3.Connection) -> dict[int, StoredStream]:
    """All streams of the file, by id."""
    with translated():
        rows = db.execute("SELECT id, epoch, device, next, ts FROM streams")
        return {row[0]: StoredStream(*row) for row in rows}


def last_row(db: sqlite3.Connection, table: str) -> int:
    """Highest row number."""
    with translated():
        return int(db.execute(f"SELECT coalesce(max(id), 0) FROM {table}").fetchone()[0])  # noqa: S608 - our names


def epoch(db: sqlite3.Connection) -> str | None:
    """Of the last run that began."""
    with translated():
        row = db.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
    return None if row is None else str(row[0])


class Sums:
    """Adds up portions of a table."""

    def __init__(self) -> None:
        self.declarations = 0
        self._by_stream: dict[int, list[int]] = {}

    def portion(self, db: sqlite3.Connection, table: str, low: int) -> None:
        """Take in `PORTION` row numbers from `low` on."""
        with translated():
            found = db.execute(
                "SELECT stream, count(*), sum(readings), sum(size), min(seq), max(seq), min(ts), max(ts)"  # noqa: S608
                f" FROM {table} WHERE id BETWEEN ? AND ? AND seq > 0 GROUP BY stream",
                (low, low + PORTION - 1),
            ).fetchall()
            if table == "records":
                self.declarations += db.execute(
                    "SELECT count(*) FROM records WHERE id BETWEEN ? AND ? AND seq = 0", (low, low + PORTION - 1)
                ).fetchone()[0]
        for stream, *figures in found:
            known = self._by_stream.get(stream)
            if known is None:
                self._by_stream[stream] = figures
            else:
                added = [mine + more for mine, more in zip(known[:3], figures[:3], strict=True)]
                ends = [min(known[3], figures[3]), max(known[4], figures[4])]
                times = [min(known[5], figures[5]), max(known[6], figures[6])]
                self._by_stream[stream] = [*added, *ends, *times]

    def heaps(self, known: dict[int, StoredStream]) -> list[Heap]:
        """By device and epoch."""
        found = [
            Heap(known[stream].device, known[stream].epoch, *figures)
            for stream, figures in self._by_stream.items()
            if stream in known
        ]
        return sorted(found, key=lambda heap: (heap.device, heap.epoch))


def listing(db: sqlite3.Connection) -> Listing:
    """Everything at once: for a file no agent uses."""
    sums = {table: Sums() for table in TABLES}
    for table, one in sums.items():
        for low in range(0, last_row(db, table) + 1, PORTION):
            one.portion(db, table, low)
    listing = put_together(sums, streams(db), epoch(db))
    with translated():
        size = db.execute("SELECT coalesce(sum(size), 0) FROM records").fetchone()[0]
    return structs.replace(listing, bytes=size, lost=untold(db))


def untold(db: sqlite3.Connection) -> Lost:
    """What was lost, as far as its declarations have not been delivered."""
    lost = Lost()
    with translated():
        for (packed,) in db.execute("SELECT content FROM records WHERE seq = 0"):
            try:
                gap = unpack(packed)
            except Undecodable:
                continue
            if isinstance(gap, Gap) and gap.kind in {"dropped", "expired", "overflow", "lost"}:
                lost.merge(Lost(gap.records or 0, gap.readings or 0, gap.from_ts, gap.to_ts))
    return lost


def put_together(sums: dict[str, Sums], known: dict[int, StoredStream], run: str | None) -> Listing:
    """A listing out of what was added up."""
    return Listing(
        epoch=run,
        waiting=sums["records"].heaps(known),
        declarations=sums["records"].declarations,
        quarantined=sums["quarantine"].heaps(known),
        again=sums["again"].heaps(known),
        kept=sums["acked"].heaps(known),
    )


def quarantined(db: sqlite3.Connection, which: Which) -> list[QuarantinedRecord]:
    """Records in quarantine, oldest first."""
    known = streams(db)
    with translated():
        more = {row[0]: row[1:] for row in db.execute("SELECT id, at, reason FROM quarantine")}
    return [
        QuarantinedRecord(
            row.row, known[row.stream].device, known[row.stream].epoch, row.seq, row.ts, more[row.row][0],
            row.readings, row.size, more[row.row][1],
        )
        for row in choose(db, "quarantine", which)
    ]  # fmt: skip


def choose(db: sqlite3.Connection, shelf: Shelf, which: Which) -> list[Row]:
    """Rows of a shelf, without their contents, oldest first. Those of a stream nobody knows any more are left out."""
    wanted = {
        number
        for number, stream in streams(db).items()
        if (which.device is None or fnmatchcase(stream.device, which.device))
        and (which.epoch is None or which.epoch == stream.epoch)
    }
    ids = None if which.ids is None else set(which.ids)
    with translated():
        found = db.execute(
            f"SELECT {_COLUMNS} FROM {shelf} WHERE seq BETWEEN ? AND ? AND ts BETWEEN ? AND ? ORDER BY id",  # noqa: S608
            (which.first or 1, which.last or 1 << 62, which.since or 0, which.until or 1 << 62),
        ).fetchall()
    return [Row(*row) for row in found if row[1] in wanted and (ids is None or row[0] in ids)]


def send_again(db: sqlite3.Connection, shelf: Shelf, which: Which) -> list[Row]:
    """Records of a shelf are to be sent again; which. One transaction. Raises DiskRefused or Damaged."""
    rows = choose(db, shelf, which)
    with translated(), transaction(db):
        again.queue(db, shelf, [row.row for row in rows])
    return rows


def discard(db: sqlite3.Connection, which: Which) -> list[Row]:
    """Records leave the quarantine for good (they were declared lost when they got there)."""
    rows = choose(db, "quarantine", which)
    with translated(), transaction(db):
        for chunk in _numbers(rows):
            db.executemany("DELETE FROM quarantine WHERE id = ?", chunk)
    return rows


def expire_acked(db: sqlite3.Connection, *, before_ms: int) -> None:
    """Of the acknowledged records let those go that are older. It costs what goes, not what is kept.

    Rows lie nearly in the order in which they were acknowledged; the search ends at a stretch of younger ones.
    """
    with translated():
        low, more = 0, True
        while more:
            rows = db.execute("SELECT id FROM acked WHERE id > ? ORDER BY id LIMIT 500", (low,)).fetchall()
            high = rows[-1][0] if rows else low
            more = (
                db.execute("DELETE FROM acked WHERE id BETWEEN ? AND ? AND at < ?", (low, high, before_ms)).rowcount > 0
            )
            low = high


def trim_acked(db: sqlite3.Connection, *, max_bytes: int) -> float:
    """Keep of the acknowledged records the newest that fit. All are looked at; how many seconds that took."""
    began = time.perf_counter()
    with translated():
        db.execute(
            "DELETE FROM acked WHERE id <= (SELECT max(id) FROM"
            " (SELECT id, sum(size) OVER (ORDER BY id DESC) AS above FROM acked) WHERE above > ?)",
            (max_bytes,),
        )
    return time.perf_counter() - began


def shift_acked(db: sqlite3.Connection, milliseconds: int) -> None:
    """The wall clock was set: what was acknowledged before has another time on it now."""
    with translated():
        db.execute("UPDATE acked SET at = at + ?", (milliseconds,))


def done(rows: Sequence[Row]) -> Done:
    """What was moved, as figures."""
    return Done(len(rows), sum(row.readings for row in rows), sum(row.size for row in rows))


def _numbers(rows: Sequence[Row]) -> Iterator[list[tuple[int]]]:
    for start in range(0, len(rows), 500):
        yield [(row.row,) for row in rows[start : start + 500]]
