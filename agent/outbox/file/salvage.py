"""A damaged file is moved aside and what can be read of it is saved, record by record, into a new one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from agent.core.ids import ulid
from agent.outbox.file.pack import Undecodable, unpack
from agent.outbox.file.schema import Durability, connect

#: How far past an unreadable page row numbers are tried one by one before the search gives up on what follows.
_SEARCH = 20_000
#: Damaged files that are kept.
KEPT = 3
_TABLES = ("meta", "streams", "memo", "records", "acked", "quarantine", "again", "declared")
_BY_ROW = ("streams", "records", "acked", "quarantine", "again")


def salvage(path: Path, durability: Durability, now_ms: int) -> tuple[Path, int]:
    """Move `path` (with its log) to NAME.damaged-ULID and save its rows. Returns the new name and the records saved.

    Raises sqlite3.Error or OSError when the new file cannot be written.
    """
    moved = path.with_name(f"{path.name}.damaged-{ulid(now_ms)}")
    path.rename(moved)
    for suffix in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(moved.with_name(moved.name + suffix))
    _forget_older(path, moved)
    saved = 0
    with closing(connect(path, durability)) as new:
        old = _read(moved)
        if old is None:
            return moved, 0
        with closing(old):
            new.execute("BEGIN IMMEDIATE")
            for table in _TABLES:
                names = _columns(old, table)
                if not names:  # an older version's file has no such table
                    continue
                places = ", ".join("?" * len(names))
                statement = f"INSERT OR REPLACE INTO {table} ({', '.join(names)}) VALUES ({places})"  # noqa: S608 - ours
                for row in _rows_by_number(old, table) if table in _BY_ROW else _rows(old, table):
                    if table != "records" or _whole(row):
                        new.execute(statement, row)
                        saved += table == "records"
            new.execute("COMMIT")
    return moved, saved


def _forget_older(path: Path, moved: Path) -> None:
    """A failing disk must not fill itself with copies: the newest few are enough to look at."""
    found = [one for one in path.parent.glob(f"{path.name}.damaged-*") if not one.name.endswith(("-wal", "-shm"))]
    found = [one for one in found if one.is_file()]  # a directory that stood there is somebody's
    # By the file system's time: the clock in the name may have gone back.
    older = sorted((one for one in found if one != moved), key=lambda one: one.stat().st_mtime_ns)
    for old in older[: max(0, len(found) - KEPT)]:
        for suffix in ("", "-wal", "-shm"):
            old.with_name(old.name + suffix).unlink(missing_ok=True)


def _read(path: Path) -> sqlite3.Connection | None:
    """A connection to the damaged file; None where it is no database at all."""
    if not path.is_file():
        return None
    db = sqlite3.connect(path, isolation_level=None)
    try:
        # With this SQLite reads a file that is shorter than its header says.
        db.execute("PRAGMA writable_schema = ON")
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.DatabaseError:
        db.close()
        return None
    return db


def _whole(row: tuple[object, ...]) -> bool:
    try:
        unpack(row[-1] if isinstance(row[-1], bytes) else b"")
    except Undecodable:
        return False
    return True


def _columns(db: sqlite3.Connection, table: str) -> list[str]:
    """As the damaged file has them: an older version's lacks some."""
    with suppress(sqlite3.DatabaseError):
        return [name for _, name, *_ in db.execute(f"PRAGMA table_info({table})")]
    return []


def _rows(db: sqlite3.Connection, table: str) -> Iterator[tuple[object, ...]]:
    with suppress(sqlite3.DatabaseError):
        yield from db.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 - our own names


def _rows_by_number(db: sqlite3.Connection, table: str) -> Iterator[tuple[object, ...]]:
    """Rows in order of their number; past an unreadable page the search goes on one by one."""
    position, missed = -1, 0
    while missed < _SEARCH:
        try:
            cursor = db.execute(f"SELECT * FROM {table} WHERE id > ? ORDER BY id", (position,))  # noqa: S608
            row = cursor.fetchone()
            while row is not None:
                position, missed = row[0], 0
                yield row
                row = cursor.fetchone()
        except sqlite3.DatabaseError:
            position += 1
            missed += 1
        else:
            return
