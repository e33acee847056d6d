"""Streams: which number each record has, and the lowest one that is neither acknowledged nor declared lost.

`low` is what the file says, as of the last commit: the lowest number that a row (a batch, or an unacknowledged gap)
holds. It may lag behind by a commit, which is the safe side; it is never above a number that still waits.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

import msgspec

from agent.core.flow import Ended, Scans, Stream
from agent.outbox.file.transaction import Low, StoredStream

#: Earlier streams of a device are remembered for 7 days, 8 of them at most: a consumer may ask for what it lacks.
REMEMBERED, REMEMBERED_MS = 8, 7 * 86_400_000


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

    def figures(self, more_readings: int) -> tuple[int, int, int, int, int, int, int]:
        """The row of the stream, with the readings of a transaction that is under way."""
        stream, scans = self.stream, self.stream.scans
        return self.next, self.ts, stream.readings + more_readings, scans.due, scans.done, scans.late, self.id

    def holds(self, number: int | None) -> None:
        """A row is on disk that holds this number, or none."""
        self.rows = True
        if number is not None and (self.hold is None or number < self.hold):
            self.hold = number

    def settle(self) -> None:
        """Recompute `low`."""
        # While something waits for its commit, all above the last committed number may be what waits.
        stream, hold = self.stream, self.hold
        stream.safe = ceiling = self.committed + 1 if self.pending else stream.next
        if self.spared:
            stream.safe, ceiling = stream.next, min(ceiling, next(iter(self.spared)))
        stream.low = ceiling if hold is None or hold > ceiling else hold


def _recalled(row: StoredStream) -> Track:
    stream = Stream(row.epoch, row.device, row.next, readings=row.readings, scans=Scans(row.due, row.done, row.late))
    return Track(stream, row.id, 0, row.next - 1, row.next, row.ts)


class StreamBook:
    """All streams of one outbox: those of this run, and older ones with something unacknowledged."""

    def __init__(self, epoch: str) -> None:
        self.epoch = epoch
        self._tracks: dict[tuple[str, str], Track] = {}
        self._present: dict[str, Track] = {}  # this run's, by device
        self._by_id: dict[int, Track] = {}
        self._stored: dict[int, StoredStream] = {}  # all of the file, as of its opening
        self._earlier: dict[str, list[StoredStream]] = {}  # of these, by device, newest first
        self._next_id = 1

    def load(self, stored: Iterable[StoredStream], lows: Iterable[Low], keep: Container[str | None]) -> None:
        """Take in what the file knew: streams that have rows (`lows` has those), and all of the epochs in `keep`."""
        holds = {low.id: low for low in lows}
        stored = list(stored)
        self._stored.update((row.id, row) for row in stored)
        self._remember()
        for row in stored:
            self._next_id = max(self._next_id, row.id + 1)
            key, low = (row.epoch, row.device), holds.get(row.id)
            track = self._tracks.get(key)
            if track is not None:  # the file was salvaged while we ran
                track.id = row.id
            elif low is not None or row.epoch in keep:
                track = self._tracks[key] = _recalled(row)
            else:
                continue
            self._by_id[row.id] = track
            track.hold, track.rows = (None, False) if low is None else (low.hold, low.rows)
            track.settle()

    def forget(self, numbers: Iterable[int]) -> None:
        """The file is about to forget these streams."""
        for number in numbers:
            self._stored.pop(number, None)
        self._remember()

    def _remember(self) -> None:
        self._earlier.clear()
        for row in sorted(self._stored.values(), key=lambda one: -one.id):
            if row.epoch != self.epoch:
                self._earlier.setdefault(row.device, []).append(row)

    def find(self, device: str, epoch: str) -> Track | None:
        """The track of a stream that is known, however old; None where it never was this outbox's."""
        track = self._tracks.get((epoch, device))
        if track is not None:
            return track if track.id else None
        row = next((one for one in self._earlier.get(device, ()) if one.epoch == epoch), None)
        return None if row is None else self.recall(row.id)

    def recall(self, number: int) -> Track | None:
        """The track of a stream in the file, also where nothing of it waits any more."""
        track, row = self._by_id.get(number), self._stored.get(number)
        if track is None and row is not None:
            track = self._by_id[number] = self._tracks[row.epoch, row.device] = _recalled(row)
            track.settle()
        return track

    def before(self, device: str, now_ms: int) -> list[Ended]:
        """Earlier streams of the device that are remembered, newest first."""
        earlier = self._earlier.get(device, ())
        rows = [row for row in earlier if row.next > 1 and now_ms - row.ts <= REMEMBERED_MS]
        return [
            Ended(row.epoch, row.next, row.ts, row.readings, Scans(row.due, row.done, row.late))
            for row in rows[:REMEMBERED]
        ]

    def of(self, device: str, epoch: str | None = None) -> Track:
        """The track of a device's stream, this run's unless an epoch is given; made if it is new."""
        track = self._present.get(device) if epoch is None else None
        if track is None:
            key = (epoch or self.epoch, device)
            track = self._tracks.get(key)
            if track is None:
                track = self._tracks[key] = Track(Stream(*key, safe=1))
            if epoch is None:
                self._present[device] = track
        return track

    def holder(self, stream: Stream) -> Track:
        """The track of a stream whose records are handed out."""
        track = self._present.get(stream.device)
        if track is not None and track.stream is stream:
            return track
        return self.find(stream.device, stream.epoch) or self.of(stream.device, stream.epoch)

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
        self._stored.clear()
        self._earlier.clear()
        for track in self._tracks.values():
            track.id = 0

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

    def streams(self, now_ms: int) -> list[Stream]:
        """Older ones that still have something unacknowledged, then this run's."""
        present = self.epoch
        for track in self._tracks.values():
            if track.stream.epoch == present:
                track.stream.before = self.before(track.stream.device, now_ms)
        held = [track.stream for track in self._tracks.values() if track.stream.epoch == present or track.rows]
        return sorted(held, key=lambda stream: stream.epoch == present)

    def __iter__(self) -> Iterator[Track]:
        return iter(self._tracks.values())
