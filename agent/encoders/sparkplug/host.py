"""The primary host: does its STATE count, and what does it say? Pure.

A STATE is a JSON object `{"online": bool, "timestamp": ms}`. One that is older than the last one of the same server is
ignored; the first one seen counts. What was seen is remembered beyond sessions: a broker retains old states.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

Word = Literal["online", "offline"]


class _State(Struct):
    online: bool
    timestamp: int


class PrimaryHost:
    """What each server's STATE topic said last."""

    def __init__(self, host_id: str) -> None:
        self.host_id = host_id
        self._seen: dict[str, int] = {}

    def hear(self, server: str, payload: bytes) -> tuple[Word | None, str]:
        """The word that counts, or None and why it does not."""
        try:
            state = msgspec.json.decode(payload, type=_State)
        except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, or nested without end
            return None, f"not a STATE payload: {error}"
        last = self._seen.get(server)
        if last is not None and state.timestamp < last:
            return None, f"its timestamp {state.timestamp} is older than {last}: was the host's clock set back?"
        self._seen[server] = state.timestamp
        return ("online" if state.online else "offline"), ""
