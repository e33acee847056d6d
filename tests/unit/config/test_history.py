"""Whether there is a history, and the name that the agent keeps for itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config.loader import load
from agent.config.model import Config, HistorySettings
from agent.core.errors import ConfigError

DEVICE = "{type: modbus, url: tcp://10.0.0.1, tags: {t: {address: 'holding:0'}}}"


def loaded(folder: Path, text: str) -> Config:
    path = folder / "agent.yaml"
    path.write_text(f"agent: {{id: gw, data_dir: {folder}, self: true}}\n{text}", encoding="utf-8")
    return load(path, {}).config


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", HistorySettings()),
        ("http: {port: 9}\n", HistorySettings()),
        ("http: null\n", None),
        ("outbox: {disk: on_outage}\n", None),
        ("outbox: {max_bytes: 1GiB}\n", HistorySettings()),
        ("history: null\n", None),
        ("http: null\nhistory: {keep: 1h}\n", HistorySettings.model_validate({"keep": "1h"})),
        (
            "outbox: {disk: on_outage}\nhistory: {max_bytes: 1MiB}\n",
            HistorySettings.model_validate({"max_bytes": "1MiB"}),
        ),
    ],
)
def test_there_is_one_with_a_page_and_a_disk_that_may_be_written(
    tmp_path: Path, text: str, expected: HistorySettings | None
) -> None:
    """Unless something else is written."""
    assert loaded(tmp_path, text).history == expected


def test_the_agents_own_device_may_be_chosen_by_a_publisher(tmp_path: Path) -> None:
    """Alone, too."""
    text = 'publishers: {plant: {type: mqtt, url: "mqtt://b", devices: [_agent]}}\n'
    assert loaded(tmp_path, text).publishers["plant"].devices == ["_agent"]


@pytest.mark.parametrize("name", ["_agent", "_mine"])
def test_no_device_has_such_a_name(tmp_path: Path, name: str) -> None:
    """In a file or in a table."""
    with pytest.raises(ConfigError, match=f"devices.{name}.*agent's own"):
        loaded(tmp_path, f"devices: {{{name}: {DEVICE}}}\n")
    (tmp_path / "meters.csv").write_text(f"name,type,url\n{name},modbus,tcp://10.0.0.1\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=f"devices.{name}.*agent's own"):
        loaded(tmp_path, "devices_file: meters.csv\n")
