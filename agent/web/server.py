"""The HTTP server: /healthz, /readyz, /metrics, /api/v1/status on one port.

Who may have which of them: `guard.py`. A broker or a device that is away never makes the agent unhealthy: a restart
would not bring it back.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from asyncio import TaskGroup
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from uvicorn.config import Config
from uvicorn.server import Server

from agent.core.clock import to_beat
from agent.core.errors import PermanentError, TransientError, exhausted
from agent.telemetry.exposition import exposition
from agent.telemetry.logging import get_logger
from agent.telemetry.metrics import REGISTRY
from agent.web import files
from agent.web.answers import error, json_answer
from agent.web.api import Api
from agent.web.connection import IDLE
from agent.web.guard import Guard
from agent.web.hall import Hall
from agent.web.logins import Logins
from agent.web.plain import StatusApi
from agent.web.tls import RETRY, Certificate

_BACKLOG = 64  #: connections the kernel keeps for us, accepted in one go

log = get_logger("web")

uvicorn.Config = Config  # type: ignore[misc]  # a part of it asks the package, which is not to be run for it (core/later.py)


class _Server(Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the composition root's."""
        yield

    async def main_loop(self) -> None:
        """The date of answers, once a second: the library looks ten times, which is a third of what idling costs."""
        ended = False
        while not ended:
            ended = await self.on_tick(0)
            await asyncio.sleep(to_beat(time.monotonic(), 1.0))


class Pages:
    """What is served. `healthy` and `ready` answer None, or what is wrong; `refresh` sets gauges that are pulled."""

    def __init__(
        self,
        *,
        healthy: Callable[[], str | None],
        ready: Callable[[], str | None],
        refresh: Callable[[], None],
        api: Api | StatusApi,
        open_to_all: bool,
        token_file: Path | None,
    ) -> None:
        self._healthy = healthy
        self._ready = ready
        self._refresh = refresh
        self._api = api
        self._open_to_all = open_to_all
        self._logins = None if token_file is None else Logins(token_file)

    def app(self) -> Guard:
        """The ASGI application. No route asks who may have it: the guard has asked."""
        return Guard(self._routes(), open_to_all=self._open_to_all, logins=self._logins)

    def _routes(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/healthz", self._healthz),
                Route("/readyz", self._readyz),
                Route("/metrics", self._metrics),
                *self._api.routes(),
                *files.routes(),
            ],
            exception_handlers={HTTPException: _as_json},
        )

    async def _healthz(self, _request: Request) -> Response:
        return _probe(self._healthy())

    async def _readyz(self, _request: Request) -> Response:
        return _probe(self._ready())

    async def _metrics(self, _request: Request) -> Response:
        self._refresh()
        written: list[bytes] = []
        for piece in exposition(REGISTRY):
            written.append(piece)
            await asyncio.sleep(0)  # whoever reads a device goes on meanwhile
        return Response(b"".join(written), media_type="text/plain; version=0.0.4; charset=utf-8")


async def _as_json(_request: Request, refused: Exception) -> Response:
    """No such path, no such method."""
    if not isinstance(refused, HTTPException):
        raise refused
    return error(refused.status_code, refused.detail, dict(refused.headers or {}))


def _probe(problem: str | None) -> Response:
    content = {"status": "ok" if problem is None else "failed", "reason": problem}
    return json_answer(content, code=200 if problem is None else 503)


async def serve(
    app: Guard,
    host: str,
    port: int,
    certificate: Certificate | None = None,
    listening: Callable[[], None] = lambda: None,
) -> None:
    """Serve until cancelled, with TLS where there is a certificate; `listening` is called once the port is open.

    Raises PermanentError where the port cannot be opened, TransientError where that or the certificate has to wait.
    """
    if certificate is not None:
        await certificate.context()
    with _listener(host, port) as listener:
        log.info("http.listening", host=host, port=listener.getsockname()[1], tls=certificate is not None)
        listening()
        await _serve_on(listener, app, certificate)


def _listener(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as failed:
        reason = f"cannot listen on {host}:{port}: {failed.strerror or failed}"
        if exhausted(failed):
            raise TransientError(reason, retry_after=RETRY) from failed
        raise PermanentError(reason, "choose another http.port, or stop what uses it") from failed


async def _serve_on(listener: socket.socket, app: Guard, certificate: Certificate | None) -> None:
    config = Config(
        app,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # who sends X-Forwarded-For may write there what he likes
        timeout_keep_alive=IDLE,
        timeout_graceful_shutdown=1,
    )
    server = _Server(config)
    async with TaskGroup() as group:
        group.create_task(app.keep(), name="web logins")
        hall = Hall(group, config, server.server_state, app.pace, certificate)
        door = group.create_task(hall.receive(listener), name="web door")
        try:
            await server.serve(sockets=[])
        except asyncio.CancelledError:
            # Cancelled in mid-serving, uvicorn leaves its connections open: close them, but never wait for a peer.
            door.cancel()
            await asyncio.wait([door])
            listener.close()
            app.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await server.shutdown(sockets=[])
            raise
