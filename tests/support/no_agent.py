"""An agent that has nothing, for tests of the web alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agent.testing.clock import ManualClock
from agent.web.api import Api
from agent.web.stream import LiveStream


class NoAgent:
    """Answers all that the API and the stream ask for."""

    def status(self) -> dict[str, Any]:
        return {"agent": {"id": "gw-01"}}

    def tags(self, _device: str, /) -> dict[str, Any] | None:
        return None

    async def history(self, _device: str | None, _tag: str | None, _begin: int, _end: int, /) -> bytes | None:
        return None

    def events(self, _device: str | None, _level: str, /) -> list[Any]:
        return []

    async def config(self) -> dict[str, Any]:
        return {}

    def reloads(self) -> dict[str, Any]:
        return {}

    def tap(self, _append: Any, /) -> Callable[[], None]:
        return lambda: None

    def values(self, _device: str, _tags: Any, /) -> dict[str, Any] | None:
        return None

    def telling(self) -> dict[str, list[str]]:
        return {}

    def news(self) -> int:
        return 0

    def now(self) -> int:
        return 0


def no_agent() -> Api:
    """The API in front of it."""
    return Api(NoAgent(), LiveStream(NoAgent(), ManualClock()))
