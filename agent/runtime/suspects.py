"""Which record makes the broker hang up: found without reason codes (MQTT 3.1.1 has none, and some brokers just close).

Everything that was in flight when the broker hung up is suspected. What was so `DROPS` times in a row is accused: from
then on it travels alone (a window of one for it, the full window for the others), so that the next hang-up convicts it
or an acknowledgement clears it. What hung up the connection `DROPS` times while it was alone is guilty.

A record is followed by its row and by its device: a device that cannot be said at all sends another snapshot, another
row, in every session. Once one of its records is convicted, one more hang-up each convicts the next, and it lets the
others go first for longer and longer. Only hang-ups count; a link that dies is nobody's fault. Pure.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from agent.core.flow import Record

#: Before a record goes out that may end the session, all other devices have this long, seconds …
PATIENCE = 5.0
#: … twice as long after each conviction, up to this.
LONGEST_PATIENCE = 300.0
#: So many hang-ups in a row accuse what was in flight each time, and convict what was alone in flight.
DROPS = 3


class Suspects:
    """What a route remembers from one session to the next."""

    def __init__(self) -> None:
        self._limit: int | None = None
        self._pending: dict[int, Record] = {}
        self._proven = False
        self._drops: dict[Hashable, int] = {}
        self._alone: dict[Hashable, int] = {}
        self._convicted: dict[str, int] = {}  # records, by device, since it was last heard

    def __bool__(self) -> bool:
        """Whether anything is held against anybody."""
        return bool(self._drops)

    def dropped(self, record: Record, *, proven: bool) -> None:
        """The broker hung up, and this record was in flight. Said for each of them.

        `proven`: it had taken something else in this session; one that takes nothing at all convicts nobody.
        """
        self._pending[record.row] = record
        self._proven = proven

    def session(self, limit: int | None) -> None:
        """The next session begins; `limit` is its largest packet. With another limit the guilty are tried again."""
        pending, self._pending = list(self._pending.values()), {}
        if pending:
            flying = {key for record in pending for key in _keys(record)}
            accused = {key: count for key, count in self._drops.items() if key in flying or count >= DROPS}
            self._drops = accused | {key: accused.get(key, 0) + 1 for key in flying}
            if len(pending) == 1 and self._proven:
                for key in flying:
                    self._alone[key] = self._alone.get(key, 0) + 1
        if limit != self._limit:
            self._limit = limit
            self._alone.clear()

    def accused(self, record: Record) -> bool:
        """Whether this record must travel alone."""
        return any(self._drops.get(key, 0) >= DROPS for key in _keys(record))

    def guilty(self, record: Record) -> int:
        """So many hang-ups while it was alone convict it; 0 where they do not."""
        row, device = (self._alone.get(key, 0) for key in (record.row, record.stream.device if record.seq else None))
        enough = 1 if record.stream.device in self._convicted else DROPS
        return row if row >= enough else device if device >= DROPS else 0

    def patience(self, device: str) -> float:
        """How long its suspects let the others go first, seconds."""
        return float(min(PATIENCE * 2.0 ** min(self._convicted.get(device, 0), 10), LONGEST_PATIENCE))

    def cleared(self, record: Record) -> None:
        """The broker took it."""
        for key in _keys(record):
            self._drops.pop(key, None)
            self._alone.pop(key, None)
        if record.seq:
            self._convicted.pop(record.stream.device, None)

    def convicted(self, record: Record) -> None:
        """It is in quarantine. Its device stays accused: what comes next of it travels alone."""
        device = record.stream.device
        self._convicted[device] = self._convicted.get(device, 0) + 1
        self._drops.pop(record.row, None)
        for key in _keys(record):
            self._alone.pop(key, None)


def _keys(record: Record) -> Iterator[Hashable]:
    yield record.row
    if record.seq:  # a gap has none: that it is taken says nothing of the device's readings
        yield record.stream.device
