"""Questions to the historian's database, read-only, of one moment: one SQL for both of them.

    MS(column)     epoch milliseconds of a time          AT(:name)     a time of epoch milliseconds

Tables have no schema in front of their names.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from agent.core.errors import PermanentError
from agent.historian.config import HistorianSettings
from agent.historian.stores.away import StoreAway

if TYPE_CHECKING:
    import psycopg

_MS = re.compile(r"MS\(([\w.]+)\)")
_AT = re.compile(r"AT\((:\w+)\)")
_NAME = re.compile(r"(?<!:):(\w+)")
#: Rows fetched at once.
_AT_ONCE = 10_000

Row = tuple[Any, ...]


class Query(Protocol):
    """Asks the database. Raises StoreAway where it breaks off."""

    def __call__(self, sql: str, given: Mapping[str, int], /) -> Iterator[Row]:
        """Rows, as they come."""


@contextmanager
def asking(settings: HistorianSettings) -> Iterator[Query]:
    """Everything that is asked within sees the same state, whoever writes meanwhile.

    Raises StoreAway where the database cannot be had, PermanentError where its library is not installed.
    """
    if settings.sqlite:
        with _sqlite(settings) as ask:
            yield ask
        return
    try:
        from agent.historian.stores import connecting
    except ImportError as error:
        reason = f"{settings.shown} needs psycopg, which is not installed ({error})"
        raise PermanentError(reason, "pip install 'psycopg[binary]' (the image has it)") from error
    with _postgres(partial(connecting.connect, settings), settings.shown) as ask:
        yield ask


@contextmanager
def _sqlite(settings: HistorianSettings) -> Iterator[Query]:
    path = settings.sqlite_path
    if not path.exists():
        raise StoreAway(f"there is no database {path}; `edge-agent historian` makes it")
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=5.0)
    except sqlite3.Error as error:
        raise StoreAway(f"{path} cannot be opened: {error}") from error

    def ask(sql: str, given: Mapping[str, int], /) -> Iterator[Row]:
        cursor = db.execute(_AT.sub(r"\1", _MS.sub(r"\1", sql)), given)
        while rows := cursor.fetchmany(_AT_ONCE):
            yield from rows

    try:
        db.execute("PRAGMA temp_store=MEMORY")
        db.execute("BEGIN")
        yield ask
    except sqlite3.Error as error:
        raise StoreAway(f"{path}: {error}") from error
    finally:
        db.close()


@contextmanager
def _postgres(connect: Callable[[], psycopg.Connection], shown: str) -> Iterator[Query]:
    import psycopg

    try:
        with connect() as connection:
            connection.autocommit = False
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            connection.execute("SET LOCAL search_path = edge")
            connection.execute("SET LOCAL timezone = 'UTC'")
            connection.execute("SET LOCAL statement_timeout = 0")
            names = iter(range(1 << 30))

            def ask(sql: str, given: Mapping[str, int], /) -> Iterator[Row]:
                with connection.cursor(name=f"ask_{next(names)}", withhold=False) as cursor:
                    cursor.itersize = _AT_ONCE
                    cursor.execute(_translated(sql), given)
                    yield from cursor

            yield ask
    except psycopg.Error as error:
        raise StoreAway(f"{shown}: {' '.join(str(error).split())[:500]}") from error


def _translated(sql: str) -> str:
    sql = _MS.sub(r"(extract(epoch FROM \1) * 1000)#int8", sql)
    sql = _NAME.sub(r"%(\1)s", _AT.sub(r"to_timestamp(\1#float8 / 1000)", sql))
    return sql.replace("#", "::")
