"""What has to go: by bytes, by free disk, by age. Pure.

Age is never told by a clock that may have been set: records of this run age by the monotonic clock; older ones by the
wall clock as it was when it was first seen set, and by the monotonic clock from there. A step changes nobody's age.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

#: With too little free disk the outbox may still use this much (or what its file already has): data goes on flowing.
FLOOR_BYTES = 4 << 20
#: So much of the file stays vacant then, so that it does not grow between two looks.
SLACK_BYTES = 4 << 20
#: What a full outbox gives up at once, as a share of its bound and in bytes at most.
_LUMP_SHARE = 100
_LUMP_BYTES = 1 << 20


class File(NamedTuple):
    """How a file is filled, bytes: of all its pages, of those nothing is in, and of the records as they were packed."""

    pages: int = 0
    vacant: int = 0
    packed: int = 0


def allowed(max_bytes: int, min_free_disk: int, free_disk: int | None, file: File) -> int:
    """Packed bytes the outbox may hold now. Below the free-disk floor its file stops growing.

    What fits a file is told by its vacant pages, not by its size: a record takes whole pages, up to twice its bytes.
    """
    if free_disk is None or free_disk >= min_free_disk:
        return max_bytes
    room = file.vacant - min(file.pages // 8, SLACK_BYTES)
    return min(max_bytes, max(FLOOR_BYTES, file.packed + (room // 2 if room > 0 else room)))


def excess(held: int, limit: int) -> int:
    """Bytes to give up: a lump when over the limit, so that a full outbox does not decide for every single record."""
    if held <= limit:
        return 0
    return held - limit + min(limit // _LUMP_SHARE, _LUMP_BYTES)


class AgeLimit:
    """Which records are older than `max_age` seconds."""

    def __init__(self, max_age: float, first_row: int) -> None:
        self._max_age = max_age
        self._first_row = first_row  #: rows from here on are this run's
        self._marks: deque[tuple[float, int]] = deque()  #: (monotonic, row): all rows below are at least that old
        self._every = max(1.0, max_age / 1000)
        self._expired_below = 0
        self._wall: tuple[int, float] | None = None

    def limit(self, max_age: float) -> None:
        """Another bound from now on."""
        self._max_age = max_age
        self._every = max(1.0, max_age / 1000)

    def mark(self, monotonic: float, next_row: int) -> None:
        """Remember how far the rows have come; kept coarse, a thousandth of `max_age`."""
        if not self._marks or monotonic - self._marks[-1][0] >= self._every:
            self._marks.append((monotonic, next_row))
        while self._marks and monotonic - self._marks[0][0] > self._max_age:
            self._expired_below = self._marks.popleft()[1]

    def set_clock(self, now_ms: int, monotonic: float) -> None:
        """The wall clock is known to be set; only the first time counts."""
        if self._wall is None:
            self._wall = (now_ms, monotonic)

    def expired(self, row: int, ts: int, monotonic: float) -> bool:
        """Whether this record is."""
        if row >= self._first_row:
            return row < self._expired_below
        return self._is_old(ts, monotonic)

    def _is_old(self, ts: int, monotonic: float) -> bool:
        if self._wall is None:
            return False
        wall, since = self._wall
        return (wall - ts) / 1000 + (monotonic - since) > self._max_age
