"""docs/messages.md says what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest

from agent.collectors.modbus.blocks.reactions import reaction_to
from agent.core.flow import Reading
from agent.core.quality import is_status_name, name_of
from agent.encoders.common.messages import ReadingsMessage
from tests.support.messages import KINDS, message_schema

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "messages.md").read_text()
EXAMPLES = re.findall(r"^```json (\w+)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def test_every_kind_of_message_has_an_example() -> None:
    """No kind of message is left out."""
    assert {kind for kind, _ in EXAMPLES} == set(KINDS)


@pytest.mark.parametrize(("kind", "example"), EXAMPLES)
def test_examples_validate(kind: str, example: str) -> None:
    """Each example is a message the published schema accepts, and its status codes are consistent."""
    content = json.loads(example)
    jsonschema.validate(content, message_schema(kind))
    for reading in content.get("readings", []) if kind == "readings" else []:
        if "code" in reading:
            assert name_of(reading["status"]) == reading["code"]


def test_every_field_of_readings_is_explained() -> None:
    """Each field of envelope and reading stands in a table."""
    explained = {
        name for row in re.findall(r"^\| (`.*?) \|", TEXT, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    }
    fields = {*ReadingsMessage.__struct_fields__, *Reading.__struct_fields__} - {"readings"}
    assert fields <= explained


def test_status_codes_exist_and_modbus_rows_are_the_collector_s() -> None:
    """The tables name codes of the standard, and what the Modbus collector really says."""
    rows = re.findall(r"^\| (.*?) \| ((?:Bad|Uncertain)\w+)", TEXT, re.MULTILINE)
    assert rows
    for what, code in rows:
        assert is_status_name(code)
        if number := re.match(r"exception (\w\w),", what):
            assert name_of(reaction_to(int(number[1], 16)).status) == code
    assert name_of(reaction_to(0x41).status) == dict(rows)["any other exception"]
