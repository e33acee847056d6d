"""Bytes held back on the disk for one use: when it is full, they are given up so that a broker can empty it.

Deleting needs room too (the write-ahead log), and so does a record on its way through. Without it a full disk stays
full, and what is collected stays in memory, although the broker takes everything.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from agent.core.private import open_private

#: What is held back: a share of `max_bytes`, within these bounds.
LEAST, MOST, _SHARE = 1 << 20, 4 << 20, 16
#: It is taken, and grows, by no less than this: what deleting a window of records writes to the log.
STEP = 256 << 10
#: With less free than this a file cannot even be opened (log, its index, a few pages).
_SCANT = 256 << 10


def size_of(max_bytes: int) -> int:
    """Bytes held back for an outbox of this bound."""
    return max(LEAST, min(MOST, max_bytes // _SHARE))


def free_bytes(folder: Path) -> int:
    """Bytes free to us on a folder's file system. Raises OSError."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def _share(free: int) -> int:
    """A quarter; of the last bytes half, for without any a full disk stays full."""
    return max(free // 4, STEP if free >= 2 * STEP else 0)


class Ballast:
    """NAME.ballast beside the database; without a path there is none. Runs in the outbox's worker thread."""

    def __init__(self, path: Path | None, max_bytes: int) -> None:
        self._path = path.with_name(path.name + ".ballast") if path is not None else None
        self._size = size_of(max_bytes)
        #: How far the log may grow: all of it must fit the file once the ballast is gone, and leave room to delete.
        self.log_bytes = self._size * 3 // 4

    def short_of(self, free: int, log: int) -> bool:
        """Whether more could be held back if the write-ahead log gave its `log` bytes up. Else they are best there."""
        held = self._held()
        without, within = (min(self._size, _share(held + room)) for room in (free, free + log))
        return within >= held + STEP > without

    def take(self, free: int) -> None:
        """Hold back what is wanted, or a share of what there is: the records need room too.

        On a disk that is nearly full that is little, and grows with every look that finds more. A disk that refuses is
        left alone until the next look.
        """
        held = self._held()
        if self._path is None or (wanted := min(self._size, _share(free + held))) < held + STEP:
            return
        try:
            handle = open_private(self._path)
            try:
                os.posix_fallocate(handle, 0, wanted)
            finally:
                os.close(handle)
        except OSError:
            self.give_up()

    def _held(self) -> int:
        try:
            return 0 if self._path is None else self._path.stat().st_size
        except OSError:
            return 0

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
            if free_bytes(self._path.parent) < _SCANT:
                self.give_up()
