"""One transaction in PostgreSQL: what the story asks for, in SQL."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import psycopg
from msgspec import structs

from agent.consumer.contract import GapNotice, Reading
from agent.consumer.intervals import IntervalSet
from agent.historian.items import AgentState, Aside, Catalogue, DeviceState, Record
from agent.historian.ledger import Book, Key
from agent.historian.stores.copying import COLUMNS, copy
from agent.historian.stores.tags import MOST_ASIDE, TagCache, digest, interval_of
from agent.historian.stores.transaction import GIVEN_UP, MOST_EPOCHS, Arrival, Stored, StreamRow
from agent.historian.values import clean

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MS = dt.timedelta(milliseconds=1)
_RANGE = re.compile(r"\[(\d+),(\d+)\)")
_COPY = f"COPY edge.reading ({COLUMNS}) FROM STDIN (FORMAT BINARY)"

_THEIRS = (
    "SELECT s.agent, s.epoch, s.device, s.id, s.source, s.path, s.base, s.low, s.bound, s.seen::text, s.declared::text,"
    " s.readings, s.due, s.done, s.since FROM edge.stream s"
    " JOIN unnest(%s::text[], %s::text[], %s::text[]) k (agent, epoch, device)"
    " USING (agent, epoch, device)"
    ' ORDER BY s.agent COLLATE "C", s.epoch COLLATE "C", s.device COLLATE "C" FOR UPDATE OF s'
)


def at(ms: int | None) -> dt.datetime | None:
    """An instant as PostgreSQL's driver takes it."""
    return None if ms is None else _EPOCH + ms * _MS


