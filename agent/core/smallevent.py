"""An `asyncio.Event` for the few that wait for a part of a device: there are thousands of it."""

from __future__ import annotations

import asyncio


class SmallEvent(asyncio.Event):
    """Its waiters are a list: asyncio's deque takes 760 bytes, and each device has five events."""

    def __init__(self) -> None:
        super().__init__()
        self._waiters: list[asyncio.Future[bool]] = []  # type: ignore[assignment]  # appended to, removed from, gone through
