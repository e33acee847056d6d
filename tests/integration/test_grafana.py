"""deploy/grafana: every query of every panel runs on the historian's database, and brings what is in it."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.historian.config import HistorianSettings
from agent.historian.stores.postgres import postgres_store
from agent.runtime.myself import TAGS
from tests.support.historian import gap, record, status

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "grafana"
DASHBOARDS = {path.stem: json.loads(path.read_text()) for path in sorted((FOLDER / "dashboards").glob("*.json"))}
PANELS = [(name, panel) for name, dashboard in DASHBOARDS.items() for panel in dashboard["panels"]]
NAMES = [f"{name}: {panel['title']}" for name, panel in PANELS]
#: What Grafana writes for a macro (PostgreSQL data source), and for a variable.
MACROS = (
    (r"\$__timeGroupAlias\(([^,]+), [^)]+\)", r"date_bin('15m', \1, 'epoch') AS time"),
    (r"\$__timeFilter\(([^)]+)\)", r"\1 BETWEEN '-infinity' AND 'infinity'"),
    (r"\$__timeFrom\(\)", "timestamptz '-infinity'"),
    (r"\$__timeTo\(\)", "timestamptz 'infinity'"),
    (r"\$device\b", "press-01"),
    (r"\$tag\b", "'t'"),
    (r"\$agent\b", "'gw-01'"),
)


def asked(sql: str) -> str:
    """The query as the database gets it."""
    for macro, text in MACROS:
        sql = re.sub(macro, text, sql)
    assert "$" not in sql
    return sql


@pytest.fixture
def filled(postgres: Any) -> Any:
    """A database with a bit of everything, of now."""
    now = time.time_ns() // 1_000_000
    store = postgres_store(HistorianSettings.model_validate({"id": "h", "database": postgres.url}))
    store.open()
    bad = {"tag": "t", "value": None, "ts": now, "quality": "bad", "code": "BadNoCommunication", "reason": "silent"}
    own = [{"tag": one.tag, "value": 1, "ts": now, "quality": "good"} for one in TAGS]
    device = {"state": "degraded", "session": "s", "reason": "silent", "since": now, "last_good": now, "ts": now}
    agent = {
        "state": "offline", "session": "s", "version": "1", "publisher": "plant", "resend": True, "shard": "0/1",
        "config": {"effective": "a", "attempted": "a", "error": None}, "ts": now, "streams": {},
    }  # fmt: skip
    store.write(
        [
            record(1, readings=[{"tag": "t", "value": 1.5, "ts": now - 1, "quality": "good"}]),
            record(2, readings=[bad]),
            record(9, low=9, readings=[bad | {"ts": now + 1}]),
            gap("dropped", 3, 4),
            record(1, readings=own, device="_agent"),
            *status(device, "edge/plant/press-01/status"),
            *status(agent, "edge/agents/gw-01/status"),
        ],
        now,
    )
    store.close()
    return postgres


def test_every_panel_asks_for_what_is_there(filled: Any) -> None:
    """Each query runs and brings a row; those over time bring a time, a name and a number."""
    import psycopg

    with psycopg.connect(filled.url) as connection:
        for name, (_, panel) in zip(NAMES, PANELS, strict=True):
            [target] = panel["targets"]
            cursor = connection.execute(asked(target["rawSql"]))
            rows = cursor.fetchall()
            assert rows, name
            assert cursor.description is not None
            columns = [column.name for column in cursor.description]
            if target["format"] == "time_series":
                assert columns == ["time", "metric", "value"], name
        for dashboard in DASHBOARDS.values():
            for variable in dashboard["templating"]["list"]:
                assert connection.execute(asked(variable["query"])).fetchall(), variable["name"]


def test_dashboards_are_provisioned() -> None:
    """They ask the data source that is provisioned; uids and ids are one each; variables that are used exist."""
    [source] = yaml.safe_load((FOLDER / "provisioning" / "datasources" / "edge.yaml").read_text())["datasources"]
    assert len({one["uid"] for one in DASHBOARDS.values()}) == len(DASHBOARDS) == 4
    for name, dashboard in DASHBOARDS.items():
        text = json.dumps(dashboard)
        assert set(re.findall(r'"datasource": \{"type": "([^"]+)", "uid": "([^"]+)"', text)) == {
            (source["type"], source["uid"])
        }
        assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
        given = {one["name"] for one in dashboard["templating"]["list"]}
        assert set(re.findall(r"\$(?!__)(\w+)", text)) == given, name


def test_the_agents_own_figures_are_all_shown() -> None:
    """Each tag of the device `_agent` stands in a panel, and no other."""
    text = json.dumps(DASHBOARDS["agent"])
    shown = {name for names in re.findall(r"t\.name IN \(([^)]*)\)", text) for name in re.findall(r"'(\w+)'", names)}
    assert shown == {one.tag for one in TAGS}
