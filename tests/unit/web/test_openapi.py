"""The OpenAPI document: what it says is what is answered."""

from __future__ import annotations

import json

import msgspec
import pytest
from jsonschema import Draft202012Validator

from agent.web import schema
from agent.web.openapi import document
from tests.support.api_examples import FILE

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
