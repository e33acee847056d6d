"""One transaction in SQLite: what the story asks for, in SQL."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msgspec import structs

from agent.consumer.contract import GapNotice, Reading
from agent.consumer.intervals import IntervalSet
from agent.historian.items import AgentState, Aside, Catalogue, DeviceState, Record
from agent.historian.ledger import Book, Key
from agent.historian.stores.tags import MOST_ASIDE, TagCache, digest, interval_of
from agent.historian.stores.transaction import GIVEN_UP, MOST_EPOCHS, Arrival, Stored, StreamRow
from agent.historian.values import clean, stored

_READING = "INSERT INTO reading VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"


class SqliteTransaction:
    """See `agent.historian.stores.transaction.Transaction`."""

    def __init__(self, db: sqlite3.Connection, tags: TagCache) -> None:
        self._db = db
        self._tags = tags

    def streams(self, keys: Sequence[Key], source: str) -> dict[Key, StreamRow]:
        found = {}
        for key in keys:
            row = self._stream(key)
            if row is None:
                self._db.execute(
                    "INSERT INTO stream (agent, epoch, device, source, path, low, bound, seen, declared, lacking)"
                    " VALUES (?,?,?,?,'',1,1,'[]','[]',0)",
                    (*key, source),
                )
                row = self._stream(key)
            assert row is not None  # noqa: S101 - just made
            book = Book(row[3], row[4], row[5], json.loads(row[6]), json.loads(row[7]))
            found[key] = StreamRow(row[0], book, *row[1:3], *row[8:])
        return found

    def _stream(self, key: Key) -> Any:
        return self._db.execute(
            "SELECT id, source, path, base, low, bound, seen, declared, since, readings, due, done"
            " FROM stream"
            " WHERE agent = ? AND epoch = ? AND device = ?",
            key,
        ).fetchone()

    def heard(self, devices: Iterable[tuple[str, str]]) -> dict[tuple[str, str], list[str]]:
        found: dict[tuple[str, str], list[str]] = {}
        for device in devices:
            rows = self._db.execute(
                "SELECT epoch FROM stream WHERE agent = ? AND device = ? AND since IS NOT NULL"
                " ORDER BY epoch DESC LIMIT ?",
                (*device, MOST_EPOCHS),
            ).fetchall()
            found[device] = [row[0] for row in rows]
        return found

    def save(self, entries: Iterable[tuple[Key, StreamRow]]) -> None:
        self._db.executemany(
            "UPDATE stream SET source = ?, path = ?, base = ?, low = ?, bound = ?, seen = ?, declared = ?, lacking = ?,"
            " since = ?, readings = ?, due = ?, done = ? WHERE id = ?",
            [
                (
                    one.source, one.path, one.book.base, one.book.low, one.book.bound, _ranges(one.book.seen),
                    _ranges(one.book.declared), one.book.lacking, one.since, one.readings, one.due,
                    one.done, one.id,
                )
                for _, one in entries
            ],
        )  # fmt: skip

    def partials(self, streams: Sequence[int]) -> dict[tuple[int, int], dict[tuple[int, int], int]]:
        found: dict[tuple[int, int], dict[tuple[int, int], int]] = defaultdict(dict)
        for stream in streams:
            for seq, of, part, size in self._db.execute(
                "SELECT seq, parts, part, length(payload) FROM partial WHERE stream = ?", (stream,)
            ):
                found[stream, seq][of, part] = size
        return dict(found)

    def parts(self, stream: int, seq: int, of: int) -> list[tuple[int, bytes]]:
        return self._db.execute(
            "SELECT part, payload FROM partial WHERE stream = ? AND seq = ? AND parts = ?", (stream, seq, of)
        ).fetchall()

    def keep_partial(self, stream: int, record: Record) -> None:
        self._db.execute(
            "INSERT INTO partial VALUES (?,?,?,?,?)", (stream, record.seq, record.of, record.part, record.payload)
        )

    def drop_partials(self, stream: int, seq: int) -> None:
        self._db.execute("DELETE FROM partial WHERE stream = ? AND seq = ?", (stream, seq))

    def tag_ids(self, readings: Sequence[Reading], path: str, device: str) -> list[int]:
        return self._tags.ids(readings, path, device, self._load_tags, self._make_tag)

    def _load_tags(self, path: str, device: str, names: list[str]) -> list[tuple[int, str, str | None]]:
        return self._db.execute(
            "SELECT id, name, unit FROM tag WHERE path = ? AND device = ? AND name IN (SELECT value FROM json_each(?))"
            " ORDER BY id",
            (path, device, json.dumps(names)),
        ).fetchall()

    def _make_tag(self, path: str, device: str, name: str, unit: str | None, ts: int) -> int:
        row = self._db.execute(
            "INSERT INTO tag (path, device, name, unit, valid_from) VALUES (?,?,?,?,?) RETURNING id",
            (path, device, name, unit, ts),
        ).fetchone()
        return int(row[0])

    def readings(self, stored_: Sequence[Stored], cutoff: int | None) -> tuple[int, int]:
        late = 0

        def rows() -> Iterator[tuple[Any, ...]]:
            nonlocal late
            for one in stored_:
                historical, snapshot, stream, seq, part = one.historical, one.snapshot, one.stream, one.seq, one.part
                age = one.age
                for position, (reading, tag) in enumerate(zip(one.readings, one.tags, strict=True)):
                    if cutoff is not None and reading.ts < cutoff:
                        late += 1
                        continue
                    value, text, kind = stored(reading.value)
                    yield (
                        tag, reading.ts, value, text, kind, reading.status, reading.quality, clean(reading.code),
                        clean(reading.reason), reading.src, clean(reading.why), clean(reading.label), historical,
                        snapshot, stream, seq, part, position, age,
                    )  # fmt: skip

        count = self._db.executemany(_READING, rows()).rowcount
        return max(0, count), late

    def has(self, stream: int, record: Record, reading: Reading) -> bool:
        found = self._db.execute(
            "SELECT 1 FROM tag t CROSS JOIN reading r WHERE t.device = ? AND t.name = ? AND r.tag = t.id AND r.ts = ?"
            " AND r.stream = ? AND r.seq = ?",
            (record.key.device, clean(reading.tag), reading.ts, stream, record.seq),
        )
        return found.fetchone() is not None

    def take_back(self, key: Key, seq: int) -> None:
        self._db.execute(
            "UPDATE gap SET records = records - 1 WHERE (agent, epoch, device) = (?, ?, ?) AND id LIKE ?"
            " AND from_seq <= ? AND to_seq >= ?",
            (*key, f"{GIVEN_UP}%", seq, seq),
        )

    def arrivals(self, counts: dict[Arrival, list[int]]) -> None:
        self._db.executemany(
            "INSERT INTO arrival VALUES (?,?,?,?,?,?) ON CONFLICT DO UPDATE SET records = records + excluded.records,"
            " snapshots = snapshots + excluded.snapshots, readings = readings + excluded.readings",
            [(*arrival, *numbers) for arrival, numbers in counts.items()],
        )

    def slots(self, stream: int) -> list[tuple[int, int]]:
        found = "SELECT slot, sum(records) FROM arrival WHERE stream = ? GROUP BY slot ORDER BY slot"
        return self._db.execute(found, (stream,)).fetchall()

    def gap(self, stream: int | None, gap: GapNotice, at: int) -> bool:
        tags = None if gap.tags is None else json.dumps(gap.tags)
        return (
            self._db.execute(
                "INSERT OR IGNORE INTO gap VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                (
                    gap.id, stream, gap.agent, gap.device, gap.epoch, gap.kind, gap.from_seq, gap.to_seq, gap.from_ts,
                    gap.to_ts, tags, gap.records, gap.readings, clean(gap.reason), clean(gap.request), at,
                ),
            ).rowcount
            == 1
        )  # fmt: skip

    def agent_state(self, state: AgentState) -> None:
        told = (state.state, state.session, state.version, state.config, state.attempted, state.error, state.shard)
        more = (state.publisher, state.resend)
        self._db.execute(
            "INSERT OR IGNORE INTO agent_state VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (state.agent, state.source, state.at, *told, *more, digest(told, more)),
        )

    def last_state(self, path: str, before: int) -> int | None:
        asked = "SELECT max(at) FROM device_state WHERE path = ? AND at < ?"
        (newest,) = self._db.execute(asked, (path, before)).fetchone()
        return None if newest is None else int(newest)

    def device_state(self, state: DeviceState) -> None:
        told = structs.astuple(state)[3:]
        owner = self._db.execute("SELECT agent, device FROM stream WHERE path = ? ORDER BY id DESC", (state.path,))
        agent, device = owner.fetchone() or (None, state.path.rpartition("/")[2])
        self._db.execute(
            "INSERT OR IGNORE INTO device_state VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (state.path, agent, device, state.at, *told, digest(told)),
        )

    def catalogue(self, catalogue: Catalogue) -> None:
        owner = self._db.execute("SELECT device FROM stream WHERE path = ? ORDER BY id DESC", (catalogue.path,))
        (device,) = owner.fetchone() or (catalogue.path.rpartition("/")[2],)
        self._db.executemany(
            "INSERT INTO tag (path, device, name, unit, type, description, interval_ms, catalogue, valid_from)"
            " VALUES (?,?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET type = excluded.type, description ="
            " excluded.description, interval_ms = excluded.interval_ms, catalogue = excluded.catalogue"
            " WHERE catalogue IS NULL OR excluded.catalogue >= catalogue",
            [
                (
                    catalogue.path, device, clean(row.tag), clean(row.unit), clean(row.type), clean(row.description),
                    interval_of(row.interval), catalogue.version, catalogue.at,
                )
                for row in catalogue.tags
            ],
        )  # fmt: skip

    def aside(self, message: Aside) -> None:
        self._db.execute(
            "INSERT INTO aside (source, topic, at, reason, payload) VALUES (?,?,?,?,?)",
            (message.source, message.topic, message.at, clean(message.reason), message.payload),
        )
        self._db.execute("DELETE FROM aside WHERE id <= (SELECT max(id) FROM aside) - ?", (MOST_ASIDE,))


def _ranges(ranges: IntervalSet) -> str:
    return json.dumps(list(ranges), separators=(",", ":"))
