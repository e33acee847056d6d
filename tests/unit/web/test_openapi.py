"""The OpenAPI document: what it says is what is answered."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest
from jsonschema import Draft202012Validator

from agent.web import schema
from agent.web.openapi import document
from tests.support.api_examples import FILE

PAGE = Path(__file__).resolve().parents[3].joinpath("docs", "http.md").read_text(encoding="utf-8")
EXAMPLES = json.loads(FILE.read_text(encoding="utf-8"))
TYPES = {
    "/healthz": schema.Probe,
    "/readyz": schema.Probe,
    "/api/v1/status": schema.Status,
    "/api/v1/devices/{device}/tags": schema.Tags,
    "/api/v1/history": schema.History,
    "/api/v1/events": schema.Events,
    "/api/v1/reloads": schema.Reloads,
}


def test_every_reference_leads_somewhere() -> None:
    """Of the schemas that are named, none is missing, and none is named by nobody."""
    found = document()
    text = json.dumps(found)
    for name in found["components"]["schemas"]:
        assert f'"#/components/schemas/{name}"' in text or f"(#/components/schemas/{name})" in text, name
    named = {part.partition('"')[0] for part in text.split('"$ref": "#/components/schemas/')[1:]}
    assert named <= found["components"]["schemas"].keys()


@pytest.mark.parametrize("path", EXAMPLES)
def test_examples_are_what_the_document_says(path: str) -> None:
    """They were recorded; they fit the types, and the schemas made from them."""
    msgspec.convert(EXAMPLES[path], TYPES[path])
    found = document()
    content = found["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
    assert content["example"] == EXAMPLES[path]
    schema = content["schema"] | {"components": found["components"]}
    Draft202012Validator(schema).validate(EXAMPLES[path])


def test_the_page_about_it_asks_for_what_there_is() -> None:
    """Every path of the document, none beside them, and no parameter that is unknown."""
    paths = {path: one for path, one in document()["paths"].items() if "get" in one}
    asked = [urlsplit(path) for path in re.findall(r"`GET (/[^`]*)`", PAGE)]
    named = {}
    for one in asked:
        (path,) = [path for path in paths if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), one.path)]
        known = {parameter["name"] for parameter in paths[path]["get"]["parameters"]}
        assert {name for name, _ in parse_qsl(one.query)} <= known
        named[path] = one
    assert named.keys() == paths.keys()


def test_examples_on_that_page_are_answers() -> None:
    """Tags, and history."""
    tags, history = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))
    msgspec.convert(tags, schema.Tags)
    msgspec.convert(history, schema.History)
