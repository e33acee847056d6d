"""Which record makes the broker hang up: found without reason codes (MQTT 3.1.1 has none, and some brokers just close).

Everything that was in flight when the broker hung up is suspected. What was so `DROPS` times in a row is accused: from
then on it travels alone (a window of one for it, the full window for the others), so that the next hang-up convicts it
or an acknowledgement clears it. What hung up the connection `DROPS` times while it was alone is guilty.

A record is followed by its key and by its device: a device that cannot be said at all sends another snapshot, another
key, in every session. Once one of its records is convicted, one more hang-up each convicts the next, and it lets the
others go first for longer and longer. Only hang-ups count; a link that dies is nobody's fault.

What is known outlives the process (`keep`, `recall`): an agent that is restarted again and again would begin its search
anew each time, and keep its poison for ever. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Struct, field, structs

from agent.core.flow import Gap, Record
from agent.core.ports import Memo

#: Before a record goes out that may end the session, all other devices have this long, seconds …
PATIENCE = 5.0
#: … twice as long after each conviction, up to this.
LONGEST_PATIENCE = 300.0
#: So many hang-ups in a row accuse what was in flight each time, and convict what was alone in flight. So many bugs of
#: our own in saying a record end the attempts to say it.
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
    unsayable: dict[str, int] = field(default_factory=dict)  #: by record: bugs of ours


_NOTHING = msgspec.json.encode(_KnownSuspects(_VERSION))


class Suspects:
    """What a route remembers from one session to the next."""

    def __init__(self) -> None:
        self._known = _KnownSuspects(_VERSION)
        self._pending: dict[str, Record] = {}
        self._proven = False
        self._recalled = False

    def __bool__(self) -> bool:
        """Whether anybody is held responsible for hang-ups."""
        return bool(self._known.drops)

    @property
    def remembers(self) -> bool:
        """Whether there is anything to clear."""
        known = self._known
        return bool(known.drops or known.refused or known.unsayable)

    # --- hang-ups -----------------------------------------------------------------------------------------------------

    def dropped(self, record: Record, *, proven: bool) -> None:
        """The broker hung up, and this record was in flight. Said for each of them.

        `proven`: it had taken something else in this session; one that takes nothing at all convicts nobody.
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
        """The next session begins; `limit` is its largest packet. With another limit the guilty are tried again."""
        self.ended()
        if limit != self._known.limit:
            self._known.limit = limit
            self._known.alone.clear()

    def accused(self, record: Record) -> bool:
        """Whether this record must travel alone."""
        return any(self._known.drops.get(key, 0) >= DROPS for key in _keys(record))

    def guilty(self, record: Record) -> int:
        """So many hang-ups while it was alone convict it; 0 where they do not."""
        alone = self._known.alone
        itself, device = alone.get(_key(record), 0), alone.get(record.stream.device, 0) if record.seq else 0
        enough = 1 if record.stream.device in self._known.convicted else DROPS
        return itself if itself >= enough else device if device >= DROPS else 0

    def patience(self, device: str) -> float:
        """How long its suspects let the others go first, seconds."""
        return float(min(PATIENCE * 2.0 ** min(self._known.convicted.get(device, 0), 10), LONGEST_PATIENCE))

    def convicted(self, record: Record) -> None:
        """It is in quarantine. Its device stays accused: what comes next of it travels alone."""
        known, device = self._known, record.stream.device
        known.convicted[device] = known.convicted.get(device, 0) + 1
        known.drops.pop(_key(record), None)
        for key in _keys(record):
            known.alone.pop(key, None)

    # --- other troubles -----------------------------------------------------------------------------------------------

    def refused(self, record: Record) -> int:
        """The broker refused it without a reason that ends by itself; how often that makes it."""
        return _count(self._known.refused, _key(record))

    def unsayable(self, record: Record) -> bool:
        """Our own code could not say it; whether that has happened often enough."""
        return _count(self._known.unsayable, _key(record)) >= DROPS

    def cleared(self, record: Record) -> None:
        """The broker took it."""
        known = self._known
        for key in _keys(record):
            known.drops.pop(key, None)
            known.alone.pop(key, None)
        self.gone(record)
        if record.seq:
            known.convicted.pop(record.stream.device, None)

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
    if record.seq:  # a gap has none: that it is taken says nothing of the device's readings
        yield record.stream.device


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
