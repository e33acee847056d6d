"""docs/encoders.md shows what the encoders really say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from agent.encoders.template.variables import READING_WORDS, RECORD_WORDS
from tests.unit.encoders.messages import all_messages, shown

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "encoders.md").read_text(encoding="utf-8")
SHOWN = dict(re.findall(r"^```messages ([\w-]+)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL))
SAID = all_messages()


@pytest.mark.parametrize("name", SAID)
def test_messages_are_real(name: str) -> None:
    """Each message in the document is what its encoder makes of the record the document tells of.

    `python -m tests.unit.encoders.messages` prints them all.
    """
    assert SHOWN[name] == shown(SAID[name], properties=name == "umh-properties")


def test_nothing_else_is_shown() -> None:
    """No block of messages stands there that nothing checks."""
    assert SHOWN.keys() == SAID.keys()


def test_the_record_told_of_is_the_one_encoded() -> None:
    """The json message at the top of the document is the same record."""
    [block] = re.findall(r"^```json\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    readings = json.loads(block)["readings"]
    assert [(one["tag"], one["value"]) for one in readings] == [
        (content["tag"], content["value"]) for content in (json.loads(message.payload) for message in SAID["value"])
    ]


def test_every_variable_is_explained() -> None:
    """What a shape may name stands in the tables."""
    explained = {
        name for row in re.findall(r"^\| (`.*?) \|", TEXT, re.MULTILINE) for name in re.findall(r"\{(\w+)\}", row)
    }
    assert {*READING_WORDS, *RECORD_WORDS, "readings", "tag", "device"} <= explained


def test_configurations_are_right() -> None:
    """Each YAML block is an encoder of an existing type, without unknown keys."""
    from agent.config import registry

    blocks = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 4
    for block in blocks:
        given = yaml.safe_load(block)["encoder"]
        registry.resolve(registry.ENCODERS, given["type"]).model_validate(given)
