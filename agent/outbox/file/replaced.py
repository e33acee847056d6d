"""A file that somebody removed or replaced while it was in use: all of it is still in our hands, so it is written anew.

Else what is committed from then on would go to a file without a name, and be gone with the process.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from agent.outbox.file.errors import own
from agent.outbox.file.schema import Durability, connect
from agent.outbox.file.transaction import Damaged
from agent.telemetry.logging import get_logger

log = get_logger("outbox")


def identity(path: Path | None) -> tuple[int, int] | None:
    """Which file stands under `path` (device and inode); None where there is none. Raises OSError."""
    if path is None:
        return None
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def written_anew(
    db: sqlite3.Connection, lock: int | None, path: Path, durability: Durability
) -> tuple[sqlite3.Connection, int | None]:
    """Put what `db` holds under `path` again; the connection and the lock to go on with.

    Another file found there is kept, as NAME.found-INODE.

    Raises sqlite3.Error or OSError while the old connection is still good, Damaged where it no longer is.
    """
    stranger = identity(path)
    aside = None if stranger is None else path.with_name(f"{path.name}.found-{stranger[1]}")
    log.error("outbox.file_removed", file=str(path), moved_to=None if aside is None else str(aside))
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    db.execute("VACUUM INTO ?", (str(fresh),))
    with fresh.open("rb") as written:
        os.fsync(written.fileno())
    if not path.with_suffix(".lock").exists():
        taken = own(path)
        if lock is not None:
            os.close(lock)
        lock = taken
    try:
        db.close()  # it removes the log by its name, so the new file must not have one yet
        if aside is not None:
            path.rename(aside)
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        fresh.replace(path)
        return connect(path, durability), lock
    except (sqlite3.Error, OSError) as error:
        raise Damaged(f"the file was removed: {error}") from error
