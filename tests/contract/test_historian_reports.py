"""A report out of each of the historian's databases: the same figures, told by one suite for the twins."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3

import pytest

from agent.cli.report import Wanted, report
from agent.core.ids import ulid
from agent.historian.gone import _gaps
from agent.historian.loading import load_historian
from agent.historian.report.facts import day_of
from agent.historian.report.making import make
from agent.historian.report.queries import _AGES, _BEFORE, _LAST, _READINGS, _STATES, _STREAMS, ask_facts
from agent.historian.stores.asking import _AT, _MS, asking
from agent.historian.stores.choice import store_of
from tests.support.historian import PATH, envelope, gap, status

pytestmark = pytest.mark.usefixtures("filled")

ZONE = dt.timezone(dt.timedelta(hours=8))
BEGIN = round(dt.datetime(2024, 11, 28, tzinfo=ZONE).timestamp() * 1000)
HOUR, MINUTE = 3_600_000, 60_000
EPOCH = ulid(BEGIN - 2 * HOUR, of="a test")
LATER = BEGIN + 40 * HOUR


class ReportContract:
    """`database` is the URL of an empty one."""

    @pytest.fixture
    def config(self, tmp_path, database):
        file = tmp_path / "historian.yaml"
        file.write_text(
            f"historian: {{id: hist, data_dir: {tmp_path}, database: '{database}'}}\n"
            "sources: {plant: {type: mqtt, url: 'mqtt://127.0.0.1:1'}}\n"
            "plant: {equipment: 4, time_zone: Asia/Shanghai}\n"
        )
        return file

    @pytest.fixture
    def filled(self, config):
        """A reading each minute from the evening before, without 10:00 to 11:00, which is declared lost."""
        store = store_of(load_historian(config).config.historian)
        store.open()
        tags = {"version": 1, "tags": [{"tag": "t", "type": "float64", "unit": "Cel", "interval": MINUTE}]}
        device = {"state": "online", "session": "s", "reason": None, "since": None, "last_good": None}
        online = {"state": "online", "session": "s", "version": "0.2.0", "config": "abc", "mqtt": "5", "shard": "1/1"}
        items = []
        for count, at in enumerate(range(BEGIN - 2 * HOUR, BEGIN + 26 * HOUR, MINUTE), 1):
            if not 10 * HOUR <= at - BEGIN < 11 * HOUR:
                reading = {"tag": "t", "value": 1.5, "ts": at, "quality": "good", "unit": "Cel"}
                items += _read(envelope(count, epoch=EPOCH, readings=[reading], ts=at), "readings")
            if count == 1:
                items += _read(tags, "tags")
                items += [_at(one, at) for one in status(online, "edge/agents/gw-01/status")]
            if count % 30 == 1:
                counts = {"due": count, "done": count, "late": 0}
                items += [_at(one, at) for one in _read(device | {"scans": counts, "readings": count}, "status")]
            if count % 60 == 0:
                store.write(items, at + 100)
                items = []
        lost = gap("dropped", 721, 780, EPOCH)
        lost.notice.from_ts, lost.notice.to_ts = BEGIN + 10 * HOUR, BEGIN + 11 * HOUR - 1
        lost.notice.records = lost.notice.readings = 60
        again = gap("lost", 700, 780, EPOCH)  # declared once more, with numbers that came: nothing counts twice
        again.notice.from_ts = again.notice.to_ts = BEGIN + 12 * HOUR
        again.notice.records = 81
        store.write([lost, again], LATER)
        store.close()

    def test_the_day_as_it_was(self, config):
        """Good time, scans, age, loss and both rates, to the last scan."""
        made = make(load_historian(config).config, dt.date(2024, 11, 28), "en", LATER).figures
        assert made["networked"] == {"numerator": 1, "denominator": 4, "rate": 0.25, "by_plant": True}
        assert made["collected"] == {"numerator": 1380, "denominator": 1440, "rate": round(1380 / 1440, 6)}
        (device,) = made["devices"]
        tag_age = device["tags"][0].pop("age_ms")
        assert tag_age == device["age_ms"]
        assert device["tags"] == [
            {"tag": "t", "unit": "Cel", "good_s": 23 * 3600 + 0.0, "good": round(23 / 24, 6), "expected": 1440,
             "arrived": 1380, "readings": 1380, "good_readings": 1380}
        ]  # fmt: skip
        assert 100 < device["age_ms"]["p50"] < device["age_ms"]["p95"] <= device["age_ms"]["p99"] < 4_000_000
        assert (device["agent_readings"], device["database_readings"], device["short"]) == (1531, 1500, 0)
        assert [(one["kind"], one["seconds"], one["records"]) for one in made["gaps"]] == [
            ("dropped", 3599.999, 60), ("lost", 0, 81)
        ]  # fmt: skip
        assert made["differences"] == []
        assert [(one["version"], one["config"]) for one in made["agents"]] == [("0.2.0", "abc")]

    def test_files_are_verified(self, config, tmp_path, capsys, drop):
        """Exit 0 as long as file and database say the same; then 1, naming what differs."""
        for form in ("html", "csv", "json"):
            file = tmp_path / f"day.{form}"
            assert report(config, Wanted("2024-11-28", "zh", file, None)) == 0
            assert report(config, Wanted(None, "en", None, file)) == 0
            data = file.read_bytes()
            file.write_bytes(data.replace(*((b"1,380", b"1,440") if form == "html" else (b"1380", b"1440"))))
            capsys.readouterr()
            assert report(config, Wanted(None, "en", None, file)) == 1
            assert "1440" in capsys.readouterr().err.replace(",", "")
            file.write_bytes(data)
        drop("DELETE FROM reading WHERE seq = 500")
        for form in ("html", "csv", "json"):
            assert report(config, Wanted(None, "en", None, tmp_path / f"day.{form}")) == 1
            assert "1379" in capsys.readouterr().err.replace(",", "")

    def test_what_begins_after_the_day_changes_nothing_of_it(self, config, tmp_path):
        """The agent starts anew and a device is added: a report made before is still what the database says."""
        file = tmp_path / "day.json"
        assert report(config, Wanted("2024-11-28", "en", file, None)) == 0
        assert json.loads(file.read_text())["figures"]["devices"][0]["agent_readings"] == 1531
        late = [{"tag": "t", "value": 1.5, "ts": LATER, "quality": "good", "unit": "Cel"}]
        items = _read(envelope(1, epoch=ulid(LATER), readings=late, ts=LATER), "readings")
        items += status(envelope(1, device="new", epoch=ulid(LATER), readings=late, ts=LATER), "edge/new/readings")
        store = store_of(load_historian(config).config.historian)
        store.open()
        store.write(items, LATER + 100)
        store.close()
        assert report(config, Wanted(None, "en", None, file)) == 0

    def test_a_start_anew_ends_what_was_good_also_where_its_declaration_never_came(self, config):
        """A broker may lose the `down` gap: from the last reading before to the new epoch nothing was collected."""
        items = []
        for at, epoch in ((BEGIN + 26 * HOUR, EPOCH), (BEGIN + 30 * HOUR, ulid(BEGIN + 30 * HOUR))):
            reading = {"tag": "rare", "value": 1.5, "ts": at, "quality": "good", "unit": "Cel"}
            items += _read(envelope(1 if epoch != EPOCH else 2000, epoch=epoch, readings=[reading], ts=at), "readings")
        store = store_of(load_historian(config).config.historian)
        store.open()
        store.write(items, LATER)
        loaded = load_historian(config).config
        made = make(loaded, dt.date(2024, 11, 29), "en", BEGIN + 49 * HOUR).figures
        assert [(one["kind"], one["seconds"]) for one in made["gaps"]] == [("down", 4 * 3600)]
        assert next(tag["good_s"] for tag in made["devices"][0]["tags"] if tag["tag"] == "rare") == 18 * 3600
        told = gap("down", None, 2000, EPOCH)  # now it comes: it counts, and nothing counts twice
        told.notice.from_ts, told.notice.to_ts = BEGIN + 26 * HOUR, BEGIN + 29 * HOUR
        store.write([told], LATER)
        store.close()
        made = make(loaded, dt.date(2024, 11, 29), "en", BEGIN + 49 * HOUR).figures
        assert [(one["kind"], one["seconds"]) for one in made["gaps"]] == [("down", 3 * 3600)]

    def test_what_an_operator_calls_gone_stays_a_loss_of_its_day(self, config):
        """It was missing on the day of the record before it, and is lost on the same one, not when somebody said so."""
        at, epoch = BEGIN + 23 * HOUR, ulid(BEGIN)
        items = []
        for seq in (*range(1, 11), *range(21, 31)):
            reading = {"tag": "t", "value": 1.5, "ts": at + seq * 1000, "quality": "good"}
            told = envelope(seq, low=seq, device="away", epoch=epoch, readings=[reading], ts=at + seq * 1000)
            items += status(told, "edge/away/readings")
        store = store_of(load_historian(config).config.historian)
        store.open()
        store.write(items, at + HOUR)
        assert self._lost(config, 28) == (0, 10)
        store.write(list(_gaps(store.holes(100), LATER)), LATER)
        store.close()
        assert (self._lost(config, 28), self._lost(config, 29)) == ((10, 0), (0, 0))

    def _lost(self, config, day):
        made = make(load_historian(config).config, dt.date(2024, 11, day), "en", LATER + 24 * HOUR).figures
        return next((one["lost"], one["missing"]) for one in made["devices"] if one["device"] == "away")

    def test_of_old_losses_only_those_are_asked_for_that_count(self, config):
        """Those of the newest epoch, however old: the agent's count is compared with what it lost since it began."""
        store = store_of(load_historian(config).config.historian)
        store.open()
        for days, epoch in enumerate((EPOCH, ulid(1), ulid(2)), 40):
            one = gap("dropped", 1, days, epoch)
            one.notice.from_ts = one.notice.to_ts = BEGIN - days * 24 * HOUR
            store.write([one], LATER)
        store.close()
        settings = load_historian(config).config.historian
        with asking(settings) as ask:
            losses = ask_facts(ask, day_of(dt.date(2024, 11, 28), "Asia/Shanghai", LATER), None, []).losses
        assert [(one.epoch, one.to_seq) for one in losses] == [(EPOCH, 40), (EPOCH, 780), (EPOCH, 780)]

    def test_a_day_that_is_none(self, config, tmp_path, capsys):
        """In words: no date, not begun, and a file whose day was changed."""
        for day, word in (("tomorrow", "is no date"), ("9999-12-31", "has not begun")):
            assert report(config, Wanted(day, "en", None, None)) == 2
            assert word in capsys.readouterr().err
        file = tmp_path / "day.csv"
        assert report(config, Wanted("2024-11-28", "en", file, None)) == 0
        file.write_bytes(file.read_bytes().replace(b"day=2024-11-28", b"day=2024-13-28"))
        assert report(config, Wanted(None, "en", None, file)) == 1
        assert "does not say which report" in capsys.readouterr().err

    def test_json_carries_the_figures(self, config, tmp_path):
        """And their SHA-256."""
        file = tmp_path / "day.json"
        assert report(config, Wanted("2024-11-28", "en", file, None)) == 0
        found = json.loads(file.read_text())
        assert len(found["sha256"]) == 64
        assert found["figures"]["collected"]["numerator"] == 1380


