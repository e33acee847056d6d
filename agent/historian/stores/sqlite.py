"""The historian's database in one SQLite file (WAL, `synchronous=FULL`: what is acknowledged survives a power cut)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from agent.core.errors import PermanentError
from agent.core.private import open_private, refuse_links
from agent.historian.items import Item
from agent.historian.ledger import Book, Key
from agent.historian.stores.away import StoreAway
from agent.historian.stores.port import BadData, Hole, RepairMark, Way, Written
from agent.historian.stores.retention import Retention
from agent.historian.stores.sqlite_schema import MIGRATIONS
from agent.historian.stores.sqlite_transaction import SqliteTransaction
from agent.historian.stores.story import tell
from agent.historian.stores.tags import TagCache

#: Rows thrown away at once.
_SWEEP = 20_000


class SqliteStore:
    """See `agent.historian.stores.port.Store`."""

    def __init__(self, path: Path, *, retention: float | None) -> None:
        self._path = path
        self._retention = Retention(retention)
        self._db: sqlite3.Connection | None = None
        self._tags = TagCache()

    def open(self) -> None:
        self.close()
        self._tags = TagCache()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            refuse_links(self._path)
            with open(open_private(self._path), "ab"):  # noqa: PTH123 - made with our mode
                pass
            db = sqlite3.connect(self._path, isolation_level=None, timeout=5.0, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise StoreAway(f"{self._path} cannot be opened: {error}") from error
        self._db = db
        with self._translated():
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            db.execute("PRAGMA temp_store=MEMORY")
            self._migrate(db)

    def _migrate(self, db: sqlite3.Connection) -> None:
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS):
            reason = f"{self._path} was written by a newer version (its tables are version {version})"
            raise PermanentError(reason, "start that version again, or name another database")
        for number in range(version, len(MIGRATIONS)):
            db.executescript(f"BEGIN IMMEDIATE; {MIGRATIONS[number]} PRAGMA user_version={number + 1}; COMMIT;")

    def write(self, items: Sequence[Item], now_ms: int, /) -> Written:
        with self._transaction() as db:
            return tell(SqliteTransaction(db, self._tags), items, now_ms, self._retention)

    def holes(self, most: int, /) -> list[Hole]:
        with self._translated() as db:
            rows = db.execute(
                "SELECT id, source, agent, epoch, device, base, low, bound, seen, declared FROM stream"
                " WHERE lacking > 0 ORDER BY length(seen) + length(declared), id LIMIT ?",
                (most,),
            )
            found = (
                Hole(row[0], row[1], Key(*row[2:5]), first, end - 1)
                for row in rows
                for first, end in Book(row[5], row[6], row[7], json.loads(row[8]), json.loads(row[9])).holes()
            )
            return list(islice(found, most))

    def marks(self) -> list[RepairMark]:
        with self._translated() as db:
            return [RepairMark(*row) for row in db.execute("SELECT * FROM hole").fetchall()]

    def mark(self, marks: Sequence[RepairMark], /) -> None:
        with self._transaction() as db:
            db.execute("DELETE FROM hole")
            db.executemany("INSERT OR REPLACE INTO hole VALUES (?,?,?,?,?,?,?)", marks)

    def ways(self) -> list[Way]:
        with self._translated() as db:
            rows = db.execute(
                "SELECT DISTINCT source, agent, device, path FROM stream WHERE since IS NOT NULL"
            ).fetchall()
        return [Way(*row) for row in rows]

    def leads(self) -> bool:
        return True

    def sweep(self, now_ms: int, /) -> int:
        cutoff = self._retention.cutoff(now_ms)
        if cutoff is None:
            return 0
        with self._transaction() as db:
            gone = db.execute(  # along the index: other rows are not looked at
                "DELETE FROM reading WHERE rowid IN (SELECT r.rowid FROM tag t CROSS JOIN reading r"
                " WHERE r.tag = t.id AND r.ts < ? LIMIT ?)",
                (cutoff, _SWEEP),
            ).rowcount
            if not gone:
                db.execute("DELETE FROM arrival WHERE slot < ?", (cutoff,))
                db.execute("DELETE FROM gap WHERE to_ts < ?", (cutoff,))
                db.execute("DELETE FROM device_state WHERE at < ?", (cutoff,))
        return gone

    def give_up(self) -> None:
        db = self._db
        if db is not None:
            db.interrupt()

    def close(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            db.close()

    # --- transactions -------------------------------------------------------------------------------------------------

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._translated() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                self._tags.forget()
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
            self._tags.settle()

    @contextmanager
    def _translated(self) -> Iterator[sqlite3.Connection]:
        if self._db is None:
            raise StoreAway(f"{self._path} is not open")
        try:
            yield self._db
        except (
            sqlite3.DataError,
            sqlite3.InterfaceError,
            OverflowError,
            UnicodeError,
        ) as error:
            raise BadData(f"{self._path}: {error}") from error
        except sqlite3.Error as error:
            raise StoreAway(f"{self._path}: {error}") from error
