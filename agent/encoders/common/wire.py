"""How much of a PUBLISH packet is not payload. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from agent.encoders.common.messages import CONTENT_TYPE


def overhead(topic: str, properties: Sequence[tuple[str, str]]) -> int:
    """Bytes of a PUBLISH beside its payload, at most (MQTT 5.0, 3.3)."""
    fixed = 1 + 4 + 2 + 2 + 4 + 3 + len(CONTENT_TYPE)
    text = topic + "".join([key + value for key, value in properties])
    return fixed + 5 * len(properties) + (len(text) if text.isascii() else len(text.encode()))
