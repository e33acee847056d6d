"""The historian's database in PostgreSQL 15 or newer, schema `edge`. Several historians may meet in one."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import psycopg

from agent.core.errors import PermanentError
from agent.historian.config import HistorianSettings
from agent.historian.items import Item
from agent.historian.ledger import Key
from agent.historian.stores.away import StoreAway
from agent.historian.stores.connecting import connect, cut, is_shared, prepare
from agent.historian.stores.partitions import Partitions, days_of
from agent.historian.stores.port import BadData, Hole, RepairMark, Way, Written
from agent.historian.stores.postgres_schema import MIGRATIONS
from agent.historian.stores.postgres_transaction import PostgresTransaction, at
from agent.historian.stores.retention import Retention
from agent.historian.stores.story import tell
from agent.historian.stores.tags import TagCache

OLDEST = 150_000  #: PostgreSQL 15
#: A transaction that met another one in the wrong order is tried again so often at once.
_COLLISIONS = 5
_LEAD = 0x6564_6765_0001  #: lock of the historian that asks
_SWEEP = 0x6564_6765_0004
_MIGRATE = 0x6564_6765_0003
#: Keys known to have a row.
_MOST_KNOWN = 100_000

#: Names may be too long for an index.
_TOO_LONG = psycopg.errors.ProgramLimitExceeded
_BAD = (psycopg.DataError, _TOO_LONG, OverflowError, UnicodeError, json.JSONDecodeError)

T = TypeVar("T")


def postgres_store(settings: HistorianSettings) -> PostgresStore:
    """The store of these settings."""
    return PostgresStore(partial(connect, settings), settings.shown, retention=settings.retention)


class PostgresStore:
    """See `agent.historian.stores.port.Store`."""

    def __init__(self, connect: Callable[[], psycopg.Connection], shown: str, *, retention: float | None) -> None:
        self._connect = connect
        self._shown = shown
        self._retention = Retention(retention)
        self._connection: psycopg.Connection | None = None
        self._tags = TagCache()
        self._known: set[Key] = set()
        self._partitions = Partitions(self._retention.ms)
        self._leading = False

    def open(self) -> None:
        self.close()
        self._known.clear()
        self._partitions.forget()
        self._tags = TagCache()
        try:
            connection = self._connection = self._connect()
            prepare(connection)
            shared = is_shared(connection, self._connect)
        except psycopg.Error as error:
            raise StoreAway(f"{self._shown}: {_words(error)}") from error
        if shared:
            reason = f"{self._shown} is a pooler that gives our connection to others between two transactions"
            raise PermanentError(reason, "give this database pool_mode = session there, or name PostgreSQL itself")
        version = connection.info.server_version
        if version < OLDEST:
            raise PermanentError(f"{self._shown} is PostgreSQL {version // 10000}", "PostgreSQL 15 or newer is needed")
        encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":  # every text that it has no letters for would be left out
            hint = "CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
            raise PermanentError(f"{self._shown} keeps text as {encoding}", f"make one that keeps all of it: {hint}")
        with self._translated():
            self._migrate(connection)

    def _migrate(self, connection: psycopg.Connection) -> None:
        try:
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (_MIGRATE,))
                if connection.execute("SELECT to_regnamespace('edge')").fetchone() == (None,):
                    connection.execute("CREATE SCHEMA edge")  # IF NOT EXISTS wants the right to, even where it is there
                if connection.execute("SELECT to_regclass('edge.version')").fetchone() == (None,):
                    connection.execute("CREATE TABLE edge.version (version int NOT NULL)")
                    connection.execute("INSERT INTO edge.version VALUES (0)")
                row = connection.execute("SELECT version FROM edge.version").fetchone()
                version = row[0] if row is not None else 0
                if version > len(MIGRATIONS):
                    reason = f"{self._shown} was written by a newer version (its tables are version {version})"
                    raise PermanentError(reason, "start that version again, or name another database")
                connection.execute("SET LOCAL statement_timeout = 0")  # years of rows may have to be gone through
                for step in MIGRATIONS[version:]:
                    connection.execute(step)
                connection.execute("UPDATE edge.version SET version = %s", (len(MIGRATIONS),))
        except psycopg.errors.InsufficientPrivilege as error:
            reason = f"{self._shown}: {_words(error)}"
            hint = "let an administrator say CREATE SCHEMA edge AUTHORIZATION the_user, or name the user it belongs to"
            raise PermanentError(reason, hint) from error

    def write(self, items: Sequence[Item], now_ms: int, /) -> Written:
        days = days_of(items)
        for attempt in range(_COLLISIONS):
            try:
                with self._translated() as connection:
                    self._partitions.make(connection, days, now_ms)
                    return self._write(connection, items, now_ms)
            except _Collision:
                if attempt == _COLLISIONS - 1:
                    raise
        raise StoreAway(self._shown)  # never reached: the last attempt returns or raises

    def _write(self, connection: psycopg.Connection, items: Sequence[Item], now_ms: int) -> Written:
        transaction = PostgresTransaction(connection, self._tags, self._known)
        try:
            with connection.transaction():
                done = tell(transaction, items, now_ms, self._retention)
        except BaseException:
            self._tags.forget()
            raise
        self._tags.settle()
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        self._known |= transaction.fresh
        return done

    def holes(self, most: int, /) -> list[Hole]:
        with self._translated() as connection:
            rows = connection.execute(
                "WITH s AS (SELECT *, pg_column_size(seen) + pg_column_size(declared) AS size FROM edge.stream"
                " WHERE lacking > 0 ORDER BY size, id LIMIT %s)"
                " SELECT s.id, s.source, s.agent, s.epoch, s.device, lower(r), upper(r) - 1"
                " FROM s, unnest(int8multirange(int8range(s.base, s.bound)) - s.seen - s.declared) r"
                " ORDER BY s.size, s.id, r LIMIT %s",
                (most, most),
            ).fetchall()
        return [Hole(row[0], row[1], Key(*row[2:5]), row[5], row[6]) for row in rows]

    def marks(self) -> list[RepairMark]:
        with self._translated() as connection:
            rows = connection.execute(
                "SELECT stream, from_seq, to_seq, (extract(epoch FROM since) * 1000)::int8,"
                " (extract(epoch FROM asked) * 1000)::int8, attempts, repair FROM edge.hole"
            ).fetchall()
        return [RepairMark(*row) for row in rows]

    def mark(self, marks: Sequence[RepairMark], /) -> None:
        with self._translated() as connection, connection.transaction(), connection.cursor() as cursor:
            cursor.execute("DELETE FROM edge.hole")
            cursor.executemany(
                "INSERT INTO edge.hole VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                [
                    (one.stream, one.first, one.last, at(one.since), at(one.asked), one.attempts, one.repair)
                    for one in marks
                ],
            )

    def ways(self) -> list[Way]:
        with self._translated() as connection:
            rows = connection.execute(
                "SELECT DISTINCT source, agent, device, path FROM edge.stream WHERE since IS NOT NULL"
            ).fetchall()
        return [Way(*row) for row in rows]

    def leads(self) -> bool:
        if not self._leading:
            with self._translated() as connection:
                row = connection.execute("SELECT pg_try_advisory_lock(%s)", (_LEAD,)).fetchone()
            self._leading = row == (True,)
        return self._leading

    def sweep(self, now_ms: int, /) -> int:
        cutoff = self._retention.cutoff(now_ms)
        if cutoff is None:
            return 0
        with self._translated() as connection, _alone(connection) as alone:
            if not alone:
                return 0
            gone = self._partitions.drop(connection, cutoff)
            if not gone:
                connection.execute("DELETE FROM edge.arrival WHERE slot < %s", (at(cutoff),))
                connection.execute("DELETE FROM edge.gap WHERE to_ts < %s", (at(cutoff),))
                connection.execute("DELETE FROM edge.device_state WHERE at < %s", (at(cutoff),))
        return gone

    def give_up(self) -> None:
        connection = self._connection
        if connection is not None:
            cut(connection)

    def close(self) -> None:
        connection, self._connection, self._leading = self._connection, None, False
        if connection is not None:
            with contextlib.suppress(psycopg.Error):
                connection.close()

    @contextmanager
    def _translated(self) -> Iterator[psycopg.Connection]:
        if self._connection is None:
            raise StoreAway(f"{self._shown} is not connected")
        try:
            yield self._connection
        except (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure) as error:
            raise _Collision(f"{self._shown}: {_words(error)}") from error
        except _BAD as error:
            raise BadData(f"{self._shown}: {_words(error)}") from error
        except psycopg.Error as error:  # also a constraint: our tables have none that a message could break
            raise StoreAway(f"{self._shown}: {_words(error)}") from error


@contextmanager
def _alone(connection: psycopg.Connection) -> Iterator[bool]:
    """Whether no other historian sweeps this database now; none begins within. A broken connection frees the lock."""
    alone = connection.execute("SELECT pg_try_advisory_lock(%s)", (_SWEEP,)).fetchone() == (True,)
    yield alone
    if alone:
        connection.execute("SELECT pg_advisory_unlock(%s)", (_SWEEP,))


class _Collision(StoreAway):
    """Two transactions waited for each other, and this one gave way."""


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:500]
