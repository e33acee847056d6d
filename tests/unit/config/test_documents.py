"""The reference configuration, the examples, the documentation and the schema say what the models say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from agent.config import reference
from agent.config import yaml as our_yaml
from agent.config.editors import schemas
from agent.config.loader import load
from agent.config.schema import config_schema
from agent.config.summary import warnings
from tests.unit.config.broken import BROKEN

ROOT = Path(__file__).parents[3]
DOC = ROOT / "docs" / "configuration.md"
ENVIRON = {"HOSTNAME": "gw-01", "HTTP_PORT": "8080", "BROKER": "broker.example", "MQTT_PASSWORD": "x"}
PLANTS = {
    "plant.yaml",
    "historian.yaml",
    "tutorial-plant.yaml",
}  # a description for `edge-agent simulate`, and a historian's
CONFIGS = [*sorted((ROOT / "configs").glob("*.yaml"))]
CONFIGS += [path for path in sorted((ROOT / "configs" / "examples").glob("*.yaml")) if path.name not in PLANTS]


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """The schema of the configuration."""
    return config_schema()


def keys(schema: dict[str, Any]) -> Iterator[str]:
    """Every key of every mapping in the schema."""
    yield from schema["properties"]
    for definition in schema["$defs"].values():
        yield from definition.get("properties", {})


# --- configs/ ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_shipped_configurations_load(path: Path):
    """Every configuration that is shipped is right as it stands."""
    assert load(path, {}).config.devices


def test_the_reference_gives_no_warnings():
    """The commented reference is an example to follow."""
    assert warnings(load(ROOT / "configs" / "agent.yaml", {}).config) == []


def test_the_reference_has_every_key(schema: dict[str, Any]):
    """Each key of each model occurs in the commented reference, in use or in a comment."""
    files = [ROOT / "configs" / "agent.yaml", *sorted((ROOT / "configs" / "devices").glob("*.yaml"))]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    missing = [key for key in keys(schema) if not re.search(rf"(^|[{{,#\s]){key}:", text, re.MULTILINE)]
    assert missing == []


def test_the_defaults_in_the_reference_are_the_defaults():
    """The reference says it shows defaults where it says nothing else: taking them out changes nothing."""
    config = load(ROOT / "configs" / "agent.yaml", {}).config
    assert config.outbox == type(config.outbox)()
    assert config.log == type(config.log)()
    assert config.http == type(config.http)()  # type: ignore[misc]
    plant = config.publishers["plant"]
    least = type(plant)(type="mqtt", url="mqtt://h")  # type: ignore[call-arg]
    for key in ("version", "keep_alive", "connect_timeout", "qos", "window", "max_message_bytes", "topic", "root"):
        assert getattr(plant, key) == getattr(least, key), key
    assert plant.replay.order == least.replay.order
    assert plant.devices == least.devices


# --- docs/ ------------------------------------------------------------------------------------------------------------


def blocks(path: Path, language: str) -> list[tuple[str, str]]:
    """Fenced blocks of a document: the file each stands for, and its text."""
    found = re.findall(
        rf"(?:<!-- ([\w./-]+) -->\n)?```{language}\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL
    )
    return [(name, text) for name, text in found]


def test_the_tables_are_in_step():
    """docs/configuration.md is what the models say today: run `python -m agent.config.reference`."""
    text = DOC.read_text(encoding="utf-8")
    assert reference.put_in(text) == text


def test_every_example_loads(tmp_path):
    """Every YAML example of the documentation is right, those that belong together as files of one configuration."""
    examples = blocks(DOC, "yaml")
    assert len(examples) >= 5
    table, meters = blocks(DOC, "csv")
    for number, (name, text) in enumerate(examples):
        folder = tmp_path / str(number)
        if name == "meters.yaml":
            (tmp_path / meters[0]).write_text(meters[1], encoding="utf-8")
            (tmp_path / name).write_text(text, encoding="utf-8")
            assert len(load(tmp_path / name, ENVIRON).config.devices) == 4
        if name and name != "agent.yaml":
            continue
        (folder / "devices").mkdir(parents=True)
        (folder / "agent.yaml").write_text(text, encoding="utf-8")
        (folder / "devices" / table[0]).write_text(table[1], encoding="utf-8")
        for other, content in examples:
            if name and other and other != "agent.yaml":
                (folder / other).write_text(content, encoding="utf-8")
        config = load(folder / "agent.yaml", ENVIRON).config
        if name:
            assert set(config.devices["press-01"].tag_table) == {"running", "motor_current", "motor_speed", "mode"}


def test_the_examples_of_the_readme_load(tmp_path):
    """The first configuration of the README is right."""
    for _, text in blocks(ROOT / "README.md", "yaml"):
        (tmp_path / "agent.yaml").write_text(text, encoding="utf-8")
        assert load(tmp_path / "agent.yaml", ENVIRON).config.devices


# --- the schema -------------------------------------------------------------------------------------------------------


def test_it_is_a_schema(schema: dict[str, Any]):
    """What `edge-agent schema config` prints is JSON Schema of the draft it names."""
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_shipped_configurations_fit_the_schema(path: Path, schema: dict[str, Any]):
    """What loads fits the schema."""
    value = our_yaml.parse(path.read_text(encoding="utf-8"), path.name, {}, [])
    assert [error.message for error in Draft202012Validator(schema).iter_errors(_plain(value))] == []


def test_variables_fit_the_schema(schema: dict[str, Any]):
    """`${NAME}` may stand where a number is wanted."""
    value = {"agent": {"id": "gw"}, "http": {"port": "${PORT}"}, "log": {"level": "${LEVEL}"}}
    assert Draft202012Validator(schema).is_valid(value)


def test_broken_configurations_do_not_fit(schema: dict[str, Any]):
    """Of the broken configurations that are YAML at all, most fail the schema, too: an editor shows them early."""
    validator = Draft202012Validator(schema)
    values = [value for one in BROKEN if (value := our_yaml.parse(one.text, "f", {"EDGE_TEXT": "x"}, [])) is not None]
    refused = [value for value in values if not validator.is_valid(_plain(value))]
    assert len(refused) > len(values) / 2


def _plain(value: object) -> object:
    """Data as JSON knows it: keys are text."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value


# --- editors ----------------------------------------------------------------------------------------------------------


def test_the_schemas_of_editors_are_in_step():
    """docs/schema/ is what the models say today: run `python -m agent.config.editors`."""
    for name, text in schemas().items():
        assert (ROOT / "docs" / "schema" / name).read_text(encoding="utf-8") == text


EDITED = sorted(path for path in (ROOT / "configs").rglob("*.yaml") if not PLANTS & {path.name})
EDITED.append(ROOT / "deploy" / "compose" / "agent.yaml")


@pytest.mark.parametrize("path", EDITED, ids=lambda path: path.name)
def test_every_shipped_file_names_its_schema(path: Path):
    """The first line tells editors the schema, which is there, and which the file fits."""
    text = path.read_text(encoding="utf-8")
    header = text.partition("\n")[0]
    assert header.startswith("# yaml-language-server: $schema=")
    named = (path.parent / header.partition("$schema=")[2]).read_text(encoding="utf-8")
    value = our_yaml.parse(text, path.name, {}, [])
    assert [error.message for error in Draft202012Validator(json.loads(named)).iter_errors(_plain(value))] == []
