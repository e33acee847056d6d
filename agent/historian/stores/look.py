"""What an SQLite database of the historian holds, read from outside."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple


class Held(NamedTuple):
    """Counted from the tables, not from what the historian tells."""

    rows: int  #: readings
    twice: int  #: of them, those that stand there another time
    missing: int  #: records


def held(path: Path) -> Held:
    """Nothing where there is no database yet."""
    if not path.exists():
        return Held(0, 0, 0)
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            rows, different = db.execute(
                "SELECT count(*), (SELECT count(*) FROM (SELECT DISTINCT stream, seq, part, position FROM reading))"
                " FROM reading"
            ).fetchone()
            (missing,) = db.execute("SELECT coalesce(sum(numbers), 0) FROM missing").fetchone()
    except sqlite3.OperationalError:  # its tables are being made
        return Held(0, 0, 0)
    return Held(rows, rows - different, missing)
