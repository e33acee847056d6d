"""Which record makes the broker disconnect: found without reason codes (MQTT 3.1.1 has none; some brokers just close).

Everything that was in flight when the broker disconnected is counted. What was in flight `DROPS` times in a row is a
suspect: from then on it is sent alone (a window of one for it, the full window for the others), so that the next
disconnect is its fault, or an acknowledgement clears it. After `DROPS` disconnects alone it goes into quarantine.

A record is followed by its key and by its device (a gap by its key and as a gap: gaps have a topic of their own): a
device whose data the broker never takes sends another snapshot, another key, in every session. Once one of its records
is in quarantine, one disconnect is enough for the next one, and its records wait for the others longer and longer. Only
a broker that disconnects counts, not a link that fails.

What is known is kept over restarts (`keep`, `recall`): an agent that is restarted again and again would begin its
search anew each time, and never get past the record. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Struct, field, structs

from agent.core.flow import Gap, Record
from agent.core.ports import Memo

#: Before a record goes out that may end the session, all other devices have this long, seconds …
PATIENCE = 5.0
#: … twice as long after each record that went into quarantine, up to this.
LONGEST_PATIENCE = 300.0
#: After so many disconnects in a row, what was in flight each time is a suspect, and what was in flight alone goes into
#: quarantine. After so many bugs of our own in encoding a record it is not tried again.
DROPS = 3
#: Of each kind so many facts are remembered at most; beyond, the oldest is forgotten.
MOST = 1000

_VERSION = 1
_MEMO = "route.suspects"


class _KnownSuspects(Struct, omit_defaults=True):
    """What is kept. Keys of `drops` and `alone` are records and devices, of the others what their name says."""

    version: int
    limit: int | None = None  #: largest packet of the session it was learned in
    drops: dict[str, int] = field(default_factory=dict)
    alone: dict[str, int] = field(default_factory=dict)
    convicted: dict[str, int] = field(default_factory=dict)  #: records, by device, since it was last heard
    refused: dict[str, int] = field(default_factory=dict)  #: by record: refusals without a reason that ends by itself
    unsayable: dict[str, int] = field(default_factory=dict)  #: by record: bugs met while it was encoded


_NOTHING = msgspec.json.encode(_KnownSuspects(_VERSION))


class Suspects:
    """What a route remembers from one session to the next."""

    def __init__(self) -> None:
        self._known = _KnownSuspects(_VERSION)
        self._pending: dict[str, Record] = {}
        self._proven = False
        self._recalled = False

    def __bool__(self) -> bool:
        """Whether there is a suspect."""
        return bool(self._known.drops)

    @property
    def remembers(self) -> bool:
        """Whether there is anything to clear."""
        known = self._known
        return bool(known.drops or known.refused or known.unsayable)

    # --- disconnects --------------------------------------------------------------------------------------------------

    def dropped(self, record: Record, *, proven: bool) -> None:
        """The broker disconnected while this record was in flight. Called for each of them.

        `proven`: it had taken something else in this session; where it takes nothing at all, no record is at fault.
        """
        self._pending[_key(record)] = record
        self._proven = proven

    def ended(self) -> None:
        """The session is over: count what was said of it."""
        pending, self._pending = list(self._pending.values()), {}
        if not pending:
            return
        known = self._known
        flying = {key for record in pending for key in _keys(record)}
        accused = {key: count for key, count in known.drops.items() if key in flying or count >= DROPS}
        known.drops = _bounded(accused | {key: accused.get(key, 0) + 1 for key in flying})
        if len(pending) == 1 and self._proven:
            for key in flying:
                known.alone[key] = known.alone.get(key, 0) + 1
            known.alone = _bounded(known.alone)

    def session(self, limit: int | None) -> None:
        """The next session begins; `limit` is its largest packet. With another limit all suspects are tried again."""
        self.ended()
        if limit != self._known.limit:
            self._known.limit = limit
            self._known.alone.clear()

    def accused(self, record: Record) -> bool:
        """Whether this record must travel alone."""
        return any(self._known.drops.get(key, 0) >= DROPS for key in _keys(record))

    def guilty(self, record: Record) -> int:
        """How many disconnects while it was sent alone put it into quarantine; 0 where they do not."""
        alone = self._known.alone
        itself, kin = alone.get(_key(record), 0), alone.get(_kin(record), 0)
        enough = 1 if _kin(record) in self._known.convicted else DROPS
        return itself if itself >= enough else kin if kin >= DROPS else 0

    def patience(self, record: Record) -> float:
        """How long it and its like let the others go first, seconds."""
        return float(min(PATIENCE * 2.0 ** min(self._known.convicted.get(_kin(record), 0), 10), LONGEST_PATIENCE))

    def convicted(self, record: Record) -> None:
        """It is in quarantine. Its device stays a suspect: its next record is sent alone."""
        known, kin = self._known, _kin(record)
        known.convicted[kin] = known.convicted.get(kin, 0) + 1
        known.drops.pop(_key(record), None)
        for key in _keys(record):
            known.alone.pop(key, None)

    # --- other troubles -----------------------------------------------------------------------------------------------

    def refused(self, record: Record) -> int:
        """The broker refused it without a reason that ends by itself; how often that makes it."""
        return _count(self._known.refused, _key(record))

    def unsayable(self, record: Record) -> bool:
        """Our own code could not encode it; whether that has happened often enough."""
        return _count(self._known.unsayable, _key(record)) >= DROPS

    def cleared(self, record: Record) -> None:
        """The broker took it."""
        known = self._known
        for key in _keys(record):
            known.drops.pop(key, None)
            known.alone.pop(key, None)
        self.gone(record)
        known.convicted.pop(_kin(record), None)

    def gone(self, record: Record) -> None:
        """It is taken or in quarantine: nobody asks for its other troubles any more."""
        self._known.refused.pop(_key(record), None)
        self._known.unsayable.pop(_key(record), None)

    # --- kept from one run to the next --------------------------------------------------------------------------------

    def recall(self, memo: Memo) -> None:
        """Once: take up what an earlier run kept. What another version wrote, or nobody can read, is left."""
        if self._recalled:
            return
        self._recalled = True
        try:
            known = msgspec.json.decode(memo.get(_MEMO) or b"{}", type=_KnownSuspects)
        except msgspec.DecodeError:
            return
        if known.version == _VERSION:
            self._known = known

    def keep(self, memo: Memo) -> None:
        """For later runs; durable with the outbox's next commit."""
        known = self._known
        limit = known.limit if known.drops else None  # for others it means nothing
        encoded = msgspec.json.encode(structs.replace(known, limit=limit))
        memo.put(_MEMO, None if encoded == _NOTHING else encoded)


def _key(record: Record) -> str:
    """Its name for ever: a row may be given again to another."""
    content, stream = record.content, record.stream
    return f"gap/{content.id}" if isinstance(content, Gap) else f"{stream.epoch}/{stream.device}/{record.seq}"


def _keys(record: Record) -> Iterator[str]:
    yield _key(record)
    yield _kin(record)


def _kin(record: Record) -> str:
    """What shares its fate: the records of its device, or all gaps, of which none says anything of readings."""
    return record.stream.device if record.seq else "gap/"


def _count(counts: dict[str, int], key: str) -> int:
    number = counts[key] = counts.pop(key, 0) + 1
    while len(counts) > MOST:
        del counts[next(iter(counts))]
    return number


def _bounded(counts: dict[str, int]) -> dict[str, int]:
    """The most often counted, newest first where they are even."""
    if len(counts) <= MOST:
        return counts
    newest_first = list(counts.items())[::-1]
    return dict(sorted(newest_first, key=lambda item: -item[1])[:MOST][::-1])
