"""Logging in and out, and what a request shows of it. Wrong tokens are slowed, counted and logged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs

import msgspec
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request, cookie_parser
from starlette.responses import Response

from agent.telemetry.logging import get_logger
from agent.telemetry.metrics import HTTP_LOGINS_FAILED
from agent.web.answers import error, json_answer, unauthorized
from agent.web.door import Guesses, network
from agent.web.sessions import LASTS, WebSession, WebSessions, digest, same
from agent.web.token import TokenFile

GUESS = 0.5  #: seconds a wrong token waits for its answer
FORM_WITHIN = 5.0  #: seconds the body of a login may take
LONGEST_FORM = 8192  #: bytes

log = get_logger("web")


@dataclass(frozen=True)
class Login:
    """What a request has shown: a token, by a session or by itself."""

    token: bytes  #: its digest
    session: WebSession | None


class _Form(msgspec.Struct):
    token: str


class Logins:
    """Belongs to the event loop. `monotonic` is injected for tests."""

    def __init__(self, token_file: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._token = TokenFile(token_file)
        self._monotonic = monotonic
        self._sessions = WebSessions()
        self._guesses = Guesses()

    async def of(self, request: Request) -> Login | Response:
        """The login of a request, or the answer that refuses it. TransientError where the token cannot be read now."""
        token = await self._token.digest()
        given = _bearer(request.headers)
        if given is not None:
            if token is not None and same(digest(given), token):
                return Login(token, None)
            return await self._wrong(request)
        if token is not None and (session := self._session(request, token)) is not None:
            return Login(token, session)
        return unauthorized("beyond loopback this needs a login: send Authorization: Bearer <token>, or log in at /")

    async def holds(self, login: Login) -> bool:
        """Whether it is still what it was: neither logged out, run out nor of a token that was changed."""
        token = await self._token.digest()
        if token is None or not same(login.token, token):
            return False
        session = login.session
        return session is None or (self._sessions.is_open(session) and session.holds(token, self._monotonic()))

    async def begin(self, request: Request) -> Response:
        """POST /api/v1/login: `token` in a form or in JSON."""
        given = await _token_of(request)
        if isinstance(given, Response):
            return given
        token = await self._token.digest()
        if token is None or not same(digest(given), token):
            return await self._wrong(request)
        if (before := self._session(request, token)) is not None:
            self._sessions.end(before)
        cookie, _ = self._sessions.open(token, self._monotonic())
        answer = _home(request) or json_answer({"expires_in_s": int(LASTS)})
        _set_cookie(answer, request, cookie, int(LASTS))
        return answer

    async def end(self, request: Request) -> Response:
        """POST /api/v1/logout: the answer is the same without a login."""
        token = await self._token.digest()
        if token is not None and (session := self._session(request, token)) is not None:
            self._sessions.end(session)
        answer = _home(request) or Response(status_code=204)
        _set_cookie(answer, request, "", 0)
        return answer

    def _session(self, request: Request, token: bytes) -> WebSession | None:
        cookie = cookie_parser(request.headers.get("cookie", "")).get(_cookie_name(request))
        return self._sessions.find(cookie, token, self._monotonic()) if cookie else None

    async def _wrong(self, request: Request) -> Response:
        """A right token is never kept waiting for wrong ones: others may come from the same address."""
        HTTP_LOGINS_FAILED.inc()
        peer = network(request.client.host if request.client else None)
        now = self._monotonic()
        wait = self._guesses.wrong(peer, now)
        if (failed := self._guesses.due(peer, now)) is not None:
            log.warning("http.login_failed", peer=peer, failed=failed)
        await asyncio.sleep(GUESS)
        if wait is None:
            return unauthorized("this is not the token")
        return error(429, "too many wrong tokens from this address", {"Retry-After": str(wait)})


def _bearer(headers: Headers) -> bytes | None:
    scheme, _, given = headers.get("authorization", "").partition(" ")
    return given.strip().encode("latin-1") if scheme.lower() == "bearer" else None


async def _token_of(request: Request) -> bytes | Response:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("application/x-www-form-urlencoded", "application/json"):
        return error(415, 'send token=… as application/x-www-form-urlencoded, or {"token": …} as application/json')
    body = bytearray()
    try:
        async with asyncio.timeout(FORM_WITHIN):
            async for chunk in request.stream():
                body += chunk
                if len(body) > LONGEST_FORM:
                    return error(413, f"a login has at most {LONGEST_FORM} bytes", {"Connection": "close"})
    except TimeoutError:
        return error(408, "the login did not arrive in time", {"Connection": "close"})
    except ClientDisconnect:
        return error(400, "the login did not arrive")
    try:
        if kind == "application/json":
            return msgspec.json.decode(body, type=_Form).token.encode()
        return parse_qs(body.decode(), strict_parsing=True, max_num_fields=8)["token"][0].encode()
    except (ValueError, KeyError, msgspec.MsgspecError):
        return error(400, "there is no `token` in it")


def _home(request: Request) -> Response | None:
    """A form of a browser without scripts is led back to the page."""
    if "text/html" in request.headers.get("accept", ""):
        return Response(status_code=303, headers={"Location": "/"})
    return None


def _cookie_name(request: Request) -> str:
    """Cookies know no ports: agent and historian of one gateway do not end each other's sessions."""
    prefix = "__Host-" if request.url.scheme == "https" else ""
    return f"{prefix}edge-agent-{request.scope['server'][1]}"


def _set_cookie(answer: Response, request: Request, value: str, seconds: int) -> None:
    answer.set_cookie(
        _cookie_name(request),
        value,
        max_age=seconds,
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
