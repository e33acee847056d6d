"""A file that somebody removed while it was in use: all of it is still in our hands, so it is written anew."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from agent.outbox.guard import own
from agent.outbox.job import Damaged
from agent.outbox.schema import Durability, connect
from agent.telemetry.logging import get_logger

log = get_logger("outbox")


def written_anew(
    db: sqlite3.Connection, lock: int | None, path: Path, durability: Durability
) -> tuple[sqlite3.Connection, int | None]:
    """Put what `db` holds under `path` again; the connection and the lock to go on with.

    Raises sqlite3.Error or OSError while the old connection is still good, Damaged where it no longer is.
    """
    log.error("outbox.file_removed", file=str(path))
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
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        fresh.replace(path)
        return connect(path, durability), lock
    except (sqlite3.Error, OSError) as error:
        raise Damaged(f"the file was removed: {error}") from error
