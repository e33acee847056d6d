"""`data_dir/history.sqlite`: minutes by tag. Blocks, so it is called in threads, one at a time for each connection.

    series(id, device, tag)   minute(minute, series, low, mean, high, last, good_ms)

`minute` counts minutes since 1970, which is shorter than milliseconds.

It is expendable. A file that is broken or somebody else's is set aside under another name and a new one is begun.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import msgspec

from agent.runtime.history.running import MINUTE, MinuteRow

_encode = msgspec.json.Encoder().encode

#: Marks the file as ours (SQLite's header), and the version of its tables.
_APPLICATION, _VERSION = 0x45444748, 1
_SCHEMA = """
    CREATE TABLE series (id INTEGER PRIMARY KEY, device TEXT NOT NULL, tag TEXT NOT NULL, UNIQUE (device, tag));
    CREATE TABLE minute (
        minute INTEGER NOT NULL, series INTEGER NOT NULL, low, mean REAL, high, last, good_ms INTEGER NOT NULL,
        PRIMARY KEY (minute, series)
    ) WITHOUT ROWID;
"""
#: Rows of one minute come in parts where it was cut by a restart, a reload or a clock that was set.
_PUT = f"""
    INSERT INTO minute (minute, series, low, mean, high, last, good_ms) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (minute, series) DO UPDATE SET
        mean = CASE
            WHEN mean IS NULL THEN excluded.mean WHEN excluded.mean IS NULL THEN mean
            WHEN good_ms + excluded.good_ms = 0 THEN (mean + excluded.mean) / 2
            ELSE (mean * good_ms + excluded.mean * excluded.good_ms) / (good_ms + excluded.good_ms) END,
        low = CASE WHEN low IS NULL THEN excluded.low WHEN excluded.low < low THEN excluded.low ELSE low END,
        high = CASE WHEN high IS NULL THEN excluded.high WHEN excluded.high > high THEN excluded.high ELSE high END,
        last = coalesce(excluded.last, last),
        good_ms = min({MINUTE}, good_ms + excluded.good_ms)
