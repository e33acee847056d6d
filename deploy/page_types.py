# noqa: INP001 - a script
"""TypeScript types of the page, from the OpenAPI document: python deploy/page_types.py > agent/web/page/api/types.ts.

A test holds the file against what this writes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

_HEAD = "// What the API answers. Made from its OpenAPI document by deploy/page_types.py: do not edit.\n"
_PLAIN = {"integer": "number", "number": "number", "string": "string", "boolean": "boolean", "null": "null"}


def written(schema: Mapping[str, Any] | bool) -> str:
    """One schema as a type."""
    if isinstance(schema, bool) or not schema.keys() - {"description", "default", "title", "examples"}:
        return "unknown"
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema:
        return " | ".join(json.dumps(one) for one in schema["enum"])
    several = schema.get("anyOf") or schema.get("oneOf")
    if several is None and isinstance(schema.get("type"), list):
        several = [{**schema, "type": one} for one in schema["type"]]
    if several is not None:
        return " | ".join(dict.fromkeys(written(one) for one in several))
    return _of_kind(schema, str(schema.get("type")))


def _of_kind(schema: Mapping[str, Any], kind: str) -> str:
    if kind == "array" and "prefixItems" in schema:
        return f"[{', '.join(written(one) for one in schema['prefixItems'])}]"
    if kind == "array":
        inner = written(schema.get("items", {}))
        return f"({inner})[]" if "|" in inner else f"{inner}[]"
    if kind == "object" and "properties" not in schema:
        return f"Record<string, {written(schema.get('additionalProperties', {}))}>"
    if kind == "object":
        return f"{{ {' '.join(_members(schema))} }}"
    return _PLAIN[kind]


def _members(schema: Mapping[str, Any]) -> Iterator[str]:
    required = schema.get("required", ())
    for name, one in schema["properties"].items():
        yield f"{name}{'' if name in required else '?'}: {written(one)};"


def types(document: Mapping[str, Any]) -> str:
    """The whole file."""
    parts = [_HEAD]
    for name, schema in document["components"]["schemas"].items():
        if "properties" in schema:
            lines = "".join(f"  {line}\n" for line in _members(schema))
            parts.append(f"export interface {name} {{\n{lines}}}\n")
        else:
            parts.append(f"export type {name} = {written(schema)};\n")
    return "\n".join(parts)


if __name__ == "__main__":
    from agent.web.openapi import document as made

    sys.stdout.write(types(made()))
