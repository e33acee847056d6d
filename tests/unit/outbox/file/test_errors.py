from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agent.outbox.file.causes import hint_of
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


GROWING = """
import resource, sqlite3, sys
from pathlib import Path
from agent.outbox.file.errors import transaction, translated
from agent.outbox.file.transaction import DiskRefused

file = Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
db = sqlite3.connect(file, isolation_level=None)
db.execute(f"PRAGMA journal_mode={sys.argv[2]}")
db.execute("CREATE TABLE t (x BLOB)")
try:
    for _ in range(100):
        with translated(file), transaction(db):
            db.execute("INSERT INTO t VALUES (randomblob(20000))")
except DiskRefused as error:
    print(error.reason, error.hint, sep="|")
"""


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_limit_for_the_size_of_files_is_named(mode: str, tmp_path: Path) -> None:
    """SQLite calls it an I/O error, and a byte beside the file is taken; the limit is what somebody has to know."""
    argv = [sys.executable, "-c", GROWING, str(tmp_path / "x.sqlite"), mode]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    reason, hint = done.stdout.strip().split("|")
    assert reason.endswith(os.strerror(errno.EFBIG))
    assert "LimitFSIZE" in hint


@pytest.mark.parametrize(("files", "left", "expected"), [(1000, 0, "inodes"), (1000, 1, "space"), (0, 0, "space")])
def test_a_disk_without_inodes_is_no_full_one(
    files: int, left: int, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are ENOSPC. Where the file system counts no inodes it cannot be out of them."""
    figures = os.statvfs_result((4096, 4096, 1000, 500, 500, files, left, left, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: figures)
    hint = hint_of(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), tmp_path)
    assert hint is not None
    assert expected in hint
