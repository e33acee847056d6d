"""One transaction of the historian, told once for every database: the ledger and the rows, together or not at all."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

from msgspec import structs

from agent.consumer.contract import GapNotice
from agent.core.ids import time_of
from agent.historian.contents import again
from agent.historian.items import AgentClaim, AgentState, Aside, Catalogue, DeviceState, Gap, Item, Record
from agent.historian.ledger import Key, committed_at
from agent.historian.stores.port import Written
from agent.historian.stores.retention import Retention
from agent.historian.stores.transaction import GIVEN_UP, GONE, Arrival, Stored, StreamRow, Transaction

#: Ages of records are counted in steps of a twentieth of a decade, by quarter of an hour.
SLOT_MS = 900_000
_STEPS = 20
#: Bytes of a stream's records of which parts are missing.
MOST_INCOMPLETE = 32 << 20
#: An epoch that began so shortly before the end of such a gap is the one that declares it.
_START_MS = 5_000
#: States of a device keep their order, also where a clock is set back by no more than this.
_SET_BACK_MS = 86_400_000


def tell(tx: Transaction, items: Sequence[Item], now_ms: int, retention: Retention) -> Written:
    """Enter all of it, in order."""
    retention.hear(items)
    return _Story(tx, now_ms, retention.cutoff(now_ms)).tell(items)


def _cost(size: int) -> int:
    """Of a part: its bytes, and its row."""
    return size + 2048


class _Story:
    def __init__(self, tx: Transaction, now_ms: int, cutoff: int | None) -> None:
        self._tx = tx
        self._now = now_ms
        self._cutoff = cutoff
        self._done = Written()
        self._entries: dict[Key, StreamRow] = {}
        self._partials: dict[tuple[int, int], dict[tuple[int, int], int]] = {}
        self._held: Counter[int] = Counter()  #: of each stream, at most what its incomplete records cost
        self._stored: list[Stored] = []
        self._arrivals: dict[Arrival, list[int]] = defaultdict(lambda: [0, 0, 0])

    def tell(self, items: Sequence[Item]) -> Written:
        tx, done = self._tx, self._done
        self._open(items)
        for item in items:
            if isinstance(item, Record):
                self._record(item)
            elif isinstance(item, Gap):
                self._gap(item.notice)
            elif isinstance(item, AgentClaim):
                self._claim(item)
        if self._stored:
            done.rows, done.late = tx.readings(self._stored, self._cutoff)
            tx.arrivals(self._arrivals)
        for key, entry in self._entries.items():
            self._give_up(key, entry)
        tx.save(self._entries.items())
        for item in items:  # what is tied to a device by its path, which is known now
            self._around(item)
        return done

    def _around(self, item: Item) -> None:
        match item:
            case AgentState():
                self._tx.agent_state(item)
            case DeviceState():
                last = self._tx.last_state(item.path, item.at + _SET_BACK_MS)
                self._tx.device_state(item if last is None or last < item.at else structs.replace(item, at=last + 1))
            case Catalogue():
                self._tx.catalogue(item)
            case Aside():
                self._done.aside += 1
                self._tx.aside(item)

    def _open(self, items: Sequence[Item]) -> None:
        """Every stream these items speak of, locked in one order whoever else writes."""
        sources: dict[Key, str] = {}
        parted = False
        for item in items:
            if isinstance(item, Record):
                sources[item.key] = item.source
                parted = parted or item.of > 1
            elif isinstance(item, AgentClaim):
                sources.setdefault(item.key, item.source)
                for ended in item.before:
                    sources.setdefault(Key(item.key.agent, ended.epoch, item.key.device), item.source)
            elif isinstance(item, Gap):
                for key in self._keys_of(item.notice):
                    sources.setdefault(key, "")
        if not sources:
            return
        by_source: dict[str, list[Key]] = defaultdict(list)
        for key in sources:
            by_source[sources[key]].append(key)
        keys = sorted(sources)
        self._entries = self._tx.streams(keys, next(iter(by_source)) if len(by_source) == 1 else "")
        for key, entry in self._entries.items():
            entry.source = entry.source or sources[key]
        self._began([key for key in keys if self._entries[key].since is None and self._entries[key].book.base is None])
        self._partials = self._tx.partials([entry.id for entry in self._entries.values()])
        for (stream, _), parts in self._partials.items():
            self._held[stream] += sum(map(_cost, parts.values()))

    def _began(self, keys: Sequence[Key]) -> None:
        """A device that was heard in another epoch is listened to: this one is known from its beginning.

        Which of them is the later one nobody can tell by their names: an agent's clock may have been set back.
        """
        if not keys:
            return
        heard = self._tx.heard({(key.agent, key.device) for key in keys})
        for key in keys:
            if any(epoch != key.epoch for epoch in heard.get((key.agent, key.device), ())):
                self._entries[key].book.began()

    def _keys_of(self, gap: GapNotice) -> list[Key]:
        if gap.epoch is not None:
            return [Key(gap.agent, gap.epoch, gap.device)]
        if gap.kind != "lost":
            return []
        # the store itself is gone, and with it the name of the epoch that was in it: the newest one before the gap
        until = gap.to_ts - _START_MS
        known = self._tx.heard({(gap.agent, gap.device)}).get((gap.agent, gap.device), [])
        before = [epoch for epoch in known if time_of(epoch) < until]
        return [Key(gap.agent, max(before), gap.device)] if before else []

    # --- item by item -------------------------------------------------------------------------------------------------

    def _record(self, record: Record) -> None:
        entry, done = self._entries[record.key], self._done
        if not record.resent and entry.since is None:
            entry.since = self._now
        entry.source, entry.path = record.source, record.path
        book = entry.book
        book.says_low(record.low)
        doubtful = book.doubtful(record.seq)
        if doubtful and self._is_stored(entry.id, record):
            done.duplicates += 1
            return
        if record.of > 1 and not self._all_here(entry, record):
            return
        if not book.hear(record.seq, first=not record.resent):
            done.duplicates += 1
            return
        if doubtful:
            self._tx.take_back(record.key, record.seq)
        parts = [(record.part, record.readings)]
        if (entry.id, record.seq) in self._partials:
            del self._partials[entry.id, record.seq]
            if record.of > 1:
                parts += [(part, again(kept)) for part, kept in self._tx.parts(entry.id, record.seq, record.of)]
            self._tx.drop_partials(entry.id, record.seq)
        age = round(_STEPS * math.log10(max(1, self._now - record.ts)))
        for part, readings in sorted(parts, key=lambda one: one[0]):
            tags = self._tx.tag_ids(readings, record.path, record.key.device)
            self._stored.append(
                Stored(entry.id, record.seq, part, record.snapshot, record.historical, readings, tags, age)
            )
        self._count(entry, record, age, sum(len(readings) for _, readings in parts))

    def _is_stored(self, stream: int, record: Record) -> bool:
        """Whether its rows are there; one that would leave none, being empty or too old, is nothing to store."""
        kept = [one for one in record.readings if self._cutoff is None or one.ts >= self._cutoff]
        return not kept or self._tx.has(stream, record, kept[0])

    def _all_here(self, entry: StreamRow, record: Record) -> bool:
        """Whether this part is the last one to come; else it is kept (or it is here already)."""
        if record.seq in entry.book.seen:
            return True  # a duplicate, as the caller finds out
        if entry.book.base is None and not record.resent:
            entry.book.base = record.seq
        kept = self._partials.setdefault((entry.id, record.seq), {})
        if (record.of, record.part) in kept:
            self._done.duplicates += 1
            return False
        here = sum(of == record.of for of, _ in kept)
        if here + 1 == record.of:
            return True
        kept[record.of, record.part] = len(record.payload)
        self._tx.keep_partial(entry.id, record)
        self._held[entry.id] += _cost(len(record.payload))
        if self._held[entry.id] > MOST_INCOMPLETE:
            self._bound_parts(entry.id)
        return False

    def _bound_parts(self, stream: int) -> None:
        """Whoever publishes may begin any number of records: the oldest stay missing."""
        kept = {one: sum(map(_cost, parts.values())) for one, parts in self._partials.items() if one[0] == stream}
        held = sum(kept.values())
        for one in sorted(kept):
            if held <= MOST_INCOMPLETE:
                break
            held -= kept[one]
            del self._partials[one]
            self._tx.drop_partials(*one)
        self._held[stream] = held

    def _count(self, entry: StreamRow, record: Record, age: int, readings: int) -> None:
        done = self._done
        done.records += 1
        entry.readings += readings
        done.repaired += record.resent
        if not record.historical:
            done.newest = max(done.newest or record.ts, record.ts)
        counts = self._arrivals[Arrival(entry.id, record.ts // SLOT_MS * SLOT_MS, age)]
        counts[0] += 1
        counts[1] += record.snapshot
        counts[2] += readings

    def _gap(self, gap: GapNotice) -> None:
        keys = self._keys_of(gap)
        entry = self._entries.get(keys[0]) if keys else None
        if entry is not None and gap.id.startswith(GONE) and gap.epoch is not None and gap.from_seq is not None:
            when = committed_at(entry.book.seen, self._tx.slots(entry.id), gap.from_seq - 1) or time_of(gap.epoch)
            gap = structs.replace(gap, from_ts=when, to_ts=when)
        if not self._tx.gap(entry.id if entry is not None else None, gap, self._now):
            return
        self._done.gaps += 1
        if entry is None:
            return
        before = entry.book.lacking
        if gap.kind == "lost" and gap.from_seq is None:
            entry.book.close()
        else:
            entry.book.declare(gap)
        for stream, seq in [one for one in self._partials if one[0] == entry.id and one[1] in entry.book.declared]:
            self._tx.drop_partials(stream, seq)
            del self._partials[stream, seq]
        self._done.lost += max(0, before - entry.book.lacking)

    def _give_up(self, key: Key, entry: StreamRow) -> None:
        """Told like a loss that an agent declares."""
        missing = entry.book.give_up()
        if not missing:
            return
        lost = sum(end - first for first, end in missing)
        when = committed_at(entry.book.seen, self._tx.slots(entry.id), missing[-1][1] - 1) or self._now
        gap = GapNotice(
            f"{GIVEN_UP}{key.epoch}-{missing[-1][1]}", "lost", when, when,
            "the historian gave up the oldest holes of a stream that has too many", key.agent, key.device, key.epoch,
            missing[0][0], missing[-1][1] - 1, records=lost,
        )  # fmt: skip
        self._done.gaps += self._tx.gap(entry.id, gap, self._now)
        self._done.lost += lost
        self._done.given_up += len(missing)

    def _claim(self, claim: AgentClaim) -> None:
        entry = self._entries[claim.key]
        entry.book.says_low(claim.low)
        for ended in claim.before:
            entry = self._entries[Key(claim.key.agent, ended.epoch, claim.key.device)]
            entry.book.began()
            entry.book.ended(ended.next)
            if ended.due is not None:
                entry.due, entry.done = ended.due, ended.done
