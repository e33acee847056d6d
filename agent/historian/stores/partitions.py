"""Partitions of `edge.reading`, one a day of `ts`: made when a reading of the day comes, dropped when it is too old."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import psycopg

from agent.historian.items import Item, Record

DAY_MS = 86_400_000
#: Where nothing is thrown away, days further back share the default partition.
_FURTHEST = 366
#: Transactions that make or drop partitions wait for each other under this lock.
_LOCK = 0x6564_6765_0002
#: Rows of the default partition thrown away at once.
_AT_ONCE = 20_000
#: A reader that holds a partition for longer keeps it until the next sweep.
_PATIENCE = "5s"

_EPOCH = dt.date(1970, 1, 1)


def days_of(items: Iterable[Item]) -> set[int]:
    """Days since 1970 in which these readings lie."""
    days: set[int] = set()
    for item in items:
        if isinstance(item, Record) and item.readings:
            first, last = item.readings[0].ts // DAY_MS, item.readings[-1].ts // DAY_MS
            if first == last == item.ts // DAY_MS:
                days.add(first)
            else:
                days.update(reading.ts // DAY_MS for reading in item.readings)
    return days


class Partitions:
    """Those this process knows of."""

    def __init__(self, retention_ms: int | None) -> None:
        self._retention_ms = retention_ms
        self._known: set[int] = set()

    def forget(self) -> None:
        """Another connection, perhaps to another server."""
        self._known.clear()

    def make(self, connection: psycopg.Connection, days: Iterable[int], now_ms: int) -> None:
        """One for each of these days from `retention` to tomorrow; what lies outside goes to the default one."""
        today = now_ms // DAY_MS
        kept = _FURTHEST if self._retention_ms is None else self._retention_ms // DAY_MS + 1
        for day in sorted(set(days) - self._known):
            if today - kept <= day <= today + 1:
                self._make_one(connection, day)
                self._known.add(day)

    @staticmethod
    def _make_one(connection: psycopg.Connection, day: int) -> None:
        name = _name(day)
        begin, end = (_date(one).isoformat() for one in (day, day + 1))
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            if connection.execute("SELECT to_regclass(%s)", (f"edge.{name}",)).fetchone() != (None,):
                return
            # before its day came a reading may have gone to the default partition
            # vacuumed early and often, which is cheap here: until then its pages are looked at beside the index
            settings = "autovacuum_vacuum_insert_scale_factor = 0.05"
            connection.execute(f"CREATE TABLE edge.{name} (LIKE edge.reading INCLUDING DEFAULTS) WITH ({settings})")
            connection.execute(
                f"WITH moved AS (DELETE FROM edge.reading_rest WHERE ts >= '{begin}Z' AND ts < '{end}Z' RETURNING *)"  # noqa: S608 - a date of our own
                f" INSERT INTO edge.{name} SELECT * FROM moved"
            )
            connection.execute(
                f"ALTER TABLE edge.reading ATTACH PARTITION edge.{name} FOR VALUES FROM ('{begin}Z') TO ('{end}Z')"
            )

    def drop(self, connection: psycopg.Connection, cutoff_ms: int) -> int:
        """The oldest one, where it ends before `cutoff`, else older rows of the default one; how many went."""
        names = connection.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = 'edge.reading'::regclass AND c.relname ~ '^reading_[0-9]{8}$' ORDER BY 1 LIMIT 1"
        ).fetchall()
        for (name,) in names:
            day = (dt.datetime.strptime(name[-8:], "%Y%m%d").date() - _EPOCH).days  # noqa: DTZ007 - a day in UTC
            if (day + 1) * DAY_MS > cutoff_ms:
                break
            try:
                with connection.transaction():
                    connection.execute(f"SET LOCAL lock_timeout = '{_PATIENCE}'")
                    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
                    connection.execute(f"DROP TABLE IF EXISTS edge.{name}")
            except psycopg.errors.LockNotAvailable:
                break
            self._known.discard(day)
            return 1
        old = dt.datetime.fromtimestamp(cutoff_ms / 1000, dt.UTC)
        return connection.execute(
            "DELETE FROM edge.reading_rest WHERE ctid = ANY(ARRAY("
            "SELECT ctid FROM edge.reading_rest WHERE ts < %s LIMIT %s))",
            (old, _AT_ONCE),
        ).rowcount


def _date(day: int) -> dt.date:
    return _EPOCH + dt.timedelta(days=day)


def _name(day: int) -> str:
    return f"reading_{_date(day):%Y%m%d}"
