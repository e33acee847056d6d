"""What the last reloads changed, or why they were refused, as it may be shown. In memory, bounded."""

from __future__ import annotations

from collections import deque
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from agent.config.report import Report

MOST, MOST_MISTAKES, MOST_BYTES = 20, 50, 256 << 10  #: reloads kept, mistakes of one, bytes of its differences


class Entry(Struct, frozen=True):
    """One reading of the configuration while the agent ran."""

    ts: int
    asked_by: str
    result: Literal["applied", "refused", "nothing"]
    hash: str
    mistakes: tuple[str, ...] = ()
    differences: Raw | None = None


class Journal:
    """The newest entries."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=MOST)

    def add(self, entry: Entry) -> None:
        """One more."""
        more = len(entry.mistakes) - MOST_MISTAKES
        if more > 0:
            mistakes = (*entry.mistakes[:MOST_MISTAKES], f"and {more} more")
            entry = msgspec.structs.replace(entry, mistakes=mistakes)
        self._entries.append(entry)

    def shown(self, effective: str) -> dict[str, Any]:
        """All of them, the newest first, and the hash of what runs."""
        return {"hash": effective, "reloads": list(reversed(self._entries))}


def packed(found: Report) -> Raw | None:
    """What differs, for :class:`Entry`; None: nothing, or more than is kept. Takes its time: call it in a thread."""
    data = msgspec.json.encode(found, enc_hook=str) if found else b""
    return Raw(data) if 0 < len(data) <= MOST_BYTES else None
