"""Records that somebody wants once more: which are kept, which nobody can send any more, and the queue of them.

Everything runs where the one connection is used. What is asked for moves into the table `again`, where it neither
expires nor counts against a bound, and back among the acknowledged records once it was sent.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from msgspec import Struct

from agent.core.flow import Batch
from agent.outbox.file.errors import transaction, translated
from agent.outbox.file.pack import Undecodable, unpack
from agent.outbox.file.transaction import Job, runs

_COLUMNS = "seq, ts, size, readings, content"
_QUEUE = f"INSERT INTO again (row, stream, {_COLUMNS}) SELECT id, stream, {_COLUMNS}"
_HELD = (
    "SELECT seq FROM acked WHERE stream = ?1 AND seq BETWEEN ?2 AND ?3"
    " UNION SELECT seq FROM again WHERE stream = ?1 AND seq BETWEEN ?2 AND ?3"
)
_BEFORE = "SELECT ts FROM acked WHERE stream = ? AND seq < ? ORDER BY seq DESC LIMIT 1"
_BEHIND = "SELECT ts FROM acked WHERE stream = ? AND seq > ? ORDER BY seq LIMIT 1"


class QueuedRow(Struct):
    """A row of the queue. `content` is None where its bytes can no longer be decoded."""

    id: int
    stream: int
    seq: int
    ts: int
    size: int
    readings: int
    content: Batch | None


class Missing(Struct, frozen=True):
    """Numbers in a row that are neither kept nor declared, and what is known of their time."""

    first: int
    last: int
    from_ts: int | None  #: of the nearest kept record before them
    to_ts: int | None  #: of the nearest one behind


class RequestOutcome(Struct, frozen=True):
    """What a request has come to."""

    again: int
    missing: Sequence[Missing] = ()


def queue(db: sqlite3.Connection, shelf: str, rows: Iterable[int]) -> None:
    """Move rows of `acked` or `quarantine` into the queue. Call within a transaction."""
    numbers = [(row,) for row in rows]
    db.executemany(f"{_QUEUE} FROM {shelf} WHERE id = ?", numbers)
    db.executemany(f"DELETE FROM {shelf} WHERE id = ?", numbers)  # noqa: S608


def request(db: sqlite3.Connection, stream: int, first: int, last: int, *, declares_again: bool) -> RequestOutcome:
    """Queue what is kept of these numbers; what of the others nobody has declared yet, or all of them."""
    span = (stream, first, last)
    with translated(), transaction(db):
        held = {seq for (seq,) in db.execute(_HELD, span)}
        before = [] if declares_again else declared(db, *span)
        held.update(seq for low, high in before for seq in range(max(low, first), min(high, last) + 1))
        missing = [
            Missing(low, high, _time(db, _BEFORE, stream, low), _time(db, _BEHIND, stream, high))
            for low, high in runs([seq for seq in range(first, last + 1) if seq not in held])
        ]
        again = db.execute(f"{_QUEUE} FROM acked WHERE stream = ? AND seq BETWEEN ? AND ? ORDER BY seq", span).rowcount
        db.execute("DELETE FROM acked WHERE stream = ? AND seq BETWEEN ? AND ?", span)
    return RequestOutcome(again, missing)


def _time(db: sqlite3.Connection, statement: str, stream: int, seq: int) -> int | None:
    row = db.execute(statement, (stream, seq)).fetchone()
    return None if row is None else int(row[0])


def highest(db: sqlite3.Connection) -> int:
    """Of the ids in the queue."""
    with translated():
        return int(db.execute("SELECT coalesce(max(id), 0) FROM again").fetchone()[0])


def fetch(db: sqlite3.Connection, after: int, limit: int, max_bytes: int) -> list[QueuedRow]:
    """What comes behind `after` in the queue, decoded: `limit` of it, less where it is large."""
    result: list[QueuedRow] = []
    size = 0
    with translated():
        for number, stream, seq, ts, packed_size, readings, packed in db.execute(
            "SELECT id, stream, seq, ts, size, readings, content FROM again WHERE id > ? ORDER BY id LIMIT ?",
            (after, limit),
        ):
            try:
                content = unpack(packed)
            except Undecodable:
                content = None
            batch = content if isinstance(content, Batch) else None
            result.append(QueuedRow(number, stream, seq, ts, packed_size, readings, batch))
            size += packed_size
            if size >= max_bytes:
                break
    return result


def settle(db: sqlite3.Connection, job: Job) -> None:
    """What a transaction says of the queue: sent and kept on, or refused. Call within it."""
    for number in job.again_acked:
        if job.keep_acked:
            db.execute(
                f"INSERT OR REPLACE INTO acked (id, stream, at, {_COLUMNS}) SELECT row, stream, ?, {_COLUMNS}"  # noqa: S608
                " FROM again WHERE id = ?",
                (job.now_ms, number),
            )
        db.execute("DELETE FROM again WHERE id = ?", (number,))
    for reason, at, number in job.again_refused:
        db.execute(
            f"INSERT OR REPLACE INTO quarantine (id, stream, at, reason, {_COLUMNS}) SELECT row, stream, ?, ?,"  # noqa: S608
            f" {_COLUMNS} FROM again WHERE id = ?",
            (at, reason, number),
        )
        db.execute("DELETE FROM again WHERE id = ?", (number,))


def declare(db: sqlite3.Connection, stream: int, first: int, last: int) -> None:
    """A gap says that these numbers are lost. Call within a transaction."""
    row = db.execute(
        "SELECT first, last FROM declared WHERE stream = ? AND first <= ? ORDER BY first DESC LIMIT 1", (stream, first)
    ).fetchone()
    if row is not None and row[1] >= first - 1:
        db.execute("UPDATE declared SET last = ? WHERE stream = ? AND first = ?", (max(row[1], last), stream, row[0]))
    else:
        db.execute("INSERT INTO declared VALUES (?, ?, ?)", (stream, first, last))


def declared(db: sqlite3.Connection, stream: int, first: int, last: int) -> list[tuple[int, int]]:
    """Ranges that touch these numbers."""
    return db.execute(
        "SELECT first, last FROM declared WHERE stream = ? AND first <= ? AND last >= ?", (stream, last, first)
    ).fetchall()
