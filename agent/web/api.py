"""The API: `/api/v1/…`. Asks the agent through :class:`AgentView`, changes nothing. openapi.py documents it."""

from __future__ import annotations

from asyncio import TaskGroup
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from agent.settings.values import is_name
from agent.web.answers import error, json_answer
from agent.web.stream import MOST_VIEWERS, LiveStream, Viewer

LEVELS = ("debug", "info", "warning", "error")
#: Instants beyond are no times.
_LATEST = 1 << 53


class HttpRefusal(Exception):
    """A request that is not answered as asked. `status` is HTTP's."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class AgentView(Protocol):
    """The agent, for clients over HTTP."""

    def status(self) -> dict[str, Any]:
        """See schema.Status."""

    def tags(self, device: str, /) -> dict[str, Any] | None:
        """See schema.Tags; None where there is no such device."""

    async def history(self, device: str | None, tag: str | None, begin: int, end: int, /) -> bytes | None:
        """JSON, see schema.History; None where there is none.

        Raises ValueError where that is too much, TimeoutError where it takes too long.
        """

    def events(self, device: str | None, level: str, /) -> list[Any]:
        """See schema.LogEvent."""

    async def config(self) -> dict[str, Any]:
        """The effective configuration, redacted."""

    def reloads(self) -> dict[str, Any]:
        """See schema.Reloads."""


class Api:
    """The routes. `stream` is run by whoever serves them."""

    def __init__(self, source: AgentView, stream: LiveStream) -> None:
        self._source = source
        self._stream = stream

    def routes(self) -> list[Route]:
        """The guard decides which requests come here."""
        answered: Mapping[str, Callable[[Request], Awaitable[object]]] = {
            "/api/v1/status": self._status,
            "/api/v1/devices/{device}/tags": self._tags,
            "/api/v1/history": self._history,
            "/api/v1/events": self._events,
            "/api/v1/config": self._config,
            "/api/v1/reloads": self._reloads,
            "/api/v1/openapi.json": self._openapi,
        }
        routes = [Route(path, _answered(answer)) for path, answer in answered.items()]
        return [*routes, Route("/api/v1/stream", self._watch)]

    async def _status(self, _request: Request) -> object:
        return self._source.status()

    async def _tags(self, request: Request) -> object:
        name = request.path_params["device"]
        found = self._source.tags(name)
        if found is None:
            raise HttpRefusal(404, f"there is no device {name!r}; /api/v1/status names them")
        return found

    async def _history(self, request: Request) -> object:
        asked = _asked(request, "device", "tag", "from", "to")
        begin, end = _instant(asked, "from", 0), _instant(asked, "to", _LATEST)
        device, tag = asked.get("device"), asked.get("tag")
        if device is None and tag is None:
            raise HttpRefusal(400, "name a `device`, a `tag`, or both")
        try:
            found = await self._source.history(device, tag, begin, end)
        except ValueError as too_much:
            raise HttpRefusal(400, str(too_much)) from None
        except TimeoutError:
            raise HttpRefusal(503, "the disk does not answer, or many ask at once: try again") from None
        if found is None:
            raise HttpRefusal(404, "no history is kept: set `history:` in the configuration")
        return msgspec.Raw(found)

    async def _events(self, request: Request) -> object:
        asked = _asked(request, "device", "level")
        level = asked.get("level", "debug")
        if level not in LEVELS:
            raise HttpRefusal(400, f"`level` is one of {', '.join(LEVELS)}")
        return {"events": self._source.events(asked.get("device"), level)}

    async def _config(self, _request: Request) -> object:
        return await self._source.config()

    async def _reloads(self, _request: Request) -> object:
        return self._source.reloads()

    async def _openapi(self, _request: Request) -> object:
        from agent.web.openapi import document  # for who writes a client: nobody else needs it

        return document()

    async def _watch(self, request: Request) -> Response:
        try:
            device = _asked(request, "device").get("device")
        except HttpRefusal as refused:
            return error(refused.status, str(refused))
        if not self._stream.knows(device):
            return error(404, f"there is no device {device!r}; /api/v1/status names them")
        if request.method == "HEAD":
            return Response(media_type="text/event-stream", headers=_STREAM)
        if self._stream.full:
            why = f"{MOST_VIEWERS} viewers are there already; close one, or try again in half a minute"
            return error(503, why, {"Retry-After": "30"})
        return _Watching(self._stream, device)


def _answered(answer: Callable[[Request], Awaitable[object]]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            return json_answer(await answer(request))
        except HttpRefusal as refused:
            return error(refused.status, str(refused))

    return endpoint


def _asked(request: Request, *known: str) -> dict[str, str]:
    """The parameters; each once, and none that mean nothing here."""
    asked: dict[str, str] = {}
    for key, value in request.query_params.multi_items():
        if key not in known:
            raise HttpRefusal(400, f"there is no parameter {key!r} here; known are: {', '.join(known)}")
        if key in asked:
            raise HttpRefusal(400, f"`{key}` stands there twice")
        if key == "device" and not is_name(value):
            raise HttpRefusal(400, f"{value!r} is not the name of a device")
        asked[key] = value
    return asked


def _instant(asked: Mapping[str, str], key: str, default: int) -> int:
    text = asked.get(key)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 16 or int(text) > _LATEST:
        raise HttpRefusal(400, f"`{key}` is an instant: milliseconds since 1970, for example 1763760000000")
    return int(text)


_STREAM = {"X-Accel-Buffering": "no"}  #: a proxy hands on each event as it comes


class _Watching(Response):
    """The answer that goes on until one of the two has had enough, or the guard ends it with its login."""

    media_type = "text/event-stream"

    def __init__(self, stream: LiveStream, device: str | None) -> None:
        super().__init__(headers=_STREAM)
        del self.headers["content-length"]
        self._stream = stream
        self._device = device

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        viewer = self._stream.join(self._device)
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async with TaskGroup() as group:
                gone = group.create_task(self._until_gone(viewer, receive), name="viewer: gone")
                try:
                    await self._send(viewer, send)
                finally:
                    gone.cancel()
        finally:
            self._stream.leave(viewer)

    async def _send(self, viewer: Viewer, send: Send) -> None:
        while not viewer.ended:
            await viewer.wake.wait()
            if data := self._stream.take(viewer):
                await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    @staticmethod
    async def _until_gone(viewer: Viewer, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        viewer.end()
