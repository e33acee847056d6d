"""Viewers that do not read, vanish, or come in crowds: they cost the agent next to nothing, and nobody a value."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from agent.core.flow import Batch, Gap, Reading
from agent.testing.clock import ManualClock
from agent.web.api import Api
from agent.web.server import Pages
from agent.web.stream import LiveStream
from tests.support.no_agent import NoAgent
from tests.support.waiting import eventually
from tests.support.web import serving

TAGS = [f"tag_{number:05}" for number in range(10_000)]


class Plant(NoAgent):
    """One device of 10,000 tags."""

    def __init__(self) -> None:
        self.taps: list[Callable[[Batch | Gap], None]] = []
        self.value = 0

    def tap(self, append: Any, /) -> Callable[[], None]:
        self.taps.append(append)
        return lambda: self.taps.remove(append)

    def values(self, device: str, tags: Iterable[str] | None, /) -> dict[str, Any] | None:
        if device != "press-01":
            return None
        return dict.fromkeys(TAGS if tags is None else tags, (self.value, "good", self.value))

    def read(self) -> None:
        """All tags have another value."""
        self.value += 1
        batch = Batch("press-01", 0, [Reading(tag, self.value, self.value, "good") for tag in TAGS])
        for tap in self.taps:
            tap(batch)


class Served:
    def __init__(self, plant: Plant, stream: LiveStream, clock: ManualClock, port: int) -> None:
        self.plant, self.stream, self.clock, self.port = plant, stream, clock, port

    async def scan(self) -> None:
        """Everything is read, and handed out."""
        self.plant.read()
        await self.clock.advance(0.3)

    async def ask(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
        reader, writer = await asyncio.open_connection(sock=sock, limit=4096)
        writer.write(b"GET /api/v1/stream?device=press-01 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return reader, writer


@asynccontextmanager
async def served(token: Path | None = None) -> AsyncIterator[Served]:
    plant, clock = Plant(), ManualClock()
    stream = LiveStream(plant, clock)
    pages = Pages(
        healthy=lambda: None, ready=lambda: None, refresh=lambda: None, api=Api(plant, stream),
        open_to_all=token is None, token_file=token,
    )  # fmt: skip
    async with asyncio.TaskGroup() as group:
        ticking = group.create_task(stream.run())
        async with serving(pages.app()) as port:
            yield Served(plant, stream, clock, port)
        ticking.cancel()


async def test_a_viewer_that_does_not_read_holds_up_nobody() -> None:
    """Seven ask and do not read; the eighth has each newest value, and nothing is kept for the seven."""
    async with served() as at:
        slow = [await at.ask() for _ in range(7)]
        await eventually(lambda: len(at.stream._viewers) == 7)
        reader, writer = await at.ask()
        await eventually(lambda: at.stream.full)
        for _ in range(20):
            await at.scan()
        newest = f'[{at.plant.value},"good",{at.plant.value}]'.encode()
        tail = b""
        while newest not in tail:
            tail = tail[-100:] + await reader.read(65536)
        kept = sum(len(data) for viewer in at.stream._viewers for data in viewer.due.values())
        assert kept < 8 * 1_000_000  # one event each at most, not twenty
        for _, one in [*slow, (reader, writer)]:
            one.transport.abort()
        await eventually(lambda: not at.stream._viewers, what="their places are free")
        assert at.plant.taps == []


async def test_the_ninth_viewer_is_told() -> None:
    """503 with JSON; a place is free again as soon as one of the eight goes."""
    async with served() as at, httpx.AsyncClient(base_url=f"http://127.0.0.1:{at.port}") as client:
        viewers = [await at.ask() for _ in range(8)]
        await eventually(lambda: at.stream.full)
        refused = await client.get("/api/v1/stream")
        assert (refused.status_code, "viewers" in refused.json()["error"]) == (503, True)
        assert (await client.get("/api/v1/stream?device=nobody")).status_code == 404
        viewers[3][1].transport.abort()
        await eventually(lambda: not at.stream.full)
        async with client.stream("GET", "/api/v1/stream") as answer:
            assert answer.status_code == 200
        for _, writer in viewers:
            writer.transport.abort()
        await eventually(lambda: not at.stream._viewers)


async def test_viewers_that_vanish_leave_nothing_behind() -> None:
    """Two hundred come and go, some in the midst of what they are sent; the next gets its values."""
    async with served() as at:
        for number in range(200):
            reader, writer = await at.ask()
            if number % 3:
                await reader.read(100)
            writer.transport.abort()
        await eventually(lambda: not at.stream._viewers)
        reader, writer = await at.ask()
        assert b"event: status" in await reader.readuntil(b"event: status")
        writer.transport.abort()
        await eventually(lambda: not at.stream._viewers)


async def test_a_stream_ends_with_its_login(tmp_path: Path) -> None:
    """Another token in the file, and whoever came with the old one sees nothing more."""
    token = tmp_path / "token"
    token.write_text("a-token-of-some-length")
    async with served(token) as at, AsyncExitStack() as stack:
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=f"http://127.0.0.1:{at.port}", timeout=30))
        login = await client.post("/api/v1/login", json={"token": "a-token-of-some-length"})
        assert login.status_code == 200
        answer = await stack.enter_async_context(client.stream("GET", "/api/v1/stream"))
        lines = answer.aiter_lines()
        assert await anext(lines) == "retry: 3000"
        token.write_text("another-token-of-some-length")
        async for _ in lines:
            pass
        assert not at.stream._viewers
        assert (await client.get("/api/v1/status")).status_code == 401


async def test_a_status_is_json_whatever_is_in_it() -> None:
    """Line breaks in a value would end an event of the stream; JSON has none."""
    async with served() as at:
        at.plant.values = lambda _device, _tags: {"a\n\ndata: b": ("x\r\n\r\nevent: y", "good", 0)}  # type: ignore[method-assign]
        reader, writer = await at.ask()
        text = (await reader.readuntil(b'"good"')).decode()
        event = text[text.index("event: values") :]
        assert event.count("\n") == 1
        assert json.loads(event.partition("data: ")[2] + ",0]}}")["tags"]["a\n\ndata: b"][0] == "x\r\n\r\nevent: y"
        writer.transport.abort()
        await eventually(lambda: not at.stream._viewers)
