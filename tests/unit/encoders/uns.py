"""What the United Manufacturing Hub checks before it lets a message into its namespace, from its published rules.

Topic: `umh.v1.<location>.<_contract>[.<virtual path>].<name>`, at a broker with `/` for `.`. Payload: exactly the two
keys, a scalar that is never null, no NaN, at most 1024 bytes as JSON.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple


class Uns(NamedTuple):
    location: list[str]
    contract: str
    path: list[str]
    name: str
    timestamp_ms: int
    value: object


def take(topic: str, payload: bytes) -> Uns:
    """The message as UMH would store it; AssertionError where it would refuse."""
    key = topic.replace("/", ".")
    assert re.fullmatch(r"[a-zA-Z0-9._\-]+", key), f"characters: {key}"
    assert ".." not in key
    assert not key.endswith(".")
    parts = key.split(".")
    assert parts[:2] == ["umh", "v1"]
    assert len(parts) >= 5
    at = next((i for i in range(3, len(parts) - 1) if parts[i].startswith("_")), None)
    assert at is not None, f"no data contract: {key}"
    assert len(parts[at]) > 1
    location = parts[2:at]
    assert all(level and not level.startswith("_") for level in location)
    content = json.loads(payload, parse_constant=lambda word: (_ for _ in ()).throw(AssertionError(word)))
    assert isinstance(content, dict)
    assert set(content) == {"timestamp_ms", "value"}
    assert type(content["timestamp_ms"]) is int
    value = content["value"]
    assert isinstance(value, bool | int | float | str)
    assert len(json.dumps(value, ensure_ascii=False).encode()) <= 1024
    return Uns(location, parts[at], parts[at + 1 : -1], parts[-1], content["timestamp_ms"], value)
