"""What was probably meant: for values people often write, the hint that leads to a right file in one step. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection

from agent.config.located import List, Map

_NODE = re.compile(r"(ns|nsu)=|[isgb]=")
_PERCENT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*")
#: Keys that only a tag has.
_OF_TAGS = ("address", "node", "path")


def as_list(key: object, value: object) -> str | None:
    """For text where a list belongs: `acme/suzhou` is a path of two levels."""
    if key != "location" or not isinstance(value, str) or "/" not in value:
        return None
    return f"write [{', '.join(level for level in value.split('/') if level)}]"


def as_mapping(keys: Collection[str], value: object) -> str | None:
    """For a value where a mapping belongs: the mapping that was meant."""
    if isinstance(value, List) and not keys and value and all(isinstance(one, str | bool) for one in value):
        texts = [str(one).lower() if isinstance(one, bool) else one for one in value]
        return f"write {{{', '.join(f'{number}: {text}' for number, text in enumerate(texts))}}}"
    if not isinstance(value, str):
        return None
    if (percent := _PERCENT.fullmatch(value)) is not None and "percent" in keys:
        return f"write {{percent: {percent[1]}}}"
    if "node" in keys and _NODE.match(value):
        return f'write {{node: "{value}"}}'
    if "address" in keys and value[:1].isalnum():
        return f'write {{address: "{value}"}}'
    return None


def is_percent(value: object) -> bool:
    """Whether this is text such as `1%`."""
    return isinstance(value, str) and _PERCENT.fullmatch(value) is not None


def is_tag(value: object) -> bool:
    """Whether this looks like a tag: the mistake is where it stands."""
    return isinstance(value, Map) and any(key in value for key in _OF_TAGS)
