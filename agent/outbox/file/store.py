"""The thin part that touches SQLite: one connection, used by one thread. Foreign errors are translated here.

Every method runs in the outbox's worker thread.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from agent.outbox.file import again
from agent.outbox.file.ballast import Ballast, free_bytes
from agent.outbox.file.contents import COLUMNS, lows, oldest, opened, pages, rows
from agent.outbox.file.errors import boot_id, own, roll_back, transaction, translated
from agent.outbox.file.replaced import identity, written_anew
from agent.outbox.file.salvage import salvage
from agent.outbox.file.schema import Durability, connect
from agent.outbox.file.takeover import take_over
from agent.outbox.file.transaction import Committed, Damaged, DiskRefused, Job, Opened, Row, runs

#: The quarantine keeps this many records; what goes from it has long been declared.
QUARANTINE_KEPT = 1000

_STREAM = "UPDATE streams SET next = ?, ts = ?, readings = ?, due = ?, done = ?, late = ? WHERE id = ?"


class OutboxStore:
    """One file (or, without a path, memory)."""

    def __init__(
        self, path: Path | None, durability: Durability, *, max_bytes: int = 0, was: Path | None = None,
        boot: Callable[[], str] = boot_id,
    ) -> None:  # fmt: skip
        self.path = self._path = path
        self._ballast = Ballast(path, max_bytes)
        self._was = was  #: the file of the publisher's former name
        self._durability = durability
        self._boot = boot
        self._db: sqlite3.Connection | None = None
        self._lock: int | None = None
        self._identity: tuple[int, int] | None = None  #: of the open file
        self._page_size = 4096

    @property
    def db(self) -> sqlite3.Connection:
        """The open connection."""
        if self._db is None:
            raise DiskRefused("the outbox file is not open")
        return self._db

    # --- opening and closing ------------------------------------------------------------------------------------------

    def open(self, now_ms: int, gone: Sequence[int] = (), suspect: str | None = None) -> Opened:
        """Open the file, salvaging it if need be; rows in `gone` are deleted. Raises DiskRefused or PermanentError.

        `suspect` says what was met in it before: then it is salvaged, whatever a look at it tells.
        """
        try:
            if suspect is not None:
                raise Damaged(suspect)
            return self._open(gone)
        except Damaged as error:
            damage = error
        self._drop_connection()
        if self._path is None:
            raise DiskRefused(damage.reason)
        with translated():
            moved, saved = salvage(self._path, self._durability, now_ms)
            opened = self._open(gone)
        opened.damage, opened.moved_to, opened.saved = damage.reason, str(moved), saved
        return opened

    def _open(self, gone: Sequence[int]) -> Opened:
        self._drop_connection()
        if self._path is not None and self._lock is None:
            self._lock = own(self._path)
        if self._path is not None and self._was is not None:
            take_over(self._was, self._path, self._durability)
        self._ballast.make_way()
        with translated(self._path):
            self._db = connect(self._path, self._durability)
            self._identity = identity(self._path)
            self._page_size = self._db.execute("PRAGMA page_size").fetchone()[0]
            self._db.execute(f"PRAGMA wal_autocheckpoint = {self._ballast.log_bytes // self._page_size}")
            self._db.executemany("DELETE FROM records WHERE id = ?", [(row,) for row in gone])
            return opened(self._db, self._boot())

    def begin_run(self, epoch: str, job: Job, forget: Sequence[int]) -> Committed:
        """Write down that a run with this epoch has begun, with what it declares; streams in `forget` are over."""
        return self._write(
            job,
            [
                (
                    "INSERT OR REPLACE INTO meta VALUES (?, ?)",
                    [("epoch", epoch), ("boot", self._boot()), ("clean", "0")],
                ),
                ("DELETE FROM streams WHERE id = ?", [(number,) for number in forget]),
                ("DELETE FROM declared WHERE stream = ?", [(number,) for number in forget]),
            ],
        )

    def close(self, *, clean: bool) -> None:
        """Close the file; `clean` says that everything appended is in it."""
        try:
            if self._db is not None and clean:
                with translated():
                    self._db.execute("UPDATE meta SET value = '1' WHERE key = 'clean'")
        finally:
            self._drop_connection()
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None

    def _drop_connection(self) -> None:
        if self._db is not None:
            db, self._db = self._db, None
            with translated():
                db.close()

    # --- writing ------------------------------------------------------------------------------------------------------

    def commit(self, job: Job) -> Committed:
        """Write one transaction. Raises DiskRefused or Damaged; then nothing of it is there."""
        return self._write(job, [])

    def _write(self, job: Job, first: Sequence[tuple[str, list[tuple[object, ...]]]]) -> Committed:
        with translated(self._path):
            db = self.db
            roll_back(db)  # `synchronous` cannot be changed within a transaction
            # After a power cut a run and its streams must be known, or nobody could declare what else was lost.
            spared = self._durability == "commit"
            if spared and (first or job.new_streams):
                db.execute("PRAGMA synchronous = FULL")
            try:
                with transaction(db):
                    for statement, rows in first:
                        db.executemany(statement, rows)
                    self._apply(db, job)
                    # Asked within the transaction: after it each question would lock the file once more.
                    return Committed(
                        lows(db, job.touched), oldest(db), pages(db, "page_count"), pages(db, "freelist_count")
                    )
            finally:
                if spared and not db.in_transaction:
                    db.execute("PRAGMA synchronous = NORMAL")

    def _apply(self, db: sqlite3.Connection, job: Job) -> None:
        if job.new_streams:
            db.executemany("INSERT INTO streams (id, epoch, device, next, ts) VALUES (?, ?, ?, 1, 0)", job.new_streams)
        db.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?)", job.spilled)
        if job.acked:
            ranges = runs(job.acked)
            if job.keep_acked:
                db.executemany(
                    f"INSERT OR REPLACE INTO acked SELECT {COLUMNS}, {job.now_ms:d}, content"  # noqa: S608 - a number
                    " FROM records WHERE id BETWEEN ? AND ? AND seq > 0",
                    ranges,
                )
            db.executemany("DELETE FROM records WHERE id BETWEEN ? AND ?", ranges)
        db.executemany("DELETE FROM records WHERE id BETWEEN ? AND ?", runs(job.dropped))
        if job.quarantined:
            db.executemany(
                f"INSERT OR REPLACE INTO quarantine SELECT {COLUMNS}, ?2, ?1, content"  # noqa: S608 - our own names
                " FROM records WHERE id = ?3",
                job.quarantined,
            )
            db.executemany("DELETE FROM records WHERE id = ?", [(row,) for _, _, row in job.quarantined])
            db.execute(
                "DELETE FROM quarantine WHERE id <="
                " (SELECT id FROM quarantine ORDER BY id DESC LIMIT 1 OFFSET ?)", (QUARANTINE_KEPT,)
            )  # fmt: skip
        if job.updates:
            db.executemany("UPDATE records SET content = ?, size = ? WHERE id = ?", job.updates)
        db.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?)", job.inserts)
        db.executemany(_STREAM, job.streams)
        for numbers in job.declared:
            again.declare(db, *numbers)
        again.settle(db, job)
        for key, value in job.memo.items():
            if value is None:
                db.execute("DELETE FROM memo WHERE key = ?", (key,))
            else:
                db.execute("INSERT OR REPLACE INTO memo VALUES (?, ?)", (key, value))

    def relieve(self, *, flowing: bool = False) -> None:
        """Give the write-ahead log's space back, and where records are `flowing` out the ballast, for them to pass."""
        if flowing:
            self._ballast.give_up()
        with translated(self._path):
            self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    # --- reading ------------------------------------------------------------------------------------------------------

    def fetch(self, low: int, high: int, limit: int, max_bytes: int) -> list[Row]:
        """Rows from `low` to `high`, in order, decoded: `limit` of them, fewer when they are large."""
        with translated():
            return rows(self.db, low, high, limit, max_bytes)

    def fetch_again(self, after: int, limit: int, max_bytes: int) -> list[again.QueuedRow]:
        """What somebody wants once more, behind `after` in its queue."""
        return again.fetch(self.db, after, limit, max_bytes)

    def oldest(self, limit: int) -> list[Row]:
        """The oldest batches, without their contents. Gaps are never dropped, so they are not among them."""
        with translated():
            return [
                Row(*row)
                for row in self.db.execute(
                    f"SELECT {COLUMNS} FROM records WHERE seq > 0 ORDER BY id LIMIT ?",  # noqa: S608 - our own names
                    (limit,),
                )
            ]

    def free_disk(self) -> int | None:
        """Bytes free to us on the file system; None where that means nothing. A file that is gone is written anew."""
        if self._path is None:
            return None
        with translated(self._path):
            if self._db is not None and identity(self._path) != self._identity:
                self._db, self._lock = written_anew(self.db, self._lock, self._path, self._durability)
                self._identity = identity(self._path)
            free = free_bytes(self._path.parent)
            if self._ballast.short_of(free, self._log_bytes()):
                self.relieve()
                free = free_bytes(self._path.parent)
        self._ballast.take(free)
        return free

    def _log_bytes(self) -> int:
        log = None if self._path is None else self._path.with_name(self._path.name + "-wal")
        return log.stat().st_size if log is not None and log.exists() else 0
