"""The file: its tables, its version, and how a connection to it is set up.

One connection in one thread: SQLite's WAL-reset defect (3.7.0 to 3.51.2) needs a second one that writes. Others may
open the file read-only to look at it. The format version is `user_version`; a newer one is refused, an older one is
upgraded step by step.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from agent.core.errors import PermanentError
from agent.outbox.file.errors import transaction
from agent.outbox.file.transaction import Damaged
from agent.telemetry.logging import get_logger

VERSION = 2
_TO_2 = """
ALTER TABLE streams ADD COLUMN readings INTEGER NOT NULL DEFAULT 0;
ALTER TABLE streams ADD COLUMN due INTEGER NOT NULL DEFAULT 0;
ALTER TABLE streams ADD COLUMN done INTEGER NOT NULL DEFAULT 0;
ALTER TABLE streams ADD COLUMN late INTEGER NOT NULL DEFAULT 0;
CREATE INDEX acked_numbers ON acked (stream, seq);
CREATE TABLE again (
    id INTEGER PRIMARY KEY AUTOINCREMENT, row INTEGER NOT NULL, stream INTEGER NOT NULL, seq INTEGER NOT NULL,
    ts INTEGER NOT NULL, size INTEGER NOT NULL, readings INTEGER NOT NULL, content BLOB NOT NULL
);
CREATE TABLE declared (
    stream INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (stream, first)
) WITHOUT ROWID;
INSERT OR IGNORE INTO declared SELECT stream, seq, seq FROM quarantine;
"""
#: Version → statements that make a file of that version one of the next, in one transaction with the new number: a kill
#: leaves one or the other. Steps are for ever; `TABLES` are always those of `VERSION`.
UPGRADES: Mapping[int, Sequence[str]] = {1: _TO_2.split(";")[:-1]}
log = get_logger("outbox")

APPLICATION_ID = 0x45644F62  # "EdOb"
#: The write-ahead log is cut back to this after a burst, bytes.
_WAL_KEPT = 16 << 20
#: Files up to this size are checked whole at start; larger ones show damage when it is met.
_CHECKED_WHOLE = 64 << 20

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
-- next: one more than the highest number committed: what a start declares comes from here, rows or no rows.
CREATE TABLE streams (
    id INTEGER PRIMARY KEY, epoch TEXT NOT NULL, device TEXT NOT NULL, next INTEGER NOT NULL, ts INTEGER NOT NULL,
    readings INTEGER NOT NULL DEFAULT 0, due INTEGER NOT NULL DEFAULT 0, done INTEGER NOT NULL DEFAULT 0,
    late INTEGER NOT NULL DEFAULT 0, UNIQUE (epoch, device)
);
-- seq 0: a gap. hold: the number the row holds `low` at. content comes last, so that the rest is read without it.
CREATE TABLE records (
    id INTEGER PRIMARY KEY, stream INTEGER NOT NULL, hold INTEGER, seq INTEGER NOT NULL, ts INTEGER NOT NULL,
    size INTEGER NOT NULL, readings INTEGER NOT NULL, content BLOB NOT NULL
);
CREATE INDEX records_low ON records (stream, hold, size);
-- at: when it was acknowledged, or quarantined, epoch milliseconds.
CREATE TABLE acked (
    id INTEGER PRIMARY KEY, stream INTEGER NOT NULL, seq INTEGER NOT NULL, ts INTEGER NOT NULL,
    size INTEGER NOT NULL, readings INTEGER NOT NULL, at INTEGER NOT NULL, content BLOB NOT NULL
);
CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY, stream INTEGER NOT NULL, seq INTEGER NOT NULL, ts INTEGER NOT NULL,
    size INTEGER NOT NULL, readings INTEGER NOT NULL, at INTEGER NOT NULL, reason TEXT NOT NULL, content BLOB NOT NULL
);
CREATE INDEX acked_numbers ON acked (stream, seq);
-- What is to be sent once more. row: its number among the records.
CREATE TABLE again (
    id INTEGER PRIMARY KEY AUTOINCREMENT, row INTEGER NOT NULL, stream INTEGER NOT NULL, seq INTEGER NOT NULL,
    ts INTEGER NOT NULL, size INTEGER NOT NULL, readings INTEGER NOT NULL, content BLOB NOT NULL
);
-- Numbers that a gap has declared: they are declared again only where a request insists.
CREATE TABLE declared (
    stream INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (stream, first)
) WITHOUT ROWID;
CREATE TABLE memo (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
"""

Durability = Literal["memory", "commit", "fsync"]


def connect(path: Path | None, durability: Durability, *, look: bool = False) -> sqlite3.Connection:
    """A connection ready for use, the tables made. Without a path: in memory. Raises sqlite3.Error and ours.

    `look`: an older file is upgraded for this connection only, so that the version that wrote it can go on with it.
    """
    if path is not None and path.exists():
        if not path.is_file():
            raise Damaged("what stands there is no file")
        if 0 < path.stat().st_size < 512:
            raise Damaged("the file is shorter than its header")
    db = sqlite3.connect(":memory:" if path is None else path, isolation_level=None, timeout=5.0)
    try:
        _set_up(db, path, durability, look=look)
    except BaseException:
        db.close()
        raise
    return db


def _set_up(db: sqlite3.Connection, path: Path | None, durability: Durability, *, look: bool) -> None:
    _check_version(db, path)
    if path is not None:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA journal_size_limit = {_WAL_KEPT}")
    db.execute(f"PRAGMA synchronous = {'FULL' if durability == 'fsync' else 'NORMAL'}")
    # Distributions build SQLite with secure_delete on: every acknowledged page would be written once more, as zeros.
    db.execute("PRAGMA secure_delete = OFF")
    if db.execute("PRAGMA secure_delete").fetchone()[0] != 0:
        raise PermanentError("this build of SQLite cannot switch secure_delete off", "use another build of SQLite")
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        with transaction(db):
            for table in TABLES.split(";")[:-1]:
                db.execute(table)
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {VERSION}")
        return
    if path is not None and path.stat().st_size <= _CHECKED_WHOLE:
        verdict = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise Damaged(str(verdict).replace("\n", " ")[:200])
    if look:
        db.execute("BEGIN")  # closing the connection takes the steps back
    for known in range(version, VERSION):
        if look:
            _take(db, known)
        else:
            _upgrade(db, path, known)


def _upgrade(db: sqlite3.Connection, path: Path | None, version: int) -> None:
    with transaction(db):
        _take(db, version)
    log.info("outbox.upgraded", file=str(path), version=version + 1)


def _take(db: sqlite3.Connection, version: int) -> None:
    for statement in UPGRADES[version]:
        db.execute(statement)
    db.execute(f"PRAGMA user_version = {version + 1}")


def _check_version(db: sqlite3.Connection, path: Path | None) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise PermanentError(
            f"{path} has outbox format {version}; this version knows formats up to {VERSION}",
            "run the version that wrote it, or move the file away (what waits in it stays unsent)",
        )
    if version == 0 and db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise Damaged("a database without a format version")