class TestSqlite(ReportContract):
    @pytest.fixture
    def database(self):
        return "sqlite:///plant.db"

    @pytest.fixture
    def drop(self, tmp_path):
        def execute(sql: str) -> None:
            with sqlite3.connect(tmp_path / "plant.db") as db:
                db.execute(sql)
            db.close()

        return execute

    def test_a_day_is_found_in_years_of_states(self, tmp_path):
        """Along the index: without it each state of a device was compared with every other one, for minutes."""
        sql = _AT.sub(r"\1", _MS.sub(r"\1", _STATES))
        with sqlite3.connect(tmp_path / "plant.db") as db:
            given = {"begin": 0, "until": 1, "made": 1}
            steps = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", given)]
        db.close()
        looks = [step for step in steps if step.startswith(("SEARCH", "SCAN")) and step.split()[1] in "sabn"]
        assert len(looks) == 4
        along = "USING COVERING INDEX", "device_state_path (path=? AND at>? AND at<?)"
        assert all(any(way in step for way in along) for step in looks)

    @pytest.mark.parametrize("sql", [_BEFORE, _READINGS, _STREAMS, _AGES, _LAST])
    def test_of_years_of_readings_and_arrivals_only_the_day_is_read(self, tmp_path, sql):
        """For the newest reading before it all there are were gone through: 3 s for two days of them."""
        given = dict.fromkeys(("begin", "until", "back", "made", "at", "stream"), 1)
        with sqlite3.connect(tmp_path / "plant.db") as db:
            plan = db.execute("EXPLAIN QUERY PLAN " + _AT.sub(r"\1", _MS.sub(r"\1", sql)), given)
            steps = [row[3] for row in plan]
        db.close()
        assert [step for step in steps if step.startswith(("SCAN r", "SCAN a"))] == []
        assert any(step.startswith(("SEARCH r", "SEARCH a")) for step in steps)


class TestPostgres(ReportContract):
    @pytest.fixture
    def database(self, postgres):
        return postgres.url

    @pytest.fixture
    def drop(self, postgres):
        return lambda sql: postgres.sql(sql.replace("DELETE", "WITH gone AS (DELETE", 1) + " RETURNING 1) TABLE gone")


def _read(document, kind):
    return status(document, f"{PATH}/{kind}")


def _at(item, at):
    item.at = at
    return item
