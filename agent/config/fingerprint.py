"""A short hash of what a configuration means: the same for the same meaning, without secrets."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from agent.config.model import Config
from agent.config.words import hide_userinfo

#: Which file something stands in changes no meaning.
WHERE_FROM: dict[str, Any] = {
    "include": True, "templates": True, "devices_file": True, "devices": {"__all__": {"tags_file"}}
}  # fmt: skip


def fingerprint(config: Config) -> str:
    """12 hexadecimal digits over the effective values, defaults included. Secrets are masked before hashing.

    Neither the order of keys nor of files counts, nor how a value is written (`1s`, `1000ms`).
    """
    values = msgspec.json.decode(config.model_dump_json(exclude=WHERE_FROM))
    text = msgspec.json.encode(values, order="sorted").decode()
    return hashlib.sha256(hide_userinfo(text).encode()).hexdigest()[:12]
