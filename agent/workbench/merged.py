"""Devices into a file that somebody has written: its comments and its order stay. Only here is ruamel.yaml used."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from agent.core.errors import ConfigError


def merged(text: str, file: str, devices: Mapping[str, Mapping[str, Any]]) -> tuple[str, list[str]]:
    """`text` with these devices under `devices:`, and the names that stood there already: those are left as they are.

    Raises ConfigError where `text` is no file that devices can stand in.
    """
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 1000
    try:
        document = yaml.load(text) if text.strip() else CommentedMap()
    except YAMLError as error:
        raise ConfigError(file, None, f"not YAML: {str(error).splitlines()[0]}", "mend it first") from None
    if not isinstance(document, CommentedMap):
        raise ConfigError(file, None, "the file does not hold a mapping", "it begins with keys such as `devices:`")
    known = document.get("devices")
    if known is None:
        known = document["devices"] = CommentedMap()
    if not isinstance(known, CommentedMap):
        raise ConfigError(file, None, "`devices` is not a mapping", "write `NAME:` below it and its keys below that")
    kept = [name for name in devices if name in known]
    for name, keys in devices.items():
        if name not in kept:
            known[name] = _commented(keys)
    out = io.StringIO()
    yaml.dump(document, out)
    return out.getvalue(), kept


def merge_into(file: Path, devices: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Write them into `file`, made where it is not there; the names that were left as they are. Raises ConfigError."""
    try:
        before = file.read_text(encoding="utf-8") if file.exists() else ""
        text, kept = merged(before, str(file), devices)
        fresh = file.with_name(f".{file.name}.new")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(file)
    except OSError as error:
        raise ConfigError(str(file), None, f"cannot be written: {error.strerror}", "name another file") from None
    return kept


def _commented(value: Any, depth: int = 0) -> Any:
    if not isinstance(value, Mapping):
        return value
    made = CommentedMap({key: _commented(inner, depth + 1) for key, inner in value.items()})
    if depth > 1:
        made.fa.set_flow_style()
    return made
