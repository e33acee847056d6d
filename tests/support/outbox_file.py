"""What is in an outbox file, read from a copy by code that is not the outbox's."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from agent.core.flow import Gap
from agent.outbox.file.pack import unpack


class Contents(NamedTuple):
    """Records by key; gaps; the next number of every stream that is remembered."""

    records: dict[tuple[str, str, int], bytes]
    gaps: list[Gap]
    next: dict[tuple[str, str], int]


def contents(file: Path) -> Contents:
    """Of a file nobody writes to (its agent was killed, or is gone)."""
    with TemporaryDirectory(prefix="edge-outbox-") as folder:
        copy = Path(folder) / file.name
        for suffix in ("", "-wal"):
            one = file.with_name(file.name + suffix)
            if one.exists():
                shutil.copyfile(one, copy.with_name(copy.name + suffix))
        with closing(sqlite3.connect(copy)) as db:
            rows = db.execute(
                "SELECT epoch, device, seq, content FROM records JOIN streams ON streams.id = records.stream"
            ).fetchall()
            following = db.execute("SELECT epoch, device, next FROM streams").fetchall()
    gaps = [unpack(packed) for _, _, seq, packed in rows if seq == 0]
    return Contents(
        {(epoch, device, seq): packed for epoch, device, seq, packed in rows if seq},
        [gap for gap in gaps if isinstance(gap, Gap)],
        {(epoch, device): number for epoch, device, number in following},
    )
