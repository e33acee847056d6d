"""Strangers at the HTTP port: they may fill it, stay silent, guess, or send somebody's browser."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from agent.web import connection
from agent.web.door import MOST_GUESTS
from agent.web.server import Pages, serve
from tests.support.bent import watched
from tests.support.no_agent import no_agent
from tests.support.ports import free_port
from tests.support.waiting import eventually

TOKEN = "a-token-of-some-length"


@asynccontextmanager
async def served(token: Path | None = None) -> AsyncIterator[int]:
    """The port."""
    port = free_port()
    pages = Pages(
        healthy=lambda: None, ready=lambda: None, refresh=lambda: None, api=no_agent(),
        open_to_all=token is None, token_file=token,
    )  # fmt: skip
    async with asyncio.TaskGroup() as group:
        task = group.create_task(serve(pages.app(), "127.0.0.1", port))
        await eventually(lambda: _answers(port))
        yield port
        task.cancel()


async def _answers(port: int) -> bool:
    try:
        return (await get(port, "/healthz")).status_code == 200
    except httpx.HTTPError:
        return False


async def get(port: int, path: str, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        return await client.get(path, headers=headers)


async def test_whoever_fills_the_port_keeps_nobody_out() -> None:
    """Of a thousand half requests 64 stand; the probe and the status answer, and it is logged."""
    async with served() as port:
        held = []
        with capture_logs() as logs:
            for _ in range(1000):
                with contextlib.suppress(OSError):
                    held.append(await asyncio.open_connection("127.0.0.1", port))
                    held[-1][1].write(b"G")
            assert (await get(port, "/healthz")).status_code == 200
            assert (await get(port, "/api/v1/status")).status_code == 200

        async def few() -> bool:
            return sum(not reader.at_eof() and reader.exception() is None for reader, _ in held) <= MOST_GUESTS

        await eventually(few)
        assert "http.crowded" in [line["event"] for line in logs]
        for _, writer in held:
            writer.close()


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\nX: "])
async def test_a_header_that_does_not_end_ends_the_connection(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    """Silent or dripping; the second request of a connection too."""
    monkeypatch.setattr(connection, "HEADER_WITHIN", 0.2)
    async with served() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readuntil(b"}")
        second = await asyncio.open_connection("127.0.0.1", port)
        second[1].write(sent)
        writer.write(b"GET")
        for one in (reader, second[0]):
            async with asyncio.timeout(20):
                with contextlib.suppress(ConnectionError):
                    assert await one.read() == b""
        writer.close()
        second[1].close()


async def test_wrong_tokens_are_slowed_counted_and_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """401, from the fifth on 429 with Retry-After; the right one is never kept out, and the log has no token."""
    monkeypatch.setattr("agent.web.logins.GUESS", 0.01)
    (tmp_path / "token").write_text(TOKEN, encoding="utf-8")
    async with served(tmp_path / "token") as port:
        with capture_logs() as logs:
            answers = [await get(port, "/metrics", authorization=f"Bearer guess-{at}") for at in range(8)]
        assert [one.status_code for one in answers] == [401] * 4 + [429] * 4
        assert all(0 < int(one.headers["retry-after"]) <= 30 for one in answers[4:])
        (said,) = [line for line in logs if line["event"] == "http.login_failed"]
        assert (said["peer"], "guess" in str(said)) == ("127.0.0.1", False)
        right = await get(port, "/metrics", authorization=f"Bearer {TOKEN}")
        assert right.status_code == 200
        assert "edge_agent_http_logins_failed_total" in right.text


async def test_a_name_of_somebody_else_s_reads_nothing_on_loopback() -> None:
    """A page that had its own name lead to 127.0.0.1 (DNS rebinding) is refused; the probes have nothing to tell."""
    async with served() as port:
        for path, code in (("/api/v1/status", 403), ("/metrics", 403), ("/healthz", 200)):
            assert (await get(port, path, host=f"evil.example:{port}")).status_code == code
        for host in (f"localhost:{port}", f"[::1]:{port}"):
            assert (await get(port, "/api/v1/status", host=host)).status_code == 200


async def test_a_reader_who_does_not_read_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for it is not kept for ever."""
    monkeypatch.setattr(connection, "IDLE", 0.2)
    async with served() as port:
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect(("127.0.0.1", port))
            sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 500)
            sock.setblocking(False)

            async def gone() -> bool:
                with contextlib.suppress(BlockingIOError):
                    try:
                        return sock.send(b"G") == 0
                    except (ConnectionError, BrokenPipeError):
                        return True
                return False

            await eventually(gone, 20)


@pytest.mark.parametrize("sent", [b"x" * 60_000, b"1\r\nx\r\n" * 10_000], ids=["bytes", "chunks"])
async def test_a_body_that_nobody_asked_for_is_not_read(sent: bytes) -> None:
    """A visitor sends without end, in chunks of a byte too: it is answered, the rest is left alone."""
    async with served() as port, watched() as pulse:
        how = b"Transfer-Encoding: chunked" if sent.startswith(b"1\r") else b"Content-Length: 9999999999"
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + how + b"\r\n\r\n" + sent)
            with contextlib.suppress(ConnectionError):  # a reset where more was on its way
                async with asyncio.timeout(4):  # less than a header may take
                    assert (await reader.read()).startswith(b"HTTP/1.1 200")
            writer.close()
        assert (await get(port, "/healthz")).status_code == 200
    assert pulse.longest < 0.25


async def test_a_request_with_two_lengths_ends_its_connection() -> None:
    """A proxy that believes the other one would take what follows for somebody else's request (RFC 9112, 6.1)."""
    async with served() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        two = b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        follows = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + two + follows)
        async with asyncio.timeout(20):
            answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 400")
        assert answer.count(b"HTTP/1.1") == 1
        writer.close()
