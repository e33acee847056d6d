"""Who may have what: every request passes here before it is routed, and what is not opened here stays shut.

On loopback there is no login and no cookie: whoever asks for this machine by a name of loopback gets an answer, so
that no page of somebody else reads it through a browser here. Beyond loopback programs show the token of `http.auth`
with each request, people type it into a form and get a session; an answer that goes on (server-sent events) ends with
the login it was given for. Without `http.auth` the probes are all that answers there.
"""

from __future__ import annotations

import asyncio
import re
import time
from asyncio import Timeout
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response

from agent.core.clock import to_beat
from agent.core.errors import TransientError
from agent.web.answers import CACHE, HEADERS, error, unauthorized
from agent.web.connection import GUEST
from agent.web.door import names_this_machine
from agent.web.logins import Login, Logins
from agent.web.pace import VisitorPace

_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[Any]]
_Send = Callable[[Any], Awaitable[None]]
_App = Callable[[_Scope, _Receive, _Send], Awaitable[None]]

LOOK_EVERY = 2.0  #: seconds between looks whether the logins of answers that go on are still valid

_PROBES = frozenset({"/healthz", "/readyz"})
#: What a browser needs to show the login form: no data, no device's name. Strict, so that no router reads it otherwise.
_SHELL = re.compile(r"/|/static/(?:[A-Za-z0-9_-]+/)*[A-Za-z0-9_-][A-Za-z0-9._-]*")
_SHOWS = frozenset({"GET", "HEAD"})
_LOGIN, _LOGOUT = "/api/v1/login", "/api/v1/logout"


class Guard:
    """The ASGI application around another. `logins`: None where nobody can log in; `open_to_all`: on loopback."""

    def __init__(self, app: _App, *, open_to_all: bool, logins: Logins | None) -> None:
        self._app = app
        self._open_to_all = open_to_all
        self._logins = logins
        self.pace = VisitorPace()  #: of all that visitors cost
        self._going: dict[Timeout, Login | None] = {}  # the answers being given, and for which login

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Answer one request, when it is its turn."""
        guest = scope.get(GUEST)
        stranger = guest is not None and guest.stranger
        await self.pace.turn(stranger=stranger)
        await self.pace.counted(self._serve(scope, receive, send), stranger=stranger)

    async def _serve(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        request, send = Request(scope, receive), _with_headers(send)
        try:
            found = await self._admit(request)
        except TransientError as failed:
            found = error(503, failed.reason, {"Retry-After": "1"})
        guest = scope.get(GUEST)
        if isinstance(found, Response):
            if guest is not None and found.status_code == 401:
                guest.proved = False
            await found(scope, receive, send)
            return
        if guest is not None and found is not None:
            guest.proved = True
        await self._answer(found, scope, receive, send)

    async def keep(self) -> None:
        """End what goes on for a login that is over. Until cancelled."""
        while True:
            await asyncio.sleep(to_beat(time.monotonic(), LOOK_EVERY))
            await self._look()

    def close(self) -> None:
        """End all answers that go on: the server stops."""
        for limit in self._going:
            _end(limit)

    async def _admit(self, request: Request) -> Login | Response | None:
        """The login of a request (None: none is needed), or the answer that refuses it."""
        path, method = request.scope["path"], request.method
        if {"content-length", "transfer-encoding"} <= set(request.headers):  # a proxy may see another end of it
            return error(400, "Content-Length and Transfer-Encoding exclude each other", {"Connection": "close"})
        if method not in _SHOWS and not _same_origin(request):
            return error(403, "this came from a page of another origin (Origin is not this Host)")
        if path in _PROBES and method in _SHOWS:
            return None
        if self._open_to_all:
            if not names_this_machine(request.headers.get("host")):
                return error(403, "this agent listens on loopback; ask for it as 127.0.0.1 or localhost")
            return error(404, "on loopback there is no login") if path in (_LOGIN, _LOGOUT) else None
        if self._logins is None:
            return unauthorized("beyond loopback this needs authentication: set http.auth in the configuration")
        return await self._beyond_loopback(request, self._logins)

    async def _beyond_loopback(self, request: Request, logins: Logins) -> Login | Response | None:
        path, method = request.scope["path"], request.method
        if path in (_LOGIN, _LOGOUT):
            if method != "POST":
                return error(405, "this takes POST", {"Allow": "POST"})
            if path == _LOGIN:
                return await logins.begin(request)
            answer = await logins.end(request)
            await self._look()
            return answer
        if method in _SHOWS and _SHELL.fullmatch(path):
            return None
        return await logins.of(request)

    async def _look(self) -> None:
        for limit, login in list(self._going.items()):
            if login is None or self._logins is None:
                continue
            try:
                if not await self._logins.holds(login):
                    _end(limit)
            except TransientError:
                return  # not known now: next time

    async def _answer(self, login: Login | None, scope: _Scope, receive: _Receive, send: _Send) -> None:
        begun = complete = False

        async def told(message: Any) -> None:
            nonlocal begun, complete
            begun = True
            complete = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        try:
            async with asyncio.timeout(None) as limit:
                self._going[limit] = login
                try:
                    await self._app(scope, receive, told)
                finally:
                    del self._going[limit]
        except TimeoutError:
            if not limit.expired():
                raise
            if not begun:
                await error(503, "the agent is stopping, or the login ended", {"Retry-After": "1"})(
                    scope, receive, send
                )
            elif not complete:
                await send({"type": "http.response.body", "body": b"", "more_body": False})


def _end(limit: Timeout) -> None:
    if not limit.expired():
        limit.reschedule(asyncio.get_running_loop().time())


def _with_headers(send: _Send) -> _Send:
    async def more(message: Any) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.setdefault("Cache-Control", CACHE)
            headers.update(HEADERS)
        await send(message)

    return more


def _same_origin(request: Request) -> bool:
    """Browsers send `Origin` with each POST; what is no browser need not."""
    origin = request.headers.get("origin")
    if origin is None:
        return request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
    try:
        return urlsplit(origin).netloc.lower() == request.headers.get("host", "").lower() != ""
    except ValueError:
        return False
