"""`type: json`: one record, one message (docs/messages.md)."""

from __future__ import annotations

from functools import partial
from typing import Literal

from agent.core.ports import Encoder, RouteInfo
from agent.encoders.common.config import AroundConfig

__all__ = ["JsonConfig"]


class JsonConfig(AroundConfig):
    """Readings as JSON, one message per batch."""

    type: Literal["json"] = "json"
    """One JSON object per batch of readings."""
    int64: Literal["number", "string"] = "number"
    """64-bit integers as JSON numbers (exact), or as strings for consumers whose numbers are doubles."""

    def build(self, route: RouteInfo) -> Encoder:
        from agent.encoders.common.dialogue import StatusEncoder
        from agent.encoders.json.records import JsonRenderer

        return StatusEncoder(route, partial(JsonRenderer, int64=self.int64))