class PostgresTransaction:
    """See `agent.historian.stores.transaction.Transaction`. `known` are keys whose rows were committed."""

    def __init__(self, connection: psycopg.Connection, tags: TagCache, known: set[Key]) -> None:
        self.fresh: set[Key] = set()
        self._connection = connection
        self._tags = tags
        self._known = known

    def _execute(self, query: str, values: Sequence[Any] = ()) -> psycopg.Cursor[Any]:
        return self._connection.execute(query, values)

    def _many(self, query: str, rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            with self._connection.cursor() as cursor:
                cursor.executemany(query, rows)

    def streams(self, keys: Sequence[Key], source: str) -> dict[Key, StreamRow]:
        new = [key for key in keys if key not in self._known]
        if new:  # before any lock is taken, in the order of the keys: nobody waits in a circle
            self._execute(
                "INSERT INTO edge.stream (agent, epoch, device, source, path, low, bound, seen, declared, lacking)"
                " SELECT agent, epoch, device, %s, '', 1, 1, '{}', '{}', 0"
                " FROM unnest(%s::text[], %s::text[], %s::text[]) k (agent, epoch, device)"
                " WHERE NOT EXISTS (SELECT FROM edge.stream s WHERE (s.agent, s.epoch, s.device)"
                " = (k.agent, k.epoch, k.device)) ON CONFLICT DO NOTHING",
                (source, *_columns(new)),
            )
            self.fresh.update(new)
        found = {}
        for row in self._execute(_THEIRS, _columns(keys)).fetchall():
            book = Book(row[6], row[7], row[8], _ranges(row[9]), _ranges(row[10]))
            since = None if row[14] is None else round((row[14] - _EPOCH) / _MS)
            found[Key(*row[:3])] = StreamRow(row[3], book, row[4], row[5], since, *row[11:14])
        return found

    def heard(self, devices: Iterable[tuple[str, str]]) -> dict[tuple[str, str], list[str]]:
        wanted = list(devices)
        found: dict[tuple[str, str], list[str]] = defaultdict(list)
        rows = self._execute(
            "SELECT k.agent, k.device, s.epoch FROM unnest(%s::text[], %s::text[]) k (agent, device),"
            " LATERAL (SELECT epoch FROM edge.stream WHERE (agent, device) = (k.agent, k.device) AND since IS NOT NULL"
            ' ORDER BY epoch COLLATE "C" DESC LIMIT %s) s',
            (*_columns(wanted), MOST_EPOCHS),
        ).fetchall()
        for agent, device, epoch in rows:
            found[agent, device].append(epoch)
        return dict(found)

    def save(self, entries: Iterable[tuple[Key, StreamRow]]) -> None:
        self._many(
            "UPDATE edge.stream SET source = %s, path = %s, base = %s, low = %s, bound = %s,"
            " seen = %s::int8multirange, declared = %s::int8multirange, lacking = %s, since = %s,"
            " readings = %s, due = %s, done = %s WHERE id = %s",
            [
                (
                    one.source, one.path, one.book.base, one.book.low, one.book.bound, _written(one.book.seen),
                    _written(one.book.declared), one.book.lacking, at(one.since),
                    one.readings, one.due, one.done, one.id,
                )
                for _, one in entries
            ],
        )  # fmt: skip

    def partials(self, streams: Sequence[int]) -> dict[tuple[int, int], dict[tuple[int, int], int]]:
        found: dict[tuple[int, int], dict[tuple[int, int], int]] = defaultdict(dict)
        for stream, seq, of, part, size in self._execute(
            "SELECT stream, seq, parts, part, octet_length(payload) FROM edge.partial WHERE stream = ANY(%s)",
            (list(streams),),
        ):
            found[stream, seq][of, part] = size
        return dict(found)

    def parts(self, stream: int, seq: int, of: int) -> list[tuple[int, bytes]]:
        return self._execute(
            "SELECT part, payload FROM edge.partial WHERE stream = %s AND seq = %s AND parts = %s", (stream, seq, of)
        ).fetchall()

    def keep_partial(self, stream: int, record: Record) -> None:
        self._execute(
            "INSERT INTO edge.partial VALUES (%s, %s, %s, %s, %s)",
            (stream, record.seq, record.of, record.part, record.payload),
        )

    def drop_partials(self, stream: int, seq: int) -> None:
        self._execute("DELETE FROM edge.partial WHERE stream = %s AND seq = %s", (stream, seq))

    def tag_ids(self, readings: Sequence[Reading], path: str, device: str) -> list[int]:
        return self._tags.ids(readings, path, device, self._load_tags, self._make_tag)

    def _load_tags(self, path: str, device: str, names: list[str]) -> list[tuple[int, str, str | None]]:
        return self._execute(
            "SELECT id, name, unit FROM edge.tag WHERE path = %s AND device = %s AND name = ANY(%s) ORDER BY id",
            (path, device, names),
        ).fetchall()

    def _make_tag(self, path: str, device: str, name: str, unit: str | None, ts: int) -> int:
        """Another historian may make it at the same moment: then it is waited for, and its row taken."""
        row = self._execute(
            "INSERT INTO edge.tag (path, device, name, unit, valid_from) VALUES (%s, %s, %s, %s, %s)"
            " ON CONFLICT (path, device, name, coalesce(unit, '')) DO UPDATE SET name = excluded.name RETURNING id",
            (path, device, name, unit, at(ts)),
        ).fetchone()
        return int(row[0]) if row is not None else 0

    def readings(self, stored: Sequence[Stored], cutoff: int | None) -> tuple[int, int]:
        with self._connection.cursor() as cursor, cursor.copy(_COPY) as into:
            return copy(stored, cutoff, into.write)

    def has(self, stream: int, record: Record, reading: Reading) -> bool:
        found = self._execute(
            "SELECT 1 FROM edge.tag t JOIN edge.reading r ON r.tag = t.id WHERE t.device = %s AND t.name = %s"
            " AND r.ts = %s AND r.stream = %s AND r.seq = %s LIMIT 1",
            (record.key.device, clean(reading.tag), at(reading.ts), stream, record.seq),
        )
        return found.fetchone() is not None

    def take_back(self, key: Key, seq: int) -> None:
        self._execute(
            "UPDATE edge.gap SET records = records - 1 WHERE (agent, epoch, device) = (%s, %s, %s)"
            " AND starts_with(id, %s) AND from_seq <= %s AND to_seq >= %s",
            (*key, GIVEN_UP, seq, seq),
        )

    def arrivals(self, counts: dict[Arrival, list[int]]) -> None:
        self._many(
            "INSERT INTO edge.arrival AS a VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (stream, slot, age) DO UPDATE"
            " SET records = a.records + excluded.records, snapshots = a.snapshots + excluded.snapshots,"
            " readings = a.readings + excluded.readings",
            [(one.stream, at(one.slot), one.age, *numbers) for one, numbers in sorted(counts.items())],
        )

    def slots(self, stream: int) -> list[tuple[int, int]]:
        found = "SELECT slot, sum(records)::bigint FROM edge.arrival WHERE stream = %s GROUP BY slot ORDER BY slot"
        return [((slot - _EPOCH) // _MS, records) for slot, records in self._execute(found, (stream,)).fetchall()]

    def gap(self, stream: int | None, gap: GapNotice, received: int) -> bool:
        values = (
            gap.id, stream, gap.agent, gap.device, gap.epoch, gap.kind, gap.from_seq, gap.to_seq, at(gap.from_ts),
            at(gap.to_ts), None if gap.tags is None else json.dumps([clean(tag) for tag in gap.tags]), gap.records,
            gap.readings, clean(gap.reason), clean(gap.request), at(received),
        )  # fmt: skip
        places = ", ".join(["%s"] * len(values))
        return self._execute(f"INSERT INTO edge.gap VALUES ({places}) ON CONFLICT DO NOTHING", values).rowcount == 1  # noqa: S608 - placeholders

    def agent_state(self, state: AgentState) -> None:
        told = (state.state, state.session, state.version, state.config, state.attempted, state.error, state.shard)
        more = (state.publisher, state.resend)
        self._execute(
            "INSERT INTO edge.agent_state VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            (state.agent, state.source, at(state.at), *map(_clean, told), *map(_clean, more), digest(told, more)),
        )

    def last_state(self, path: str, before: int) -> int | None:
        asked = "SELECT max(at) FROM edge.device_state WHERE path = %s AND at < %s"
        (newest,) = self._execute(asked, (path, at(before))).fetchone() or (None,)
        return None if newest is None else round((newest - _EPOCH) / _MS)

    def device_state(self, state: DeviceState) -> None:
        told = structs.astuple(state)[3:]
        owner = self._execute("SELECT agent, device FROM edge.stream WHERE path = %s ORDER BY id DESC", (state.path,))
        agent, device = owner.fetchone() or (None, state.path.rpartition("/")[2])
        self._execute(
            "INSERT INTO edge.device_state VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            (
                state.path, agent, device, at(state.at), state.state, state.session, clean(state.reason),
                at(state.since), at(state.last_good), state.achieved_ms, state.due, state.done, state.late,
                state.readings, digest(told),
            ),
        )  # fmt: skip

    def catalogue(self, catalogue: Catalogue) -> None:
        owner = self._execute("SELECT device FROM edge.stream WHERE path = %s ORDER BY id DESC", (catalogue.path,))
        (device,) = owner.fetchone() or (catalogue.path.rpartition("/")[2],)
        rows = sorted(catalogue.tags, key=lambda row: (row.tag, row.unit or ""))
        self._many(
            "INSERT INTO edge.tag AS t (path, device, name, unit, type, description, interval_ms, catalogue,"
            " valid_from) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (path, device, name, coalesce(unit, '')) DO UPDATE SET type = excluded.type,"
            " description = excluded.description, interval_ms = excluded.interval_ms, catalogue = excluded.catalogue"
            " WHERE t.catalogue IS NULL OR excluded.catalogue >= t.catalogue",
            [
                (
                    catalogue.path, device, clean(row.tag), clean(row.unit), clean(row.type), clean(row.description),
                    interval_of(row.interval), catalogue.version, at(catalogue.at),
                )
                for row in rows
            ],
        )  # fmt: skip

    def aside(self, message: Aside) -> None:
        self._execute(
            "INSERT INTO edge.aside (source, topic, at, reason, payload) VALUES (%s, %s, %s, %s, %s)",
            (message.source, message.topic, at(message.at), clean(message.reason), message.payload),
        )
        self._execute("DELETE FROM edge.aside WHERE id <= (SELECT max(id) FROM edge.aside) - %s", (MOST_ASIDE,))


def _clean(value: Any) -> Any:
    return clean(value) if isinstance(value, str) else value


def _columns(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _ranges(text: str) -> list[tuple[int, int]]:
    return [(int(first), int(end)) for first, end in _RANGE.findall(text)]


def _written(ranges: IntervalSet) -> str:
    return "{" + ",".join(f"[{first},{end})" for first, end in ranges) + "}"
