"""What every database of the historian keeps: one suite for the twins."""

from __future__ import annotations

import datetime as dt
import json
import math
import sqlite3
import threading
from types import SimpleNamespace

import psycopg
import pytest
from msgspec import structs

from agent.core.errors import PermanentError
from agent.historian.config import HistorianSettings
from agent.historian.stores.away import StoreAway
from agent.historian.stores.connecting import is_shared
from agent.historian.stores.port import BadData, RepairMark
from agent.historian.stores.postgres import _SWEEP, PostgresStore, postgres_store
from agent.historian.stores.postgres_schema import MIGRATIONS as POSTGRES
from agent.historian.stores.sqlite import SqliteStore
from agent.historian.stores.sqlite_schema import MIGRATIONS as SQLITE
from tests.support.historian import EPOCH, LATER, NOW, PATH, claim, envelope, gap, message, record, status
from tests.support.waiting import eventually_sync

DAY = 86_400_000

#: Record 1, as the first version stored it.
ONE_ROW = (  # of our own constants
    f"INSERT INTO tag (path, device, name, valid_from) VALUES ('{PATH}', 'press-01', 't', AT);"  # noqa: S608
    "INSERT INTO stream (agent, epoch, device, source, path, base, low, bound, seen, declared, lacking)"
    f" VALUES ('gw-01', '{EPOCH}', 'press-01', 'plant', '{PATH}', 1, 1, 1, SEEN, NONE, 0);"
    "INSERT INTO arrival (stream, slot, age, records, snapshots, readings) VALUES (1, AT, 0, 1, 0, 1);"
    "INSERT INTO reading (tag, ts, value, kind, quality, historical, snapshot, stream, seq, part, position)"
    " VALUES (1, AT, 1.5, 'number', 'good', false, false, 1, 1, 1, 0);"
)


def with_one_row(at: str, seen: str, none: str) -> str:
    return ONE_ROW.replace("AT", at).replace("SEEN", seen).replace("NONE", none)


VALUES = [
    61.25, -0.0, 5e-324, 1.7976931348623157e308, 0, 3000, -1, 2**53, 2**53 + 1, 2**60, -(2**63), 2**64 - 1, True, False,
    None, "", "running", "压力 ≥ 5 bar", "a\0b", "\ufffd", [1, 2.5, None], [], [True, [2**63 - 1]], {"a": {"b": [1]}},
    "x" * 100_000,
]  # fmt: skip


def restored(value, text, kind):
    """What the columns say of a value, read as docs/historian.md tells readers to."""
    match kind:
        case "null":
            return None
        case "bool":
            return bool(value)
        case "int":
            return int(text) if text is not None else int(value or 0)
        case "number":
            return value if text is None else float(text)
        case "text":
            return text
    return json.loads(text or "null")


