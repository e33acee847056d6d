"""Outboxes no publisher uses any more: what waits in them is neither sent nor lost, so somebody has to be told."""

from __future__ import annotations

import sqlite3
from collections.abc import Container
from contextlib import closing
from pathlib import Path

from msgspec import Struct

from agent.settings.values import is_name
from agent.telemetry.logging import get_logger

log = get_logger("outbox")


class Orphan(Struct, frozen=True):
    """One of them. The figures are None where the file cannot be read."""

    publisher: str  #: who used it
    file: str
    records: int | None = None
    readings: int | None = None
    bytes: int | None = None
    from_ts: int | None = None  #: of the oldest record; None also where none waits
    to_ts: int | None = None


def orphans(data_dir: Path, used: Container[str]) -> list[Orphan]:
    """The outbox files under `data_dir` of publishers not in `used`, by name. Changes nothing, never raises."""
    try:
        files = sorted((data_dir / "outbox").glob("*.sqlite"))
        return [_look(file) for file in files if is_name(file.stem) and file.stem not in used and file.is_file()]
    except OSError:
        return []


def tell(found: list[Orphan]) -> None:
    """Log each: at a start, and when a publisher goes."""
    for one in found:
        log.warning("outbox.orphaned", publisher=one.publisher, file=one.file, records=one.records, bytes=one.bytes)


def _look(file: Path) -> Orphan:
    log_file = file.with_name(file.name + "-wal")
    # Nobody writes to it. Without a log SQLite need make no index beside it, which a reader may not be able to.
    how = "mode=ro" if log_file.exists() and log_file.stat().st_size else "immutable=1"
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?{how}", uri=True, timeout=1.0)) as db:
            figures = db.execute(
                "SELECT count(*), coalesce(sum(readings), 0), coalesce(sum(size), 0), min(ts), max(ts)"
                " FROM records WHERE seq > 0"
            ).fetchone()
    except sqlite3.Error:
        nothing = (0, 0, 0) if file.stat().st_size == 0 else ()  # a disk was full when it was made
        return Orphan(file.stem, str(file), *nothing)
    return Orphan(file.stem, str(file), *figures)