"""  # noqa: S608 - a constant of this module
#: At this share of its bound the oldest go, down to that one.
_FULL, _LOWER = 0.95, 0.85
#: So many minutes are deleted in one transaction.
_AT_ONCE = 60
#: Nobody waits for a lock: the writer is alone, and readers do not block it.
_BUSY_S = 1.0


class Failed(Exception):
    """The disk, or SQLite, refuses."""


class Foreign(Exception):
    """The file was not made by the agent, or is damaged."""


class HistoryStore:
    """The writer's connection. Raises :class:`Failed` and OSError; :class:`Foreign` where the file has to go."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db: sqlite3.Connection | None = None
        self._series: dict[str, dict[str, int]] = {}  # by device and tag

    def open(self) -> None:
        """Open or begin the file."""
        with _named():
            if not _is_file(self._path):
                raise Foreign("it is not a file")
            fresh = not self._path.exists()
            if fresh:
                os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            db = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
            try:
                _prepare(db, fresh=fresh or self._path.stat().st_size == 0)
            except BaseException:
                db.close()
                raise
            self._db = db
            self._series = {}
            for number, device, tag in db.execute("SELECT * FROM series"):
                self._series.setdefault(device, {})[tag] = number

    def put(self, rows: Iterable[MinuteRow]) -> None:
        """Add them, in one transaction."""
        db = self._open()
        try:
            with _named(), _transaction(db):
                known = [(row, self._number(db, row.device, row.tag)) for row in rows]
                db.executemany(_PUT, [(row.minute // MINUTE, number, *row[3:]) for row, number in known])
        except BaseException:
            self.close()  # numbers were given out that do not stand in the file
            raise

    def trim(self, oldest: int, newest: int, max_bytes: int) -> None:
        """Delete what began before `oldest`, or after `newest` (by a clock that was ahead), and what does not fit."""
        db = self._open()
        with _named():
            db.execute("DELETE FROM minute WHERE minute < ?", (oldest // MINUTE,))
            db.execute("DELETE FROM minute WHERE minute > ?", (newest // MINUTE,))
            if _used(db) > _FULL * max_bytes:
                while _used(db) > _LOWER * max_bytes:
                    last = db.execute(
                        "SELECT max(minute) FROM (SELECT DISTINCT minute FROM minute ORDER BY minute LIMIT ?)",
                        (_AT_ONCE,),
                    ).fetchone()[0]
                    if last is None:
                        break
                    db.execute("DELETE FROM minute WHERE minute <= ?", (last,))
            db.executescript("PRAGMA incremental_vacuum(1000)")  # it takes a page a step

    def close(self) -> None:
        """Close it; what is committed stays."""
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.close()
            self._db = None

    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            self.open()
        if self._db is None:
            raise Foreign("it does not open")
        return self._db

    def _number(self, db: sqlite3.Connection, device: str, tag: str) -> int:
        known = self._series.setdefault(device, {})
        number = known.get(tag)
        if number is None:
            found = db.execute("INSERT INTO series (device, tag) VALUES (?, ?) RETURNING id", (device, tag)).fetchone()
            number = known[tag] = int(found[0])
        return number


def read(path: Path, device: str | None, tag: str | None, begin: int, end: int, most: int) -> bytes:
    """`{device: {tag: [[ts, min, mean, max, last, good_ms], …]}}` of [begin, end), as JSON.

    Raises ValueError where that is more than `most` minutes, :class:`Failed`, :class:`Foreign` and OSError.
    """
    if not stat.S_ISREG(path.lstat().st_mode):
        raise Foreign("it is not a file")
    uri = f"{path.resolve().as_uri()}?mode=rw"  # reading a log needs its index, which may have to be made
    with _named(), closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_S, isolation_level=None)) as db:
        db.execute("PRAGMA query_only = ON")
        wanted = db.execute(
            "SELECT id, device, tag FROM series WHERE device = ifnull(?, device) AND tag = ifnull(?, tag) "
            "ORDER BY device, id",
            (device, tag),
        ).fetchall()
        first, last = db.execute("SELECT (SELECT min(minute) FROM minute), (SELECT max(minute) FROM minute)").fetchone()
        if not wanted or first is None:
            return b"{}"
        begin = max(first, -(-begin // MINUTE))
        end = min(last + 1, -(-end // MINUTE))
        if end - begin > most:
            raise ValueError(f"that is more than {most:,} minutes: ask for a shorter time")
        left, parts = most, dict[str, list[bytes]]()
        for number, of, name in wanted:
            rows = db.execute(_MINUTES, (begin, end, number)).fetchmany(left + 1)
            left -= len(rows)
            if left < 0:
                raise ValueError(f"that is more than {most:,} minutes at once: ask for one tag, or a shorter time")
            if rows:  # tag by tag: whoever encodes holds the interpreter's lock
                parts.setdefault(of, []).append(_encode(name) + b":" + _encode(rows))
        return b"{%s}" % b",".join(_encode(of) + b":{%s}" % b",".join(tags) for of, tags in parts.items())


#: Rows lie by minute; of one tag each minute is looked up.
_MINUTES = f"""
    WITH RECURSIVE wanted(at) AS (
        SELECT ?1 WHERE ?1 < ?2 UNION ALL SELECT at + 1 FROM wanted WHERE at + 1 < ?2
    )
    SELECT minute * {MINUTE}, low, mean, high, last, max(0, good_ms)
    FROM wanted CROSS JOIN minute ON minute = at AND series = ?3 ORDER BY minute
"""  # noqa: S608 - a constant of this module


def set_aside(path: Path) -> Path | None:
    """Rename the file, over one that was set aside before; None where there is none any more. Raises OSError."""
    for suffix in ("-wal", "-shm"):
        with suppress(OSError):
            path.with_name(path.name + suffix).unlink()
    aside = path.with_name(path.name + ".aside")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return None
    return aside


def _prepare(db: sqlite3.Connection, *, fresh: bool) -> None:
    if fresh:
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("PRAGMA journal_size_limit = 4194304")
    db.execute("PRAGMA cache_size = -1024")
    if fresh:
        db.executescript(_SCHEMA)
        db.execute(f"PRAGMA application_id = {_APPLICATION}")
        db.execute(f"PRAGMA user_version = {_VERSION}")
    marks = db.execute("PRAGMA application_id").fetchone()[0], db.execute("PRAGMA user_version").fetchone()[0]
    if marks != (_APPLICATION, _VERSION):
        raise Foreign("it is not a history of this version")


def _used(db: sqlite3.Connection) -> int:
    """Bytes of pages that hold something."""
    (pages,), (free,) = db.execute("PRAGMA page_count").fetchone(), db.execute("PRAGMA freelist_count").fetchone()
    (size,) = db.execute("PRAGMA page_size").fetchone()
    return int((pages - free) * size)


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return True


@contextmanager
def _named() -> Iterator[None]:
    """SQLite's errors, by what has to become of the file."""
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF in _NOT_OURS:
            raise Foreign(str(error)) from error
        raise Failed(str(error)) from error


_NOT_OURS = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise
