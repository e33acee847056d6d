"""What editors know of a historian's configuration."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from agent.config import yaml as our_yaml
from agent.historian.schema import historian_schema, text

ROOT = Path(__file__).parents[3]
ENVIRON = {"POD_NAME": "historian-0"}
SHIPPED = [
    ROOT / "configs" / "examples" / "historian.yaml",
    ROOT / "deploy" / "kubernetes" / "overlays" / "historian" / "config.yaml",
    ROOT / "deploy" / "compose" / "historian.yaml",
]


@pytest.fixture(scope="module")
def wrong():
    """Paths of what the schema refuses in a file."""
    Draft202012Validator.check_schema(historian_schema())
    validator = Draft202012Validator(historian_schema())

    def wrong(content):
        return [one.json_path for one in validator.iter_errors(our_yaml.parse(content, "f", ENVIRON, []))]

    return wrong


def test_the_file_for_editors_is_the_schema():
    """`python -m agent.historian.schema` writes it anew."""
    assert (ROOT / "docs" / "schema" / "historian.json").read_text(encoding="utf-8") == text()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.name)
def test_shipped_files_name_it_and_fit_it(path, wrong):
    """The first line leads to it."""
    content = path.read_text(encoding="utf-8")
    (named,) = re.findall(r"^# yaml-language-server: \$schema=(.*)$", content, re.MULTILINE)
    assert (path.parent / named).resolve() == ROOT / "docs" / "schema" / "historian.json"
    assert wrong(content) == []


def test_what_the_documentation_shows_fits_it(wrong):
    """Every block of the page about the historian."""
    page = (ROOT / "docs" / "historian.md").read_text(encoding="utf-8")
    for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL):
        assert wrong(block) == []


def test_a_slip_is_seen_while_it_is_written(wrong):
    """Unknown keys, wrong types and missing ones."""
    good = "historian: {id: h, database: 'sqlite:///p.db'}\nsources: {p: {url: 'mqtt://h'}}\n"
    assert wrong(good) == []
    assert wrong(good.replace("id: h", "id: h, repare: true")) == ["$.historian"]
    assert wrong(good.replace("id: h", "id: h, retention: often")) == ["$.historian.retention"]
    assert wrong(good.replace("id: h, ", "")) == ["$.historian"]
