"""Devices as YAML that people edit: a line for each tag."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from agent.core.text import harmless_json


class Line(dict[str, Any]):
    """A mapping that is written in one line."""


#: libyaml's writes five times as fast, where PyYAML was built with it.
_Fastest: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_Fastest):  # type: ignore[misc]
    """Knows the mappings of one line."""


_Dumper.add_representer(
    Line, lambda dumper, data: dumper.represent_mapping("tag:yaml.org,2002:map", data.items(), flow_style=True)
)


def _text(dumper: Any, text: str) -> Any:
    """In quotes, where it has what `dumped` writes as escapes."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, None if harmless_json(text) == text else '"')


_Dumper.add_representer(str, _text)


def yaml_of(devices: Mapping[str, Mapping[str, Any]]) -> str:
    """`devices:` with all of them."""
    document = {
        "devices": {
            name: {
                **{
                    key: Line(value) if isinstance(value, dict) else value
                    for key, value in keys.items()
                    if key != "tags"
                },
                "tags": {tag: Line(one) for tag, one in keys["tags"].items()},
            }
            for name, keys in devices.items()
        }
    }
    return dumped(document)


def dumped(document: Mapping[str, Any]) -> str:
    """Any document as YAML, with what is a `Line` in one line; with escapes for what a terminal might obey."""
    written: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1 << 20)
    return harmless_json(written)
