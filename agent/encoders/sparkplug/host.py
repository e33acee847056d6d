"""The primary host: does its STATE count, and what does it say? Pure.

Since Sparkplug 3.0 a STATE is a JSON object `{"online": bool, "timestamp": ms}`. One that is older than the last one of
the same server is ignored; the first one seen counts. What was seen is remembered beyond sessions: a broker retains old
states. A time ahead of our own is not believed: it would outweigh all that the host says later.

Hosts of Sparkplug 2.2 write `ONLINE` or `OFFLINE` on another topic. At a server where one of 3.0 is heard they count no
longer: what is retained there may be from before the host was updated.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

Word = Literal["online", "offline"]

#: A STATE may be so far ahead of our clock, ms.
AHEAD = 60_000
#: No STATE is larger, bytes.
LARGEST = 1024
_OLD: dict[bytes, Word] = {b"ONLINE": "online", b"OFFLINE": "offline"}
_OUTRANKED = "ONLINE of Sparkplug 2.2, but one of 3.0 says offline: where no host writes that any more, clear it"


class _State(Struct):
    online: bool
    timestamp: int


class PrimaryHost:
    """What each server's STATE topics said last."""

    def __init__(self, host_id: str) -> None:
        self.host_id = host_id
        self._seen: dict[str, int] = {}
        self._online = False  #: said by the newest of 3.0

    def hear(self, server: str, payload: bytes, now: int | None) -> tuple[Word | None, str]:
        """The word that counts, or None and why it does not. `now`: epoch ms, None where our clock is not set."""
        if len(payload) > LARGEST:
            return None, f"not a STATE payload: {len(payload)} bytes"
        try:
            state = msgspec.json.decode(payload, type=_State)
        except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, or nested without end
            return None, f"not a STATE payload: {error}"
        if now is not None and state.timestamp > now + AHEAD:
            ahead = (state.timestamp - now) / 1000
            return None, f"its timestamp {state.timestamp} is {ahead:.0f} s ahead of our clock: check both clocks"
        last = self._seen.get(server)
        if last is not None and state.timestamp < last:
            return None, f"its timestamp {state.timestamp} is older than {last}: was the host's clock set back?"
        self._seen[server], self._online = state.timestamp, state.online
        return ("online" if state.online else "offline"), ""

    def hear_old(self, server: str, payload: bytes) -> tuple[Word | None, str]:
        """The same of a STATE of Sparkplug 2.2."""
        word = _OLD.get(payload[:LARGEST].strip().upper())
        if server in self._seen:
            return None, _OUTRANKED if word == "online" and not self._online else ""
        return word, "" if word is not None else "not a STATE payload: Sparkplug 2.2 has ONLINE or OFFLINE"
