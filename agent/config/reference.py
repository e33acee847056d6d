"""The tables of docs/configuration.md, made from the models; `python -m agent.config.reference` writes them anew."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from agent.config.schema import config_schema, forms
from agent.settings.devices import DeviceConfig
from agent.settings.publishers import PublisherConfig
from agent.settings.tags import TagBase

BEGIN = "<!-- generated from the models: edit their docstrings, then run python -m agent.config.reference -->"
END = "<!-- end of what is generated -->"
_Schema = Mapping[str, Any]


def reference() -> str:
    """The generated part, Markdown."""
    return "\n".join(_Reference(config_schema()).lines()).strip() + "\n"


def put_in(text: str) -> str:
    """`text` with its generated part made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{reference()}\n{END}{after}"


class _Reference:
    """One table a mapping; mappings inside of it follow it."""

    def __init__(self, schema: _Schema) -> None:
        self._root = schema
        self._definitions: dict[str, Any] = schema["$defs"]

    def lines(self) -> Iterator[str]:
        top = self._root["properties"]
        yield from self._table("The whole file", "", self._root, nested=False)
        for key in ("agent", "log", "http", "outbox"):
            yield from self._mapping(f"`{key}:`", top[key])
        yield from self._family("publishers", "publisher", PublisherConfig.model_fields)
        publishers = self._choices(top["publishers"]["additionalProperties"])
        for name, encoder in self._choices(next(iter(publishers.values()))["properties"]["encoder"]).items():
            yield from self._table(f"`encoder: {{type: {name}}}`", "", _without(encoder, {"type"}))
        yield from self._family("devices", "device", DeviceConfig.model_fields)

    def _family(self, section: str, word: str, common: Mapping[str, Any]) -> Iterator[str]:
        choices = self._choices(_else(self._root["properties"][section]["additionalProperties"]))
        first = next(iter(choices.values()))
        shared = first["properties"]
        about = f"Under `{section}:`, by name. `type` picks the kind: {', '.join(f'`{name}`' for name in choices)}."
        yield from self._table(f"Every {word}", about, _only(first, set(common) - {"type"}))
        if word == "device":
            yield from self._table("Every tag", "Whatever the protocol.", _only(self._tag(first), TagBase.model_fields))
        for name, model in choices.items():
            same = {key for key in common if shared[key].get("default") == model["properties"][key].get("default")}
            yield from self._table(f"`type: {name}`", "", _without(model, same | {"type"}))
            if word == "device":
                yield from self._table(f"Tags of `type: {name}`", "", _without(self._tag(model), TagBase.model_fields))

    def _mapping(self, title: str, schema: _Schema) -> Iterator[str]:
        definition = self._definition(schema)
        if definition is not None:
            yield from self._table(title, "", definition)

    def _table(self, title: str, about: str, model: _Schema, *, nested: bool = True) -> Iterator[str]:
        properties, required = model["properties"], model.get("required", ())
        yield from (f"### {title}", "")
        if about:
            yield from (about, "")
        yield from ("| key | value | default | meaning |", "|---|---|---|---|")
        for key, one in properties.items():
            meaning = " ".join(str(one.get("description", "")).split()).replace("|", "\\|")
            if not meaning and (definition := self._definition(one)) is not None:
                meaning = str(definition.get("description", ""))
            default = "required" if key in required else _default(one)
            value = "file" if key.endswith("_file") else self._value(one)
            yield f"| `{key}` | {value} | {default} | {meaning} |"
        yield ""
        for key, one in properties.items() if nested else ():
            if key != "outbox":  # told once, at the top level
                yield from self._mapping(f"{title}, `{key}:`", one)

    def _value(self, schema: _Schema) -> str:
        words = [self._word(one) for one in forms(dict(schema))]
        if "number" in words and "whole number" in words:
            words.remove("whole number")
        return " or ".join(dict.fromkeys(word for word in words if word)) or "anything"

    def _word(self, one: _Schema) -> str:
        if "$ref" in one:
            return "" if one["$ref"].endswith("/FromEnvironment") else "mapping"
        if "const" in one:
            return f"`{one['const']}`"
        if "enum" in one:
            return ", ".join(f"`{value}`" for value in one["enum"])
        kind, pattern = one.get("type"), str(one.get("pattern", ""))
        if kind == "string":
            notations = {"|m|h|d)": "duration", "iB)": "size", "/": "rate", r"\$\{": "`${NAME}`"}
            return next((word for part, word in notations.items() if part in pattern), "text")
        if kind == "array":
            return f"list of {self._value(one.get('items', {})).replace(' or ', ' / ')}"
        plain = {"integer": "whole number", "number": "number", "boolean": "`true`, `false`", "object": "mapping"}
        return plain.get(str(kind), "") + _bounds(one)

    def _definition(self, schema: _Schema) -> dict[str, Any] | None:
        for one in forms(dict(schema)):
            name = str(one.get("$ref", "")).removeprefix("#/$defs/")
            if name in self._definitions and "properties" in self._definitions[name]:
                found: dict[str, Any] = self._definitions[name]
                return found
        return None

    def _choices(self, schema: _Schema) -> dict[str, dict[str, Any]]:
        definitions = [self._definition(option) or {} for option in schema["oneOf"]]
        return {one["properties"]["type"]["const"]: one for one in definitions}

    def _tag(self, device: _Schema) -> dict[str, Any]:
        return self._definition(device["properties"]["tags"]["additionalProperties"]) or {"properties": {}}


def _only(model: _Schema, keys: Iterable[str]) -> _Schema:
    wanted = set(keys)
    return {**model, "properties": {key: one for key, one in model["properties"].items() if key in wanted}}


def _else(schema: _Schema) -> _Schema:
    """A device that uses no template; a publisher as it is."""
    return schema.get("else", schema)  # type: ignore[no-any-return]


def _without(model: _Schema, keys: Iterable[str]) -> _Schema:
    return _only(model, set(model["properties"]) - set(keys))


def _default(one: _Schema) -> str:
    default = one.get("default")
    if default is None or default in ([], {}):
        return ""
    text = str(default).lower() if isinstance(default, bool) else str(default).replace("'", '"')
    return f"`{text}`"


def _bounds(one: _Schema) -> str:
    low = one.get("minimum", one.get("exclusiveMinimum"))
    high = one.get("maximum", one.get("exclusiveMaximum"))
    if low is not None and high is not None:
        return f" {low:g} to {high:g}"
    if low is not None:
        return f" {'above' if 'exclusiveMinimum' in one else 'from'} {low:g}"
    return f" up to {high:g}" if high is not None else ""


if __name__ == "__main__":
    _file = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/configuration.md")
    _file.write_text(put_in(_file.read_text(encoding="utf-8")), encoding="utf-8")
