from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from agent.outbox.file.errors import roll_back, transaction


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as made:
        made.execute("CREATE TABLE t (x INTEGER)")
        yield made


def held(db: sqlite3.Connection) -> list[int]:
    return [row[0] for row in db.execute("SELECT x FROM t ORDER BY x")]


def interrupted(db: sqlite3.Connection) -> None:
    with transaction(db):
        db.execute("INSERT INTO t VALUES (2)")
        raise KeyboardInterrupt


def test_of_a_transaction_that_fails_nothing_is_there(db: sqlite3.Connection) -> None:
    """At once: who reads on the same connection before the next write sees nothing of it."""
    with transaction(db):
        db.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(KeyboardInterrupt):
        interrupted(db)
    assert not db.in_transaction
    assert held(db) == [1]


def test_what_could_not_be_rolled_back_then_is_before_the_next_write(db: sqlite3.Connection) -> None:
    """A disk that is away refuses the rollback too; the next transaction does not take the rest of it along."""
    db.execute("BEGIN IMMEDIATE")
    db.execute("INSERT INTO t VALUES (1)")
    with transaction(db):
        db.execute("INSERT INTO t VALUES (2)")
    assert held(db) == [2]
    roll_back(db)
    assert held(db) == [2], "outside a transaction there is nothing to leave"
