"""Streams: who has which number, and how low the lowest is that nobody has answered for.

`low` is what the file says, as of the last commit: the lowest number that a row (a batch, or an unacknowledged gap)
holds. It may lag behind by a commit, which is the safe side; it is never above a number that still waits.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

import msgspec

from agent.core.flow import Gap, Stream
from agent.outbox.file.transaction import Low, StoredStream


class Track(msgspec.Struct):
    """A stream and what the outbox must know of it."""

    stream: Stream
    id: int = 0  #: in the file; 0 until it is there
    pending: int = 0  #: batches and gaps not committed
    committed: int = 0  #: highest number of a committed batch
    next: int = 1  #: as the file should have it
    ts: int = 0
    hold: int | None = None
    rows: bool = False
    spared: dict[int, None] = {}  #: numbers in memory only, in order (`disk: on_outage`)

    def settle(self) -> None:
        """Recompute `low`."""
        # While something waits for its commit, all above the last committed number may be what waits.
        ceiling = self.committed + 1 if self.pending else self.stream.next
        if self.spared:
            ceiling = min(ceiling, next(iter(self.spared)))
        self.stream.safe = self.committed + 1 if self.pending and not self.spared else self.stream.next
        self.stream.low = ceiling if self.hold is None else min(self.hold, ceiling)


class StreamBook:
    """All streams of one outbox: those of this run, and older ones with something unacknowledged."""

    def __init__(self, epoch: str) -> None:
        self.epoch = epoch
        self._tracks: dict[tuple[str, str], Track] = {}
        self._by_id: dict[int, Track] = {}
        self._next_id = 1

    def load(self, stored: Iterable[StoredStream], lows: Iterable[Low], keep: Container[str | None]) -> None:
        """Take in what the file knew: streams that have rows (`lows` has those), and all of the epochs in `keep`."""
        holds = {low.id: low for low in lows}
        for row in stored:
            self._next_id = max(self._next_id, row.id + 1)
            key, low = (row.epoch, row.device), holds.get(row.id)
            track = self._tracks.get(key)
            if track is not None:  # the file was salvaged while we ran
                track.id = row.id
            elif low is not None or row.epoch in keep:
                track = Track(Stream(*key, next=row.next), row.id, 0, row.next - 1, row.next, row.ts)
                self._tracks[key] = track
            else:
                continue
            self._by_id[row.id] = track
            track.hold, track.rows = (None, False) if low is None else (low.hold, low.rows)
            track.settle()

    def of(self, device: str, epoch: str | None = None) -> Track:
        """The track of a device's stream, this run's unless an epoch is given; made if it is new."""
        key = (epoch or self.epoch, device)
        track = self._tracks.get(key)
        if track is None:
            track = self._tracks[key] = Track(Stream(*key, safe=1))
        return track

    def by_id(self, number: int) -> Track | None:
        """The track of a row's stream."""
        return self._by_id.get(number)

    def in_file(self, track: Track) -> bool:
        """Whether the file knows the stream; if not it gets its id now and the caller writes it."""
        if track.id:
            return True
        track.id = self._next_id
        self._next_id += 1
        self._by_id[track.id] = track
        return False

    def withdraw(self, number: int) -> None:
        """The file did not take the stream."""
        track = self._by_id.pop(number, None)
        if track is not None:
            track.id = 0

    def forget_file(self) -> None:
        """The file is gone: streams get new ids with their next commit."""
        self._by_id.clear()
        for track in self._tracks.values():
            track.id = 0

    def committed(self, track: Track, seq: int, gap: Gap | None) -> None:
        """Something of this stream is on disk now."""
        track.pending -= 1
        if gap is None:
            track.committed = max(track.committed, seq)

    def settle(self, low: Low) -> None:
        """Take over what the file says about a stream; an older one that is empty is forgotten."""
        track = self._by_id.get(low.id)
        if track is None:
            return
        track.hold, track.rows = low.hold, low.rows
        track.settle()
        if not low.rows and not track.pending and track.stream.epoch != self.epoch:
            del self._by_id[low.id]
            self._tracks.pop((track.stream.epoch, track.stream.device), None)

    def streams(self) -> list[Stream]:
        """Older ones that still have something unacknowledged, then this run's."""
        present = self.epoch
        return sorted((track.stream for track in self._tracks.values()), key=lambda stream: stream.epoch == present)

    def __iter__(self) -> Iterator[Track]:
        return iter(self._tracks.values())
