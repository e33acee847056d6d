"""A short hash of what a configuration means: the same for the same meaning, without secrets."""

from __future__ import annotations

import hashlib

import msgspec

from agent.config.model import Config
from agent.config.words import hide_userinfo


def fingerprint(config: Config) -> str:
    """12 hexadecimal digits over the effective values, defaults included. Secrets are masked before hashing."""
    text = msgspec.json.encode(config.model_dump(mode="python"), enc_hook=str, order="sorted").decode()
    return hashlib.sha256(hide_userinfo(text).encode()).hexdigest()[:12]
