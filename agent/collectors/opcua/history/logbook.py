"""What a device's history is owed, on disk: how far each tag was said, and the spans still to be filled.

One small SQLite file a device, only with `backfill: true`. It is written when a connection has brought the first value
of a tag, when it ends, and while a span is filled; never for a reading. Every method blocks: call it in a thread.

A row of `said` is `live` while its connection stands: then its time is that of the first value, and how far the tag was
really said is known only together with what the outbox recorded (:meth:`Logbook.recall`). docs/decisions/009.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from agent.collectors.opcua.past import MissingSpan, TagKey
from agent.core.private import refuse_links

VERSION = 1
MOST_TAGS = 100_000  #: programs change, and what browsing found once must not be kept for ever
_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE said (
    tag TEXT PRIMARY KEY, node TEXT NOT NULL, time INTEGER NOT NULL, live INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE owed (
    id INTEGER PRIMARY KEY, tag TEXT NOT NULL, node TEXT NOT NULL, after INTEGER NOT NULL, before INTEGER NOT NULL
);
"""
_LEAD = "INSERT OR REPLACE INTO meta VALUES ('lead', ?)"
_SAID = "INSERT OR REPLACE INTO said VALUES (?, ?, ?, ?)"
_OWED = "INSERT OR REPLACE INTO owed VALUES (?, ?, ?, ?, ?)"


class LogbookError(Exception):
    """The disk refuses; or, `damaged`, the file is not what this version writes."""

    def __init__(self, reason: str, *, damaged: bool = False) -> None:
        super().__init__(reason)
        self.damaged = damaged


class Recalled(NamedTuple):
    """What the runs before left."""

    last: dict[TagKey, int]  #: source time (epoch ms) up to which each tag was said
    spans: list[MissingSpan]
    lost: int  #: tags of which it cannot be told


