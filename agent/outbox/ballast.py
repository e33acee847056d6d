"""Bytes held back on the disk for one use: when it is full, they are given up so that deleting can begin.

Deleting needs room too (the write-ahead log). Without it a full disk stays full although the broker takes everything.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

#: What is held back: a share of `max_bytes`, within these bounds.
LEAST, MOST, _SHARE = 1 << 20, 4 << 20, 16
#: With less free than this a file cannot even be opened (log, its index, a few pages).
_SCANT = 256 << 10


def size_of(max_bytes: int) -> int:
    """Bytes held back for an outbox of this bound."""
    return max(LEAST, min(MOST, max_bytes // _SHARE))


class Ballast:
    """NAME.ballast beside the database; without a path there is none. Runs in the outbox's worker thread."""

    def __init__(self, path: Path | None, max_bytes: int) -> None:
        self._path = path.with_name(path.name + ".ballast") if path is not None else None
        self._size = size_of(max_bytes)
        #: How far the log may grow: all of it must fit the file once the ballast is gone, and leave room to delete.
        self.log_bytes = self._size * 3 // 4

    def take(self, free: int) -> None:
        """Hold bytes back where as much again stays free. A disk that refuses is left alone: the next look tries."""
        if self._path is None or free < 2 * self._size or self._path.exists():
            return
        try:
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640)
            try:
                os.posix_fallocate(handle, 0, self._size)
            finally:
                os.close(handle)
        except OSError:
            self.give_up()

    def give_up(self) -> None:
        """Let the bytes go. No error: where even that is refused, nothing is lost by having tried."""
        if self._path is not None:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)

    def make_way(self) -> None:
        """Give up where there is not even room to open a file."""
        if self._path is None:
            return
        with suppress(OSError):
            disk = os.statvfs(self._path.parent)
            if disk.f_bavail * disk.f_frsize < _SCANT:
                self.give_up()
