"""What a file holds, as it is asked at its opening and between commits. Functions of a connection; they write nothing.

SQLite's errors pass: store.py translates them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from agent.core.flow import Batch, Gap
from agent.outbox.file.pack import Undecodable, unpack
from agent.outbox.file.transaction import Low, Opened, Row, StoredStream, runs

COLUMNS = "id, stream, seq, ts, size, readings"

_LOW = (
    "SELECT id, (SELECT hold FROM records WHERE stream = streams.id AND hold IS NOT NULL ORDER BY hold LIMIT 1),"
    " EXISTS (SELECT 1 FROM records WHERE stream = streams.id) FROM streams WHERE id BETWEEN ? AND ?"
)
_SHELVED = "SELECT stream FROM acked UNION SELECT stream FROM quarantine UNION SELECT stream FROM again"
_STREAMS = "SELECT id, epoch, device, next, ts, readings, due, done, late FROM streams"


def opened(db: sqlite3.Connection, boot: str) -> Opened:
    """All that is to be known of a file that has just been opened. `boot` names this start of the machine."""
    meta = dict(db.execute("SELECT key, value FROM meta"))
    records, size = db.execute("SELECT count(*), coalesce(sum(size), 0) FROM records").fetchone()
    return Opened(
        previous_epoch=meta.get("epoch"),
        clean=meta.get("clean") == "1",
        same_boot=not boot or meta.get("boot") in {None, "", boot},
        streams=[StoredStream(*row) for row in db.execute(_STREAMS)],
        shelved={row for (row,) in db.execute(_SHELVED)},
        lows=lows(db, [row for (row,) in db.execute("SELECT DISTINCT stream FROM records").fetchall()]),
        records=records,
        size=size,
        last_row=max(
            db.execute(f"SELECT coalesce(max({name}), 0) FROM {table}").fetchone()[0]  # noqa: S608 - our own names
            for table, name in (("records", "id"), ("acked", "id"), ("quarantine", "id"), ("again", "row"))
        ),
        oldest=oldest(db),
        pages=pages(db, "page_count"),
        vacant=pages(db, "freelist_count"),
        quarantined=db.execute("SELECT count(*) FROM quarantine").fetchone()[0],
        again=db.execute("SELECT count(*) FROM again").fetchone()[0],
        again_last=db.execute("SELECT coalesce(max(id), 0) FROM again").fetchone()[0],
        memo=dict(db.execute("SELECT key, value FROM memo")),
        downs=_old_downs(db, meta.get("epoch")),
    )


def _old_downs(db: sqlite3.Connection, previous: str | None) -> list[Row]:
    """Declarations of time (they hold no number) that wait from before the last run."""
    streams = db.execute("SELECT id FROM streams WHERE epoch IS NOT ?", (previous,)).fetchall()
    return [
        row
        for (number,) in streams
        for found in db.execute(
            "SELECT id FROM records WHERE stream = ? AND hold IS NULL AND seq = 0", (number,)
        ).fetchall()
        for row in rows(db, found[0], found[0], 1, 1)
    ]


def rows(db: sqlite3.Connection, low: int, high: int, limit: int, max_bytes: int) -> list[Row]:
    """Rows from `low` to `high`, in order, decoded: `limit` of them, fewer when they are large."""
    result: list[Row] = []
    size = 0
    for row, stream, seq, ts, packed_size, readings, packed in db.execute(
        f"SELECT {COLUMNS}, content FROM records WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?",  # noqa: S608
        (low, high, limit),
    ):
        try:
            content: Batch | Gap | None = unpack(packed)
        except Undecodable:
            content = None
        result.append(Row(row, stream, seq, ts, packed_size, readings, content))
        size += len(packed)
        if size >= max_bytes:
            break
    return result


def lows(db: sqlite3.Connection, streams: Iterable[int]) -> list[Low]:
    """The lowest number each of these streams still holds, and whether it has rows at all."""
    asked = set(streams)
    found = {
        number: Low(number, hold, bool(has_rows))
        for span in runs(asked)
        for number, hold, has_rows in db.execute(_LOW, span)
    }
    return [found.get(number) or Low(number, None, rows=False) for number in asked]


def oldest(db: sqlite3.Connection) -> tuple[int, int] | None:
    """Row and time of the oldest record."""
    row: tuple[int, int] | None = db.execute("SELECT id, ts FROM records ORDER BY id LIMIT 1").fetchone()
    return row


def pages(db: sqlite3.Connection, which: str) -> int:
    """Bytes of all pages (`page_count`), or of the empty ones (`freelist_count`)."""
    count, size = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in (which, "page_size"))
    return int(count) * int(size)
