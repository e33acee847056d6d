"""Health, metrics and status over real HTTP."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from agent.core.backoff import Backoff
from agent.core.errors import PermanentError
from agent.runtime.supervisor import Attempt, Supervisor
from agent.telemetry.metrics import REGISTRY
from agent.testing.clock import ManualClock
from agent.web.server import Pages, serve
from tests.support.no_agent import no_agent
from tests.support.ports import free_port
from tests.support.waiting import eventually


def _pages(*, problem: str | None = None, open_to_all: bool = True, token_file: Path | None = None) -> Pages:
    return Pages(
        healthy=lambda: None,
        ready=lambda: problem,
        refresh=lambda: None,
        api=no_agent(),
        open_to_all=open_to_all,
        token_file=token_file,
    )


async def _get(pages: Pages, path: str, **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(app=pages.app())
    async with httpx.AsyncClient(transport=transport, base_url="http://gw") as client:
        return await client.get(path, headers=headers)


async def test_metrics_of_many_devices_hold_up_nobody() -> None:
    """The loop has a turn after each piece: whoever reads a device does not wait for all of them."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        running = group.create_task(others())
        assert (await _get(_pages(), "/metrics", host="localhost")).status_code == 200
        running.cancel()
    assert turns > len(REGISTRY)


async def test_served_over_a_real_socket_and_gone_after_cancel() -> None:
    """The server answers on its port, and the port is free again once it is cancelled."""
    port = free_port()
    async with asyncio.TaskGroup() as group, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        task = group.create_task(serve(_pages().app(), "127.0.0.1", port))

        async def answers() -> bool:
            try:
                return (await client.get("/healthz")).status_code == 200
            except httpx.ConnectError:
                return False

        await eventually(answers)
        assert (await client.get("/api/v1/status")).json() == {"agent": {"id": "gw-01"}}
        assert "edge_agent_build_info" in (await client.get("/metrics")).text
        task.cancel()
        await asyncio.wait([task])
    server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", port)
    server.close()
    await server.wait_closed()


async def test_a_port_in_use_is_a_permanent_error() -> None:
    """The message says which port, and what to do."""
    server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(PermanentError, match=f"{port}.*http.port"):
        await serve(_pages().app(), "127.0.0.1", port)
    server.close()
    await server.wait_closed()


async def test_a_port_in_use_is_said_once() -> None:
    """One port in use makes one error line: its supervisor's."""
    clock = ManualClock()
    server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def attempt(_: Attempt) -> None:
        await serve(_pages().app(), "127.0.0.1", port)

    with capture_logs() as logs:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(Supervisor("web", clock=clock, backoff=Backoff()).run(attempt))
            await eventually(lambda: clock.sleepers == 1)
            task.cancel()
    server.close()
    await server.wait_closed()
    errors = [line for line in logs if line["log_level"] == "error"]
    assert [(line["event"], str(port) in line["reason"]) for line in errors] == [("component.failed", True)]


async def test_not_ready_is_503_with_the_reason() -> None:
    """Readiness says why not; health does not depend on it."""
    pages = _pages(problem="starting or stopping")
    assert (await _get(pages, "/readyz")).json() == {"status": "failed", "reason": "starting or stopping"}
    assert (await _get(pages, "/readyz")).status_code == 503
    assert (await _get(pages, "/healthz")).status_code == 200


@pytest.mark.parametrize("path", ["/metrics", "/api/v1/status"])
async def test_beyond_loopback_everything_but_probes_needs_the_token(path: str, tmp_path: Path) -> None:
    """Without auth configured nothing but the probes answers; with it, only to who has the token."""
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    assert (await _get(_pages(open_to_all=False), path)).status_code == 401
    guarded = _pages(open_to_all=False, token_file=token)
    assert (await _get(guarded, path)).status_code == 401
    assert (await _get(guarded, path, authorization="Bearer wrong")).status_code == 401
    assert (await _get(guarded, path, authorization="Bearer s3cret")).status_code == 200
    assert (await _get(guarded, "/healthz")).status_code == 200


async def test_an_empty_or_missing_token_file_opens_nothing(tmp_path: Path) -> None:
    """An empty secret is no secret."""
    (tmp_path / "empty").write_text("")
    for name in ("empty", "missing"):
        guarded = _pages(open_to_all=False, token_file=tmp_path / name)
        assert (await _get(guarded, "/metrics", authorization="Bearer ")).status_code == 401
