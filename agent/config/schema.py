"""JSON Schema (draft 2020-12) of the whole configuration, with every type that is installed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from agent.config import registry
from agent.config.model import Config
from agent.settings.values import format_duration, format_rate, format_size

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_FROM_ENVIRONMENT = {"$ref": "#/$defs/FromEnvironment"}
_SCALARS = ("integer", "number", "boolean")


def config_schema() -> dict[str, Any]:
    """The schema: devices, publishers and encoders as alternatives told apart by `type`."""
    kinds = (registry.COLLECTORS, registry.PUBLISHERS, registry.ENCODERS)
    models = {kind: {name: registry.resolve(kind, name) for name in registry.known(kind)} for kind in kinds}
    every: list[type[BaseModel]] = [Config, *(model for found in models.values() for model in found.values())]
    keys, schema = models_json_schema([(model, "validation") for model in every], ref_template="#/$defs/{model}")
    definitions: dict[str, Any] = schema["$defs"]
    names = {model: keys[model, "validation"]["$ref"].rsplit("/", 1)[1] for model in every}

    encoder = _choice(models[registry.ENCODERS], names, definitions)
    for model in models[registry.PUBLISHERS].values():
        own = definitions[names[model]]["properties"]
        own["encoder"] = {**encoder, "description": own["encoder"].get("description", "")}

    root: dict[str, Any] = definitions.pop(names[Config])
    properties = root["properties"]
    for section, kind in (("publishers", registry.PUBLISHERS), ("devices", registry.COLLECTORS)):
        properties[section] = {
            "type": "object",
            "description": properties[section].get("description", ""),
            "propertyNames": {"pattern": "^[A-Za-z0-9_-]{1,64}$"},
            "additionalProperties": _choice(models[kind], names, definitions),
        }
    properties["devices"]["additionalProperties"] = _templated(properties["devices"]["additionalProperties"])
    return for_people("Configuration of edge-agent", root, definitions)


def for_people(title: str, root: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of a file as people write it: `30s`, `1GiB`, `${NAME}`, and anchors under `x-…`."""
    definitions = _reachable(root, definitions)
    for definition in (root, *definitions.values()):
        _tidy(definition.get("properties", {}))
    _let_environment_in([root, definitions])
    definitions["FromEnvironment"] = {
        "type": "string",
        "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*\}",
        "description": "Taken from the environment when the configuration is read.",
    }
    return {
        "$schema": DIALECT,
        "title": title,
        **{key: value for key, value in root.items() if key not in ("title", "$defs")},
        "patternProperties": {"^x-": {"description": "Your own: a place for anchors."}},
        "$defs": dict(sorted(definitions.items())),
    }


def _choice(models: dict[str, Any], names: dict[Any, str], definitions: dict[str, Any]) -> dict[str, Any]:
    """One of several models, told apart by `type`."""
    for name, model in models.items():
        own = definitions[names[model]]
        own["properties"]["type"] = {"const": name, "description": own["properties"]["type"].get("description", "")}
        own["required"] = sorted({"type", *own.get("required", [])})
    options = [{"$ref": f"#/$defs/{names[model]}"} for model in models.values()]
    return {
        "type": "object",
        "required": ["type"],
        "properties": {"type": {"enum": list(models)}},
        "oneOf": options,
        "discriminator": {"propertyName": "type"},
    }


def _templated(device: dict[str, Any]) -> dict[str, Any]:
    """A device as it is, or one that uses a template: what it may then leave out, the template decides."""
    about = "Name of a template; the keys beside it override the template's."
    uses = {
        "type": "object",
        "required": ["template"],
        "properties": {
            "template": {"type": "string", "description": about},
            "with": {"type": "object", "description": "Its parameters by name."},
        },
    }
    return {"if": {"required": ["template"]}, "then": uses, "else": device}


def _tidy(properties: dict[str, Any]) -> None:
    """Defaults as a user would write them; no titles that only repeat the key."""
    for name, one in properties.items():
        one.pop("title", None)
        if "default" in one:
            default = written(one.pop("default"), forms(one))
            if not isinstance(default, dict):
                one["default"] = default
        properties[name] = one


def forms(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """The alternatives of a property."""
    return [inner for one in schema["anyOf"] for inner in forms(one)] if "anyOf" in schema else [schema]


def written(value: object, allowed: Sequence[dict[str, Any]]) -> object:
    """A value in the notation its field is written in: seconds as `30s`, bytes as `1GiB`."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return value
    pattern = " ".join(one.get("pattern", "") for one in allowed)
    if "|m|h|d)" in pattern:
        return format_duration(value)
    if "iB)" in pattern:
        return format_size(int(value))
    return format_rate(value) if "/" in pattern else value


def _reachable(root: object, definitions: dict[str, Any]) -> dict[str, Any]:
    """The definitions that are used: the abstract bases are not."""
    found: dict[str, Any] = {}
    waiting = [root]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, dict):
            waiting.extend(value.values())
            name = str(value.get("$ref", "")).removeprefix("#/$defs/")
            if name in definitions and name not in found:
                found[name] = definitions[name]
                waiting.append(definitions[name])
    return found


def _let_environment_in(root: object) -> None:
    """Wherever a number, a switch or text of a certain form is wanted, `${NAME}` may stand."""
    waiting = [root]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(value)
            continue
        if not isinstance(value, dict):
            continue
        for key, inner in list(value.items()):
            if key == "propertyNames":
                continue
            if isinstance(inner, dict) and key not in ("properties", "$defs") and _is_formed(inner):
                value[key] = _or_environment(inner)
            elif key == "properties" and isinstance(inner, dict):
                for name, one in inner.items():
                    inner[name] = _or_environment(one) if name != "type" and _is_formed(one) else one
                waiting.extend(inner.values())
            else:
                waiting.append(inner)


def _is_formed(schema: dict[str, Any]) -> bool:
    return schema.get("type") in _SCALARS or (
        schema.get("type") == "string" and bool({"enum", "pattern"} & set(schema))
    )


def _or_environment(schema: dict[str, Any]) -> dict[str, Any]:
    about: dict[str, Any] = {key: schema[key] for key in ("description", "default", "title") if key in schema}
    return {**about, "anyOf": [{k: v for k, v in schema.items() if k not in about}, _FROM_ENVIRONMENT]}
