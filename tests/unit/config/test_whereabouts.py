"""A command finds the running agent although the file has been edited into something that does not load."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config.whereabouts import data_dir_of
from agent.core.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("agent: {id: gw-01, data_dir: ./data}\n", "data"),
        ("agent:\n  data_dir: /var/lib/edge\n  idd: x\n", "/var/lib/edge"),  # a mistake beside it
        ("agent: {id: gw-01, data_dir: '${WHERE}/x'}\n", "there/x"),
        ("agent: {id: gw-01}\n", "/data"),
        ("devices: {}\n", "/data"),
        ("agent:\n  id: gw-01\n  data_dir: my data  # here\ndevices: {a: [}\n", "my data"),  # no YAML any more
        ('agent: {data_dir: "./d, e", id: [}\n', "d, e"),
    ],
)
def test_data_dir_is_found_whatever_else_is_wrong(tmp_path, text, found):
    """Relative to the file, with environment variables, else the default."""
    file = tmp_path / "agent.yaml"
    file.write_text(text)
    assert data_dir_of(file, {"WHERE": "there"}) == tmp_path / found


@pytest.mark.parametrize("text", [None, "agent: {id: [}\n", "agent: {id: gw-01, data_dri: there}\n"])
def test_nothing_to_be_found_is_a_mistake_of_the_file(tmp_path, text):
    """A file that is missing, or neither YAML nor naming a data_dir, or misspells it: /data may be another agent's."""
    file = Path(tmp_path / "agent.yaml")
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigError, match=r"agent\.yaml"):
        data_dir_of(file)