class Logbook:
    """One file. `server` says whose: with another address, or another offset of its clock, all in it is void."""

    def __init__(self, path: Path, server: str) -> None:
        self.path = path
        self._server = server
        self._db: sqlite3.Connection | None = None
        self._lock = threading.Lock()  # a thread that was given up may still be at work

    def open(self) -> str | None:
        """Open it, made anew where it is no use; says why where that is damage. Raises LogbookError."""
        damage: str | None = None
        with self._lock:
            try:
                with _translated():
                    self._connect()
            except LogbookError as error:
                self._drop()
                if not error.damaged:
                    raise
                damage = str(error)
                with _translated():
                    self._remove()
                    self._connect()
        return damage

    def _connect(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        refuse_links(self.path)
        # isolation_level=None: transactions are ours. One connection, so the defect of the write-ahead log is far.
        db = self._db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=1.0)
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA wal_autocheckpoint = 64")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            db.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT;")
        elif version != VERSION:
            raise LogbookError(f"its format is {version}, of another version of the agent", damaged=True)
        if db.execute("PRAGMA quick_check").fetchone()[0] != "ok":
            raise LogbookError("its pages do not fit together", damaged=True)
        whose = db.execute("SELECT value FROM meta WHERE key = 'server'").fetchone()
        if whose != (self._server,):
            with self._transaction(durable=True) as out:
                out.execute("DELETE FROM said")
                out.execute("DELETE FROM owed")
                out.execute("INSERT OR REPLACE INTO meta VALUES ('server', ?)", (self._server,))

    def close(self) -> None:
        """Never raises."""
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        if self._db is not None:
            db, self._db = self._db, None
            try:
                db.close()
            except sqlite3.Error:  # what is not in the file is not in it
                return

    def discard(self) -> None:
        """Close it and take it away: what it says is no longer true. Raises LogbookError."""
        with self._lock:
            self._drop()
            with _translated():
                self._remove()

    def _remove(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    # --- reading ------------------------------------------------------------------------------------------------------

    def recall(self, names: frozenset[str] | None, recorded: int | None) -> Recalled:
        """What the runs before left, settled: no row is live any more.

        `names`: the tags there are now; None where more may be found. `recorded`: until when (epoch ms of the agent's
        clock) an outbox recorded readings of this device. Together with the source's lead over that clock it bounds the
        times of all that was said on a connection that did not end in order. Without either, nothing is known of it.
        """
        with self._lock, _translated():
            db = self._connection
            (lead,) = db.execute("SELECT value FROM meta WHERE key = 'lead'").fetchone() or (None,)
            bound = recorded + lead if recorded is not None and isinstance(lead, int) else None
            last: dict[TagKey, int] = {}
            lost = 0
            newest = "SELECT tag, node, time, live FROM said ORDER BY time DESC LIMIT ?"
            for tag, node, time, live in db.execute(newest, (MOST_TAGS,)).fetchall():
                if not isinstance(time, int) or (names is not None and tag not in names):
                    continue
                if not live:
                    last[TagKey(tag, node)] = time
                elif bound is not None:
                    last[TagKey(tag, node)] = max(time, bound)
                else:
                    lost += 1
            spans = [
                MissingSpan(number, TagKey(tag, node), after, before)
                for number, tag, node, after, before in db.execute(
                    "SELECT id, tag, node, after, before FROM owed ORDER BY id"
                )
                if isinstance(after, int) and isinstance(before, int) and (names is None or tag in names)
            ]
            with self._transaction(durable=True) as out:
                out.execute("DELETE FROM said")
                out.executemany(_SAID, [(*key, time, 0) for key, time in last.items()])
                out.execute("DELETE FROM owed")
                out.executemany(_OWED, map(_row, spans))
            return Recalled(last, spans, lost)

    # --- writing ------------------------------------------------------------------------------------------------------

    def heard(self, first: Mapping[TagKey, int], owed: Iterable[MissingSpan], lead: int | None) -> None:
        """These tags are about to be said for the first time on this connection; `lead`: see :meth:`ahead`."""
        with self._lock, _translated(), self._transaction(durable=True) as out:
            out.executemany(_SAID, [(*key, time, 1) for key, time in first.items()])
            out.executemany(_OWED, map(_row, owed))
            out.execute(_LEAD, (lead,))

    def filled(self, span: MissingSpan, until: int) -> None:
        """Values of this span up to `until` are about to be said."""
        with self._lock, _translated(), self._transaction(durable=False) as out:
            out.execute("UPDATE owed SET after = ? WHERE id = ?", (until, span.id))

    def done(self, spans: Sequence[MissingSpan]) -> None:
        """Nothing more is to be had of these."""
        with self._lock, _translated(), self._transaction(durable=False) as out:
            out.executemany("DELETE FROM owed WHERE id = ?", [(span.id,) for span in spans])

    def ended(self, last: Mapping[TagKey, int], spans: Sequence[MissingSpan]) -> None:
        """The connection is over: how far these tags were said, and the spans as they stand."""
        with self._lock, _translated(), self._transaction(durable=True) as out:
            out.execute("DELETE FROM said WHERE live")  # what is not in `last` was not said after all
            out.executemany(_SAID, [(*key, time, 0) for key, time in last.items()])
            out.execute("DELETE FROM owed")
            out.executemany(_OWED, map(_row, spans))

    @property
    def _connection(self) -> sqlite3.Connection:
        if self._db is None:
            raise LogbookError("it is not open")
        return self._db

    @contextmanager
    def _transaction(self, *, durable: bool) -> Iterator[sqlite3.Connection]:
        """`durable`: also after a power cut. What is not is some seconds old then."""
        db = self._connection
        db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise


def _row(span: MissingSpan) -> tuple[int, str, str, int, int]:
    return (span.id, *span.key, span.after, span.before)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        raise LogbookError(str(error), damaged=code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}) from error
    except OSError as error:
        raise LogbookError(error.strerror or str(error)) from error
