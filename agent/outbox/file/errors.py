"""Where sqlite3 and the operating system end: their errors become ours, and a file gets one owner."""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.core.errors import PermanentError
from agent.core.private import open_private, refuse_links
from agent.outbox.file.causes import cause, hint_of, outgrown
from agent.outbox.file.transaction import Damaged, DiskRefused


@contextmanager
def translated(file: Path | None = None) -> Iterator[None]:
    """sqlite3's errors as ours. With the `file` at hand the operating system is asked what it has against it."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
            raise Damaged(str(error)) from error
        why = None if file is None else cause(file.parent)
        if why is None and file is not None and code in {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL}:
            why = outgrown(file)
        if why is None or file is None:
            raise DiskRefused(str(error)) from error
        raise DiskRefused(f"{str(error).lower()}: {why.strerror}", hint_of(why, file.parent)) from error
    except OSError as error:
        folder = None if file is None else file.parent
        raise DiskRefused(error.strerror or str(error), hint_of(error, folder)) from error


def boot_id() -> str:
    """A name of the machine's present uptime; empty where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def own(path: Path) -> int:
    """Lock the file against a second agent; the lock ends with the process. Raises PermanentError, DiskRefused."""
    with translated(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            refuse_links(path)
            lock = open_private(path.with_suffix(".lock"), os.O_RDWR)
        except PermissionError as error:
            raise PermanentError(
                f"cannot write to {path.parent}: {error.strerror}", "let the agent's user own data_dir"
            ) from error
        except (FileExistsError, NotADirectoryError) as error:
            if not path.parent.exists():  # a link to what is not mounted
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)) from error
            raise PermanentError(f"{path.parent} is no directory", "move away what stands there") from error
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            raise PermanentError(f"{error.filename}: {error.strerror}", "look who may write to data_dir") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise PermanentError(f"{path} is in use by another process", "give every agent its own data_dir") from error
    return lock


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All of the body, or nothing. Raises what SQLite raises; see :func:`translated`."""
    roll_back(db)
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        roll_back(db)
        raise


def roll_back(db: sqlite3.Connection) -> None:
    """Leave the transaction, if there is one: also that of an earlier failure that could not be rolled back then."""
    if db.in_transaction:
        db.execute("ROLLBACK")
