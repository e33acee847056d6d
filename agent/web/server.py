"""The HTTP server: /healthz, /readyz, /metrics, /api/v1/status on one port.

Beyond loopback only the two probes answer without the bearer token of `auth:`; on loopback the rest answers only to who
asked for this machine by a name of loopback, so that no page of somebody else's reads it through a browser. A broker or
a device that is away never makes the agent unhealthy: a restart would not bring it back.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from prometheus_client import generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.core.errors import PermanentError
from agent.settings.values import read_secret
from agent.telemetry.logging import get_logger
from agent.telemetry.metrics import HTTP_LOGINS_FAILED, REGISTRY
from agent.web.connection import GUEST, IDLE, bounded
from agent.web.door import Guesses, names_this_machine, network

_encode = msgspec.json.Encoder(enc_hook=str).encode

_BACKLOG = 64  #: connections the kernel keeps for us, accepted in one go
_GUESS = 0.5  #: seconds a wrong token waits for its answer

log = get_logger("web")


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the composition root's."""
        yield


class Pages:
    """What is served. `healthy` and `ready` answer None, or what is wrong; `refresh` sets gauges that are pulled."""

    def __init__(
        self,
        *,
        healthy: Callable[[], str | None],
        ready: Callable[[], str | None],
        refresh: Callable[[], None],
        status: Callable[[], dict[str, Any]],
        open_to_all: bool,
        token_file: Path | None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._healthy = healthy
        self._ready = ready
        self._refresh = refresh
        self._status = status
        self._open_to_all = open_to_all
        self._token_file = token_file
        self._monotonic = monotonic
        self._guesses = Guesses()

    def app(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/healthz", self._healthz),
                Route("/readyz", self._readyz),
                Route("/metrics", self._metrics),
                Route("/api/v1/status", self._show_status),
            ],
        )

    async def _healthz(self, _request: Request) -> Response:
        return _probe(self._healthy())

    async def _readyz(self, _request: Request) -> Response:
        return _probe(self._ready())

    async def _metrics(self, request: Request) -> Response:
        if (refusal := await self._refusal(request)) is not None:
            return refusal
        self._refresh()
        return Response(generate_latest(REGISTRY), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def _show_status(self, request: Request) -> Response:
        if (refusal := await self._refusal(request)) is not None:
            return refusal
        return Response(_encode(self._status()), media_type="application/json")

    async def _refusal(self, request: Request) -> Response | None:
        """What somebody hears who may not have this; None: it is his."""
        if self._open_to_all:
            if names_this_machine(request.headers.get("host")):
                return None
            return _error(403, "this agent listens on loopback; ask for it as 127.0.0.1 or localhost")
        given = request.headers.get("authorization", "")
        if self._token_file is None or not given.startswith("Bearer "):
            why = "send Authorization: Bearer <token>" if self._token_file else "set http.auth in the configuration"
            return _unauthorized(f"beyond loopback this needs authentication: {why}")
        if self._is_token(given.removeprefix("Bearer "), self._token_file):
            if (guest := request.scope.get(GUEST)) is not None:
                guest.proved = True
            return None
        return await self._wrong(network(request.client.host if request.client else None))

    @staticmethod
    def _is_token(given: str, file: Path) -> bool:
        try:
            token = read_secret(file)
        except (OSError, ValueError):
            return False
        return bool(token) and hmac.compare_digest(given.encode(), token.encode())

    async def _wrong(self, peer: str) -> Response:
        """A right token is never kept waiting for wrong ones: others may come from the same address."""
        HTTP_LOGINS_FAILED.inc()
        now = self._monotonic()
        wait = self._guesses.wrong(peer, now)
        if (failed := self._guesses.due(peer, now)) is not None:
            log.warning("http.login_failed", peer=peer, failed=failed)
        await asyncio.sleep(_GUESS)
        if wait is None:
            return _unauthorized("this is not the token")
        return _error(429, "too many wrong tokens from this address", {"Retry-After": str(wait)})


def _unauthorized(why: str) -> Response:
    return _error(401, why, {"WWW-Authenticate": "Bearer"})


def _error(code: int, why: str, headers: dict[str, str] | None = None) -> Response:
    return Response(_encode({"error": why}), status_code=code, media_type="application/json", headers=headers)


def _probe(problem: str | None) -> Response:
    body = _encode({"status": "ok" if problem is None else "failed", "reason": problem})
    return Response(body, status_code=200 if problem is None else 503, media_type="application/json")


async def serve(app: Starlette, host: str, port: int) -> None:
    """Serve until cancelled. Raises PermanentError where the port cannot be opened."""
    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        reason = f"cannot listen on {host}:{port}: {error.strerror or error}"
        raise PermanentError(reason, "choose another http.port, or stop what uses it") from error
    log.info("http.listening", host=host, port=listener.getsockname()[1])
    config = uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        http=bounded(),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=IDLE,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=1,
    )
    server = _Server(config)
    with listener:
        try:
            await server.serve(sockets=[listener])
        except asyncio.CancelledError:
            # Cancelled in mid-serving, uvicorn leaves its connections open: close them, but never wait for a peer.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await server.shutdown(sockets=[listener])
            raise
