"""The API of a process that is no agent: its status alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.web.answers import json_answer


class StatusApi:
    """`/api/v1/status`. Who may ask is the guard's matter."""

    def __init__(self, status: Callable[[], dict[str, Any]]) -> None:
        self._status = status

    def routes(self) -> list[Route]:
        """For `server.Pages`."""
        return [Route("/api/v1/status", self._show)]

    async def _show(self, _request: Request) -> Response:
        return json_answer(self._status())
