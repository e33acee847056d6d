"""The HTTP server: /healthz, /readyz, /metrics, /api/v1/status on one port.

Beyond loopback only the two probes answer without the bearer token of `auth:`. A broker or a device that is away never
makes the agent unhealthy: a restart would not bring it back.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import socket
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
from agent.telemetry.metrics import REGISTRY

_encode = msgspec.json.Encoder(enc_hook=str).encode

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
    ) -> None:
        self._healthy = healthy
        self._ready = ready
        self._refresh = refresh
        self._status = status
        self._open_to_all = open_to_all
        self._token_file = token_file

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
        if not self._allowed(request):
            return self._refuse()
        self._refresh()
        return Response(generate_latest(REGISTRY), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def _show_status(self, request: Request) -> Response:
        if not self._allowed(request):
            return self._refuse()
        return Response(_encode(self._status()), media_type="application/json")

    def _allowed(self, request: Request) -> bool:
        if self._open_to_all:
            return True
        given = request.headers.get("authorization", "")
        if self._token_file is None or not given.startswith("Bearer "):
            return False
        try:
            token = read_secret(self._token_file)
        except (OSError, ValueError):
            return False
        return bool(token) and hmac.compare_digest(given.removeprefix("Bearer ").encode(), token.encode())

    def _refuse(self) -> Response:
        why = "send Authorization: Bearer <token>" if self._token_file else "set http.auth in the configuration"
        body = _encode({"error": f"beyond loopback this needs authentication: {why}"})
        return Response(body, status_code=401, media_type="application/json", headers={"WWW-Authenticate": "Bearer"})


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
        http="h11",
        log_config=None,
        access_log=False,
        server_header=False,
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
