from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent.config.whereabouts import data_dir_of, is_historian
from agent.core.errors import ConfigError
from agent.historian.config import HistorianConfig
from agent.historian.intake import filters
from agent.historian.loading import load_historian

ROOT = Path(__file__).parents[3]
SMALL = """
historian: {id: hist-01, data_dir: ./data, database: "sqlite:///plant.db"}
sources: {plant: {type: mqtt, url: "mqtt://127.0.0.1:1883"}}
"""
DESIGNED = """
historian:
  id: hist-01
  data_dir: ./data
  database: postgresql://edge@db.plant.local/plant
  password_file: secret
  tls: {ca_file: secret}
  retention: null
  group: plant
  repair: false
sources:
  plant: {type: mqtt, url: mqtts://broker.plant.local:8883, root: edge, topics: ["{root}/#"], session_expiry: 7d}
  other: {url: "mqtt://127.0.0.1", username: h, password_file: secret, proxy: "socks5://127.0.0.1", client_id: x}
plant: {equipment: 42, time_zone: Asia/Shanghai, calendar: null}
http: {host: 127.0.0.1, port: 8081}
log: {level: info, format: json}
"""


@pytest.fixture
def load(tmp_path):
    def load(text):
        (tmp_path / "secret").write_text("x")
        path = tmp_path / "historian.yaml"
        path.write_text(text)
        return load_historian(path, {}).config

    return load


def test_the_shipped_example_and_those_of_the_documentation_load(load):
    """As they stand."""
    assert load_historian(ROOT / "configs" / "examples" / "historian.yaml", {}).warnings == []
    page = (ROOT / "docs" / "historian.md").read_text(encoding="utf-8")
    for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL):
        assert load(text).historian.id == "hist-01"


def test_every_key_of_the_configuration_stands_in_the_documentation():
    """But for those of a broker's connection, which stand in configuration.md."""
    page = (ROOT / "docs" / "historian.md").read_text(encoding="utf-8")
    for section, model in HistorianConfig.model_fields.items():
        assert f"`{section}" in page, section
        keys = getattr(model.annotation, "model_fields", {}) if section in ("historian", "plant") else {}
        assert [key for key in keys if key not in page] == []


def test_defaults_and_everything_that_can_be_written(load):
    """Relative files start at data_dir, and that at the file's folder."""
    small, all_of_it = load(SMALL), load(DESIGNED)
    assert small.historian.sqlite_path.parts[-2:] == ("data", "plant.db")
    assert (small.historian.retention, small.historian.repair, small.http.port) == (365 * 86400, True, 8081)
    assert small.sources["plant"].filters() == ["edge/#"]
    assert small.sources["plant"].max_incoming_bytes == 16 << 20
    assert all_of_it.historian.retention is None
    assert load(SMALL.replace("sqlite:///plant.db", "sqlite:////srv/x.db")).historian.shown == "/srv/x.db"
    assert list(all_of_it.sources) == ["plant", "other"]


def test_commands_tell_its_file_from_an_agents(tmp_path, load):
    """By its key `historian:`."""
    load(SMALL)
    assert is_historian(tmp_path / "historian.yaml", {})
    assert data_dir_of(tmp_path / "historian.yaml", {}) == tmp_path / "data"
    (tmp_path / "agent.yaml").write_text("agent: {id: gw}")
    assert not is_historian(tmp_path / "agent.yaml", {})
    assert not is_historian(tmp_path / "nothing.yaml", {})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("sqlite:///plant.db", "mysql://x/y"), "unsupported database 'mysql://x/y'"),
        (("sqlite:///plant.db", "plant.db"), "write sqlite:///plant.db, or postgresql://"),
        (("sqlite:///plant.db", "sqlite://plant.db"), "names no file"),
        (("sqlite:///plant.db", "postgresql://u:secret@h/d"), "a literal password is refused"),
        (("sqlite:///plant.db", "postgresql://h/d?sslmode=disable"), "unknown parameter 'sslmode'"),
        (("data_dir:", "group: g, data_dir:"), "group: needs PostgreSQL"),
        (("data_dir:", "tls: {}, data_dir:"), "SQLite has no password and no TLS"),
        (("type: mqtt", "type: mqtt, encoder: {type: sparkplug_b}"), "carries no (epoch, seq)"),
        (("type: mqtt", 'type: mqtt, topics: ["spBv1.0/#"]'), "is Sparkplug B"),
        (("type: mqtt", 'type: mqtt, topics: ["$share/g/edge/#"]'), "shared subscription"),
        (("type: mqtt", 'type: mqtt, topics: ["a/#/b"]'), "is no topic filter"),
        (("type: mqtt", "type: mqtt, topics: []"), "an empty list brings nothing"),
        (("type: mqtt", "type: mqtt, qos: 1"), "is not a key"),
        (("type: mqtt", "type: mqtt, password_file: nowhere, username: x"), "there is no file"),
        (('{plant: {type: mqtt, url: "mqtt://127.0.0.1:1883"}}', "{}"), "`sources` is empty"),
        (("sources:", "x-more:"), "sources"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_mistakes_teach(load, change, words):
    """Where, what, and what to write instead; all in one error."""
    with pytest.raises(ConfigError) as caught:
        load(SMALL.replace(*change))
    assert words in str(caught.value)
    assert "historian.yaml:" in str(caught.value)


def test_a_secret_of_the_database_is_not_shown(load):
    """Neither from the URL nor from a file."""
    shown = load(DESIGNED.replace("/plant\n", "/plant?application_name=x\n", 1)).historian.shown
    assert shown == "postgresql://edge@db.plant.local/plant"


def test_a_group_shares_records_and_hears_what_is_retained_by_itself():
    """A shared subscription brings no retained message: status and catalogue are listened to at eight depths."""
    found = filters(["edge/#"], "edge", "g")
    assert found[0] == "$share/g/edge/#"
    assert {"edge/+/status", "edge/+/+/+/+/+/+/+/+/status", "edge/+/+/tags/+", "edge/agents/+/streams/+"} <= set(found)
    assert filters(["edge/#"], "edge", None) == ["edge/#"]