class StoreContract:
    """`store` is open and empty; `sql` asks it as its readers do, schema and time zone left to the twin."""

    @pytest.fixture
    def write(self, store):
        return lambda *items, now=NOW: store.write(items, now)

    @pytest.fixture
    def missing(self, sql):
        return lambda: sql("SELECT epoch, from_seq, to_seq FROM missing ORDER BY epoch, from_seq")

    # --- rows ---------------------------------------------------------------------------------------------------------

    def test_values_come_back_as_they_were_sent(self, write, sql):
        """64-bit integers, strings, booleans, arrays, structures and null: value and type."""
        write(record(readings=[{"tag": "t", "value": value, "ts": NOW, "quality": "good"} for value in VALUES]))
        back = [restored(*row) for row in sql("SELECT value, text, kind FROM reading ORDER BY position")]
        assert back == VALUES
        assert [type(one) for one in back] == [type(one) for one in VALUES]
        assert math.copysign(1, back[1]) == -1
        assert all(row[0] is None or float(row[0]) == row[0] for row in sql("SELECT value FROM reading"))

    def test_a_reading_keeps_all_its_words(self, write, sql, at):
        """Quality, code, reason, label, times and place come back; U+0000, which PostgreSQL has not, as U+FFFD."""
        write(
            record(
                seq=7, historical=True, snapshot=True,
                readings=[
                    {"tag": "a", "value": 1, "ts": NOW, "quality": "good", "unit": "Cel", "label": "running"},
                    {"tag": "b", "value": None, "ts": NOW + 1, "src": NOW - 5, "quality": "bad", "why": "offline",
                     "code": "BadNoCommunication", "status": 2150694912, "reason": "no\0answer"},
                ],
            )
        )  # fmt: skip
        rows = sql(
            "SELECT name, device, path, unit, quality, code, status, reason, why, label, historical, snapshot, seq,"
            " part, position FROM reading JOIN tag ON tag.id = reading.tag ORDER BY position"
        )
        assert [tuple(row) for row in rows] == [
            ("a", "press-01", PATH, "Cel", "good", None, None, None, None, "running", True, True, 7, 1, 0),
            ("b", "press-01", PATH, None, "bad", "BadNoCommunication", 2150694912, "no\ufffdanswer", "offline", None,
             True, True, 7, 1, 1),
        ]  # fmt: skip
        assert sql("SELECT ts, src FROM reading ORDER BY position") == [(at(NOW), None), (at(NOW + 1), at(NOW - 5))]

    def test_a_tag_that_gets_another_unit_gets_another_row(self, write, sql):
        """What was stored in the old unit keeps it; a bad value without a unit belongs to the newest."""
        for seq, unit in enumerate(("Cel", "K"), 1):
            write(record(seq, readings=[{"tag": "t", "value": 1, "ts": NOW + seq, "quality": "good", "unit": unit}]))
        write(record(3, readings=[{"tag": "t", "value": None, "ts": NOW + 9, "quality": "bad"}]))
        rows = sql("SELECT seq, unit FROM reading JOIN tag ON tag.id = reading.tag ORDER BY seq")
        assert rows == [(1, "Cel"), (2, "K"), (3, "K")]
        for seq, none in enumerate((None, "", None), 4):  # an empty unit is none: SQLite left the record out
            done = write(record(seq, readings=[{"tag": "n", "value": 1, "ts": NOW, "quality": "good", "unit": none}]))
            assert done.rows == 1
        assert sql("SELECT count(*) FROM tag WHERE name = 'n'") == [(1,)]

    def test_readings_of_one_tag_and_instant_all_stand(self, write, sql):
        """(tag, ts) is no key: the position tells them apart."""
        write(record(readings=[{"tag": "t", "value": n, "ts": NOW, "quality": "good"} for n in range(3)]))
        assert sql("SELECT value, position FROM reading ORDER BY position") == [(0, 0), (1, 1), (2, 2)]

    def test_what_is_older_than_retention_is_entered_and_not_stored(self, write, sql, missing):
        """The ledger has it, so nobody asks for it again."""
        done = write(record(1, readings=[{"tag": "t", "value": 1, "ts": NOW - 31 * DAY, "quality": "good"}]), claim(2))
        assert (done.rows, done.late, done.records) == (0, 1, 1)
        assert sql("SELECT count(*) FROM reading") == [(0,)]
        assert missing() == []

    def test_a_sweep_takes_what_retention_has_passed(self, write, sql, store):
        """What is younger stays."""
        write(record(1), now=NOW)
        then = NOW + 40 * DAY
        assert store.sweep(then) == 0  # a clock that is ahead of all that is read
        late = record(2, ts=then, readings=[{"tag": "t", "value": 2, "ts": then, "quality": "good"}])
        assert write(late, record(3, 2, historical=True), now=then + 3650 * DAY).rows == 1
        assert store.sweep(then) > 0
        assert sql("SELECT value FROM reading") == [(2,)]

    def test_times_far_off_are_stored_all_the_same(self, write, sql, at):
        """A controller that lives in 2099, in 1970, or tomorrow."""
        far = [NOW + 26_000 * DAY, NOW + 2 * DAY, NOW - DAY]
        write(record(readings=[{"tag": "t", "value": 1, "ts": ts, "quality": "good"} for ts in far]))
        assert sql("SELECT ts FROM reading ORDER BY position") == [(at(ts),) for ts in far]

    # --- exactly once -------------------------------------------------------------------------------------------------

    def test_a_record_that_comes_again_changes_nothing(self, write, sql):
        """Whether it is historical or resent by then."""
        assert write(record(1), record(2)).rows == 2
        done = write(record(2, historical=True), record(1, historical=True, resent=True), record(3))
        assert (done.rows, done.duplicates) == (1, 2)
        assert sql("SELECT seq FROM reading ORDER BY seq") == [(1,), (2,), (3,)]

    def test_a_transaction_that_fails_leaves_nothing(self, write, sql, missing, broken):
        """Neither the record before it nor its place in the ledger."""
        with pytest.raises(BadData):
            write(record(1), broken(record(2)))
        assert sql("SELECT count(*) FROM reading") == [(0,)]
        assert write(record(1), record(2)).rows == 2

    def test_parts_stand_when_all_are_here(self, write, sql, missing):
        """Over transactions; each part has the positions of its message."""
        parts = [record(5, 5, [{"tag": "t", "value": n, "ts": NOW, "quality": "good"}], part=[n, 3]) for n in (1, 2, 3)]
        write(parts[2], parts[0], claim(6))
        assert sql("SELECT count(*) FROM reading") == [(0,)]
        assert missing() == [(EPOCH, 5, 5)]
        assert write(parts[0]).duplicates == 1
        assert write(parts[1]).rows == 3
        assert sql("SELECT part, value FROM reading ORDER BY part") == [(1, 1), (2, 2), (3, 3)]
        assert missing() == []
        assert write(*parts).duplicates == 3

    def test_a_record_cut_another_way_meanwhile_stands_once(self, write, sql):
        """The broker's limit changed between two deliveries: parts of different cuts are never mixed."""
        halves = [
            record(5, 5, [{"tag": "t", "value": n, "ts": NOW, "quality": "good"}] * 3, part=[n, 2]) for n in (1, 2)
        ]
        thirds = [
            record(5, 5, [{"tag": "t", "value": n, "ts": NOW, "quality": "good"}] * 2, part=[n, 3]) for n in (1, 2, 3)
        ]
        write(halves[0], *thirds, halves[1])
        assert sql("SELECT count(*) FROM reading") == [(6,)]

    # --- what is missing ----------------------------------------------------------------------------------------------

    def test_below_low_a_hole_is_missing(self, write, missing):
        """At or above `low` it may still come."""
        write(record(1), record(4, low=1))
        assert missing() == []
        write(record(6, low=6))
        assert missing() == [(EPOCH, 2, 3), (EPOCH, 5, 5)]
        write(record(3, low=6, resent=True, historical=True))
        assert missing() == [(EPOCH, 2, 2), (EPOCH, 5, 5)]

    def test_what_is_declared_is_not_missing(self, write, missing):
        """And what comes although it was declared counts as received."""
        write(record(1), record(9, low=9))
        write(gap("dropped", 2, 3), gap("expired", 4, 4), gap("quarantined", 5, 5), gap("overflow", 6, 6))
        assert missing() == [(EPOCH, 7, 8)]
        assert write(gap("lost", 7, 8)).lost == 2
        assert missing() == []
        assert write(record(3, low=9, historical=True)).rows == 1

    def test_down_and_missed_excuse_no_number(self, write, missing):
        """They excuse a time; `down` tells the last number."""
        write(record(1), record(3, low=3), gap("missed", 2, 2), gap("down", None, 5))
        assert missing() == [(EPOCH, 2, 2), (EPOCH, 4, 5)]

    def test_an_open_end_declares_all_that_follows(self, write, missing):
        """From its first number on."""
        write(record(1), gap("down", None, 9), gap("lost", 4, None))
        assert missing() == [(EPOCH, 2, 3)]

    def test_a_loss_without_numbers_closes_the_epoch_before(self, write, missing):
        """The store at the agent is gone: nobody knows what was in it."""
        write(record(1), record(5, low=5))
        write(record(1, epoch=LATER), gap("lost", None, None, epoch=None, id=LATER))
        assert missing() == []

    def test_a_stream_joined_in_the_middle_begins_with_what_was_heard_first(self, write, missing):
        """What passed before we listened is nobody's loss."""
        write(record(100, low=90), record(103, low=103))
        assert missing() == [(EPOCH, 101, 102)]

    def test_a_stream_whose_low_is_one_is_known_from_its_beginning(self, write, missing):
        """Nothing of it was acknowledged before we listened."""
        write(record(4, low=1), record(5, low=5))
        assert missing() == [(EPOCH, 1, 3)]

    def test_a_later_epoch_of_a_device_is_known_from_its_beginning(self, write, missing):
        """We listened when it began: what the broker lost of it before the first number counts."""
        write(record(100, low=90))
        write(record(7, low=7, epoch=LATER))
        assert missing() == [(LATER, 1, 6)]

    def test_an_earlier_epoch_that_an_agent_names_counts_from_one_to_its_end(self, write, missing, sql):
        """A broker may have lost all of it, its `down` gap too."""
        write(claim(1, epoch=LATER, before=[(EPOCH, 4, 100, 90)]))
        assert sql("SELECT due, done FROM stream ORDER BY epoch") == [(100, 90), (None, None)]
        assert missing() == [(EPOCH, 1, 3)]

    def test_a_claim_alone_says_what_never_came(self, write, missing):
        """Of a stream of which nothing was heard nobody knows where to begin."""
        write(claim(50))
        assert missing() == []
        write(record(60, low=50))
        write(claim(80))
        assert missing() == [(EPOCH, 61, 79)]

    def test_holes_and_how_their_repair_stands(self, write, store, sql):
        """What is left of a hole stands as the hole did."""
        write(record(1), record(9, low=9))
        (hole,) = store.holes(10)
        assert (hole.key, hole.first, hole.last, hole.source) == (record().key, 2, 8, "plant")
        assert sql("SELECT from_seq, to_seq, numbers, repair FROM missing") == [(2, 8, 7, "open")]
        marks = [RepairMark(hole.stream, 2, 8, NOW, NOW + 1, 1, "waiting")]
        store.mark(marks)
        assert store.marks() == marks
        write(record(5, low=9, resent=True))
        assert sql("SELECT from_seq, to_seq, repair FROM missing ORDER BY 1") == [(2, 4, "waiting"), (6, 8, "waiting")]
        store.mark([])
        assert {row[0] for row in sql("SELECT repair FROM missing")} == {"open"}

    def test_a_stream_of_nothing_but_holes_stays_small_and_keeps_no_other_from_repair(
        self, write, store, sql, at, monkeypatch
    ):
        """The oldest are given up, told like a declared loss; of two streams the one with few holes comes first."""
        monkeypatch.setattr("agent.historian.ledger.MOST_INTERVALS", 200)
        for begin in range(0, 400, 50):
            records = [record(2 * number + 1, low=2 * number + 1) for number in range(begin, begin + 50)]
            write(*records, now=NOW + DAY)
        write(record(1, device="press-02"), record(9, low=9, device="press-02"))
        ((lost, first, last),) = sql("SELECT sum(records), min(from_seq), max(to_seq) FROM gap WHERE kind = 'lost'")
        assert sql("SELECT max(to_ts) FROM gap") == [(at(NOW // 900_000 * 900_000),)]  # not today
        ((missing, oldest),) = sql("SELECT sum(numbers), min(from_seq) FROM missing WHERE device = 'press-01'")
        assert (lost + missing, first) == (399, 2)
        assert missing <= 200
        assert oldest > last
        moved = record(3, 2)
        moved.path += "-2"
        again = write(record(2, 2, resent=True), record(3, 2), moved)
        assert (again.records, again.duplicates) == (1, 2)
        assert write(record(2, 2, resent=True)).duplicates == 1
        assert sql("SELECT sum(records) FROM gap WHERE kind = 'lost'") == [(lost - 1,)]
        assert sql("SELECT count(*) FROM reading WHERE seq IN (2, 3)") == [(2,)]
        assert [hole.key.device for hole in store.holes(3)] == ["press-02", "press-01", "press-01"]

    def test_records_of_which_parts_never_come_are_bounded(self, write, sql, monkeypatch):
        """The oldest stay missing; what is kept can still become whole."""
        monkeypatch.setattr("agent.historian.stores.story.MOST_INCOMPLETE", 10 * 4096)
        for number in range(1, 101):
            write(record(number, part=[1, 2]))
        ((kept, oldest),) = sql("SELECT count(*), min(seq) FROM partial")
        assert 10 <= kept <= 20
        assert oldest == 101 - kept
        assert write(record(100, part=[2, 2])).rows == 2

    # --- around the readings ------------------------------------------------------------------------------------------

    def test_a_gap_is_stored_once(self, write, sql):
        """It is delivered at least once."""
        assert write(record(1), gap("dropped", 2, 3)).gaps == 1
        assert write(gap("dropped", 2, 3)).gaps == 0
        assert sql("SELECT kind, device, epoch, from_seq, to_seq, reason FROM gap") == [
            ("dropped", "press-01", EPOCH, 2, 3, "a test")
        ]

    def test_states_are_stored_when_they_change(self, write, sql):
        """With the agent that the readings on the same path name."""
        state = {"state": "online", "session": "s", "reason": None, "since": NOW, "last_good": NOW,
                 "scans": {"due": 10, "done": 9, "late": 1}, "readings": 90}  # fmt: skip
        topic = f"{PATH}/status"
        write(record(1), *status(state, topic))
        write(*status(state, topic), *status(state | {"state": "offline", "reason": "no answer"}, topic))
        assert sql("SELECT agent, device, state, due, done, late, readings FROM device_state ORDER BY state") == [
            ("gw-01", "press-01", "offline", 10, 9, 1, 90), ("gw-01", "press-01", "online", 10, 9, 1, 90),
        ]  # fmt: skip

    def test_what_an_agent_says_of_itself_is_stored_when_it_changes(self, write, sql):
        """Not every 30 s."""
        told = {"state": "online", "session": "s", "version": "1", "publisher": "plant", "resend": True, "ts": NOW,
                "config": {"effective": "abc", "attempted": "abd", "error": "x"}, "streams": {}}  # fmt: skip
        for ts in (NOW, NOW + 30_000):
            write(*status(told | {"ts": ts}, "edge/agents/gw-01/status"))
        assert sql("SELECT agent, state, version, config, attempted, error, resend FROM agent_state") == [
            ("gw-01", "online", "1", "abc", "abd", "x", True)
        ]

    def test_a_catalogue_names_type_and_description(self, write, sql):
        """Of tags that are stored, and of those that are not yet."""
        tags = [{"tag": "t", "type": "float32", "unit": "Cel", "description": "油温", "interval": 1000},
                {"tag": "u", "type": "string", "interval": "once"}]  # fmt: skip
        write(record(1, readings=[{"tag": "t", "value": 1, "ts": NOW, "quality": "good", "unit": "Cel"}]))
        write(*status({"version": 4, "part": [1, 1], "tags": tags}, f"{PATH}/tags/1"))
        assert sql("SELECT device, name, type, unit, description, interval_ms, catalogue FROM tag ORDER BY name") == [
            ("press-01", "t", "float32", "Cel", "油温", 1000, 4), ("press-01", "u", "string", None, None, None, 4),
        ]  # fmt: skip

    def test_another_schema_is_kept_aside(self, write, sql):
        """As it came, with the reason."""
        from agent.historian.contents import read

        done = write(*read(message(envelope() | {"schema": "edge.readings.v2"})))
        assert done.aside == 1
        ((topic, reason),) = sql("SELECT topic, reason FROM aside")
        assert topic == f"{PATH}/readings"
        assert "edge.readings.v2" in reason

    # --- views --------------------------------------------------------------------------------------------------------

    def test_current_is_the_newest_reading_of_each_tag(self, write, sql):
        """Whatever came last: history that arrives later changes nothing; another unit is the same tag."""

        def one(ts, value, **more):
            return [{"tag": "t", "value": value, "ts": ts, "quality": "good"} | more]

        write(
            record(2, readings=one(NOW + 5, 2, unit="Cel")),
            record(1, readings=one(NOW, 1, unit="Cel"), historical=True),
        )
        assert sql("SELECT device, name, value, unit, quality FROM current") == [("press-01", "t", 2, "Cel", "good")]
        write(record(3, readings=one(NOW + 9, 3, unit="K")))
        assert sql("SELECT name, value, unit FROM current") == [("t", 3, "K")]

    def test_completeness_counts_good_time_and_scans_by_day(self, write, sql):
        """A good reading holds to the next one; midnight cuts it; a snapshot is no scan."""
        begin = NOW // DAY * DAY

        def one(ts, quality="good"):
            return [{"tag": "t", "value": 1, "ts": ts, "quality": quality}]

        write(record(1, readings=one(begin), snapshot=True), record(2, readings=one(begin + 1000)))
        write(record(3, readings=one(begin + 3000, "bad")), record(4, readings=one(begin + DAY - 2000)))
        write(record(5, readings=one(begin + DAY + 1000)), now=NOW + DAY)
        state = {"state": "online", "session": "s", "scans": {"due": 5, "done": 4, "late": 1}}
        write(*status(state, f"{PATH}/status"))
        rows = sql("SELECT device, tag, good_seconds, expected, arrived FROM completeness ORDER BY day")
        assert [tuple(row) for row in rows] == [("press-01", "t", 5, 5, 3), ("press-01", "t", 1, None, 1)]

    def test_completeness_holds_what_is_said_only_when_it_changes(self, write, sql):
        """Until it changes; three intervals at most where every reading is reported."""
        tags = [{"tag": name, "type": "int", "interval": 1000} for name in ("changes", "every")]
        write(*status({"version": 3, "part": [1, 1], "tags": tags}, f"{PATH}/tags/1"))
        at = [("every", second) for second in (0, 1, 2, 3, 100)] + [("changes", second) for second in (0, 600, 1800)]
        for seq, (name, second) in enumerate(at, 1):
            ts = NOW // DAY * DAY + second * 1000
            write(record(seq, readings=[{"tag": name, "value": 1, "ts": ts, "quality": "good"}]))
        assert sql("SELECT tag, good_seconds FROM completeness ORDER BY tag") == [("changes", 1800), ("every", 6)]

    @pytest.fixture
    def said(self, write, sql):
        """`said(second, session, due)`: a status said then, stored now. `said()`: what is expected by day and tag."""
        tags: list[dict[str, object]] = [
            {"tag": "fast", "type": "int", "interval": 1000}, {"tag": "slow", "type": "int", "interval": 2000},
            {"tag": "shown", "type": "int"},
        ]  # fmt: skip
        begin = NOW // DAY * DAY
        write(*status({"version": 3, "part": [1, 1], "tags": tags}, f"{PATH}/tags/1"))
        for day in range(2):
            there = [{"tag": one["tag"], "value": 1, "ts": begin + day * DAY, "quality": "good"} for one in tags]
            write(record(1 + day, readings=there))

        def said(second=None, session="", due=0):
            if second is None:
                return sql("SELECT tag, expected FROM completeness ORDER BY day, tag")
            scans = {"due": due, "done": due, "late": 0}
            (item,) = status({"state": "online", "session": session, "scans": scans}, f"{PATH}/status")
            write(structs.replace(item, at=begin + second * 1000))
            return []

        return said

    def test_completeness_expects_each_scan_once(self, said):
        """Of an epoch over all its sessions, each tag by its interval. The totals of the epoch before stand in the
        first status of the next one; what was due before anybody listened is none of today.
        """
        said(100, "a", 9_000_000)  # of weeks: since midnight there were 150
        said(200, "a", 9_000_150)
        said(220, "b", 9_000_180)
        said(300, "c", 9_000_210)  # restarted: not connected yet, of the epoch before
        said(310, "c", 15)
        said(400, "d", 150)
        assert said()[:3] == [("fast", 340), ("shown", None), ("slow", 170)]

    def test_completeness_takes_statuses_in_any_order(self, said):
        """What waited at the broker comes in one millisecond, what another historian lacked comes hours later: nothing
        of it is counted twice. Between two statuses scans are due in a straight line, over midnight as well.
        """
        last = DAY // 1000
        said(100, "a", 150)
        for due in (180, 210, 240):  # at the same moment
            said(160, "a", due)
        said(170, "b", 255)  # restarted, …
        said(170, "b", 15)  # … and heard with the one before
        said(300, "b", 210)
        said(310, "b", 60)  # another historian brings it: it was said long before
        said(last - 100, "b", 9_000)
        said(last + 100, "b", 9_300)
        assert said() == [
            (tag, n)
            for day in ((6270, 3135), (100, 50))
            for tag, n in (("fast", day[0]), ("shown", None), ("slow", day[1]))
        ]

    def test_a_rule_that_somebody_added_is_no_fault_of_the_data(self, write, refusing):
        """Nothing is acknowledged until it is gone: one that was left out would be away with its message."""
        refusing()
        with pytest.raises(StoreAway, match="no more"):
            write(record(1))

    def test_a_database_of_a_newer_version_is_left_alone(self, store, newer):
        """With what to do."""
        store.close()
        newer()
        with pytest.raises(PermanentError, match=r"newer version.*start that version again"):
            store.open()

    @pytest.mark.parametrize("version", range(1, len(SQLITE)))
    def test_a_database_of_an_older_version_is_brought_up_to_date(self, store, write, sql, older, version):
        """Of each version there was: what is in it stays, what came then is known, and more can be written."""
        store.close()
        older(version)
        store.open()
        done = write(record(1), record(2))
        assert (done.records, done.duplicates) == (1, 1)
        assert [tuple(row) for row in sql("SELECT seq, value, age FROM reading ORDER BY 1")] == [
            (1, 1.5, None), (2, 1.5, 0)
        ]  # fmt: skip
        counted = version >= 4  # as they come: the one put in by hand was not
        assert sql("SELECT readings FROM stream") == [(1 if counted else 2,)]

    def test_it_goes_on_where_it_was(self, write, sql, missing, store):
        """Closed and opened again, twice: the ledger, the tags and what is incomplete are there."""
        write(record(1), record(5, 5, part=[1, 2]), record(9, low=5))
        store.close()
        store.open()
        store.open()
        done = write(record(1), record(5, 5, part=[2, 2]), record(2, historical=True), claim(9))
        assert (done.duplicates, done.rows) == (1, 3)
        assert missing() == [(EPOCH, 3, 4), (EPOCH, 6, 8)]
        assert [tuple(way) for way in store.ways()] == [("plant", "gw-01", "press-01", PATH)]
        assert sql("SELECT count(*) FROM tag") == [(1,)]


class TestSqlite(StoreContract):
    @pytest.fixture
    def path(self, tmp_path):
        return tmp_path / "plant.db"

    @pytest.fixture
    def store(self, path):
        store = SqliteStore(path, retention=30 * 86400.0)
        store.open()
        yield store
        store.close()

    @pytest.fixture
    def sql(self, path, store):
        def sql(text):
            db = sqlite3.connect(path)
            try:
                return db.execute(text).fetchall()
            finally:
                db.close()

        return sql

    @pytest.fixture
    def older(self, path):
        def older(version):
            path.unlink()
            filled = with_one_row(str(NOW), "'[[1,2]]'", "'[]'")
            db = sqlite3.connect(path)
            db.executescript("".join(SQLITE[:version]) + filled + f"PRAGMA user_version = {version}")
            db.close()

        return older

    @pytest.fixture
    def newer(self, path):
        def newer():
            db = sqlite3.connect(path)
            db.execute("PRAGMA user_version = 99")
            db.close()

        return newer

    @pytest.fixture
    def refusing(self, path):
        def refusing():
            db = sqlite3.connect(path)
            db.execute("CREATE TRIGGER t BEFORE INSERT ON reading BEGIN SELECT RAISE(ABORT, 'no more'); END")
            db.close()

        return refusing

    @pytest.fixture
    def at(self):
        return lambda ms: ms

    @pytest.fixture
    def broken(self):
        def broken(item):
            item.readings[0].value = 1 << 100
            item.readings[0].status = 1 << 100
            return item

        return broken

    def test_a_trend_comes_from_the_index_alone(self, sql):
        """86,400 readings of a day would be on as many pages of the table."""
        (step,) = sql("EXPLAIN QUERY PLAN SELECT ts, value, quality FROM reading WHERE tag = 1 AND ts >= 0 AND ts < 9")
        assert "USING COVERING INDEX" in step[3]


class TestPostgres(StoreContract):
    @pytest.fixture
    def store(self, postgres):
        store = postgres_store(
            HistorianSettings.model_validate({"id": "h", "database": postgres.url, "retention": "30d"})
        )
        store.open()
        yield store
        store.close()

    @pytest.fixture
    def sql(self, postgres, store):
        return postgres.sql

    @pytest.fixture
    def older(self, postgres):
        def older(version):
            filled = with_one_row(f"to_timestamp({NOW / 1000})", "'{[1,2)}'", "'{}'")
            with psycopg.connect(postgres.url, autocommit=True) as db:
                db.execute("DROP SCHEMA edge CASCADE; CREATE SCHEMA edge; SET search_path = edge")
                db.execute(f"CREATE TABLE version (version int NOT NULL); INSERT INTO version VALUES ({version})")  # noqa: S608
                db.execute("".join(POSTGRES[:version]) + filled)

        return older

    @pytest.fixture
    def newer(self, postgres):
        return lambda: postgres.sql("UPDATE version SET version = 99 RETURNING version")

    @pytest.fixture
    def refusing(self, postgres):
        def refusing():
            with psycopg.connect(postgres.url, autocommit=True) as db:
                db.execute('ALTER TABLE edge.reading ADD CONSTRAINT "no more" CHECK (value IS NULL)')

        return refusing

    @pytest.fixture
    def at(self):
        return lambda ms: dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=ms)

    @pytest.fixture
    def broken(self):
        def broken(item):
            item.readings[0].status = 1 << 62
            item.key = item.key._replace(device="a\0b")
            return item

        return broken

    def test_a_pooler_of_transactions_is_refused(self, postgres):
        """Its server process is everybody's: two historians would both lead, and locks outlive who took them."""

        class Pooled:
            """What a client sees of a pooler: a process number of its own, and any server process behind it."""

            def __init__(self, real):
                self._real = real
                self.info = SimpleNamespace(backend_pid=-1)
                self.execute = real.execute

            def close(self):
                pass

        with psycopg.connect(postgres.url, autocommit=True) as real:
            with pytest.raises(PermanentError, match="pool_mode = session"):
                PostgresStore(lambda: Pooled(real), "here", retention=None).open()  # type: ignore[arg-type,return-value]
            with psycopg.connect(postgres.url, autocommit=True) as other:  # of sessions it is none of our business
                answers = iter([Pooled(other)])
                assert not is_shared(Pooled(real), lambda: next(answers))  # type: ignore[arg-type]

    def test_a_name_too_long_for_an_index_is_bad_data(self, write):
        """Else one message of a stranger would keep all that comes at the broker, for ever."""
        name = "".join(map(chr, range(0x4E00, 0x4E00 + 5_000)))
        with pytest.raises(BadData, match="index row"):
            write(record(1, readings=[{"tag": name, "value": 1, "ts": NOW, "quality": "good"}]))
        assert write(record(2)).rows == 1

    def test_a_day_of_completeness_has_24_hours_in_every_time_zone(self, write, postgres):
        """Also for a reader in Berlin, where the clock is put forward on that day."""
        at = round(dt.datetime(2026, 3, 29, 23, 30, tzinfo=dt.UTC).timestamp() * 1000)
        readings = [{"tag": "t", "value": 1, "ts": at + ms, "quality": "good"} for ms in (0, 600_000)]
        write(record(1, ts=at, readings=readings), now=at)
        with psycopg.connect(postgres.url, options="-c timezone=Europe/Berlin") as reader:
            assert reader.execute("SELECT good_seconds FROM edge.completeness").fetchall() == [(600,)]

    def test_a_query_of_completeness_reads_the_days_it_names(self, write, sql):
        """A panel of a day must not go through a year; a value that has held since long before counts all the same."""
        begin, times = NOW // DAY * DAY, (0, 3 * DAY + 1000, 3 * DAY + 5000)
        readings = [{"tag": "t", "value": 1, "ts": begin + at, "quality": "good"} for at in times]
        write(record(1, readings=readings), now=NOW + 3 * DAY)
        asked = "SELECT good_seconds FROM completeness WHERE day = (SELECT max(day) FROM completeness)"
        assert sql(asked) == [(5,)]
        asked = f"SELECT * FROM completeness WHERE day = to_timestamp({begin / 1000 + 3 * 86400})::date"  # noqa: S608
        (plan,) = [line for (line,) in sql(f"EXPLAIN ANALYZE {asked}") if "completeness_of" in line]
        assert "rows=1 loops=1" in plan

    def test_an_upgrade_keeps_what_others_have_on_our_views(self, store, sql, older, postgres):
        """Views on a view of ours, and who may read it."""
        older(len(POSTGRES) - 1)
        with psycopg.connect(postgres.url, autocommit=True) as db:
            db.execute("CREATE VIEW public.mine AS SELECT day, expected FROM edge.completeness")
            db.execute("GRANT SELECT ON edge.completeness TO pg_monitor")
        store.open()
        assert len(sql("SELECT * FROM public.mine")) == 1
        assert sql("SELECT has_table_privilege('pg_monitor', 'edge.completeness', 'SELECT')") == [(True,)]

    def test_days_have_partitions_and_old_ones_are_dropped(self, write, sql, store):
        """From retention to tomorrow; what came before its day lies in the default one until then."""

        def one(ts):
            return [{"tag": "t", "value": 1, "ts": ts, "quality": "good"}]

        def partitions():
            return [row[0] for row in sql("SELECT DISTINCT tableoid::regclass::text FROM reading ORDER BY 1")]

        today = NOW // DAY * DAY
        write(record(1, readings=one(today)), record(2, readings=one(today + 3 * DAY)))
        assert len(partitions()) == 2
        assert partitions()[1] == "reading_rest"
        write(record(3, readings=one(today + 3 * DAY + 5)), now=NOW + 3 * DAY)
        assert "reading_rest" not in partitions()
        write(record(4, ts=NOW + 33 * DAY, readings=[]))
        assert store.sweep(NOW + 33 * DAY) == 1
        assert sql("SELECT seq FROM reading ORDER BY seq") == [(2,), (3,)]

    def test_a_trend_comes_from_the_index_alone(self, write, postgres):
        """86,400 readings of a day would be on as many pages of the table."""
        write(record(1))
        with psycopg.connect(postgres.url, autocommit=True) as db:
            db.execute("VACUUM ANALYZE edge.reading")
            db.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
            trend = "SELECT ts, value, quality FROM edge.reading WHERE tag = 1 AND ts >= '2000-01-01'"
            steps = " ".join(row[0] for row in db.execute(f"EXPLAIN {trend}"))
        assert "Index Only Scan" in steps
        assert "Index Scan" not in steps

    def test_a_database_that_cannot_keep_every_text_is_refused(self, postgres):
        """Before anything is acknowledged: 油温 would be left out, record by record."""
        url = f"{postgres.url}_ascii"
        with psycopg.connect(postgres.url, autocommit=True) as db:
            made = f"CREATE DATABASE {url.rpartition('/')[2]} ENCODING 'SQL_ASCII' TEMPLATE template0"
            db.execute(f"{made} LC_COLLATE 'C' LC_CTYPE 'C'")
        store = postgres_store(HistorianSettings.model_validate({"id": "h", "database": url}))
        with pytest.raises(PermanentError, match=r"keeps text as SQL_ASCII.*ENCODING 'UTF8'"):
            store.open()
        store.close()

    def test_whoever_leads_one_throws_old_rows_away_at_a_time(self, write, postgres, sql, store):
        """Leading is asking; a historian that does not ask sweeps as well, unless another is at it."""
        write(record(1, readings=[{"tag": "t", "value": 1, "ts": NOW, "quality": "good"}]))
        write(record(2, ts=NOW + 40 * DAY, readings=[]))
        with psycopg.connect(postgres.url) as other:
            other.execute("SELECT pg_advisory_lock(%s)", (_SWEEP,))
            assert store.sweep(NOW + 40 * DAY) == 0
        assert eventually_sync(lambda: store.sweep(NOW + 40 * DAY)) == 1
        assert sql("SELECT count(*) FROM reading") == [(0,)]

    def test_two_historians_of_one_database_store_each_record_once(self, postgres, store, sql, missing):
        """They write the same records at the same time, in another order each; one of them leads."""
        other = postgres_store(HistorianSettings.model_validate({"id": "o", "database": postgres.url}))
        other.open()
        try:
            items = [record(seq, low=seq, device=f"d-{seq % 5}", epoch=f"E{seq % 3}") for seq in range(1, 200)]

            def work(own, order):
                for first in range(0, len(order), 7):
                    own.write(order[first : first + 7], NOW)

            threads = [threading.Thread(target=work, args=one) for one in ((store, items), (other, items[::-1]))]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert sql("SELECT count(*), count(DISTINCT (stream, seq)) FROM reading") == [(199, 199)]
            assert [store.leads(), other.leads(), store.leads()] == [True, False, True]
            store.close()
            eventually_sync(other.leads, what="the other one leads")
        finally:
            other.close()
