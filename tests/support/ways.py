"""Ways to a broker that are not plain TCP: a WebSocket gateway, an HTTP proxy, a SOCKS 5 proxy. Each passes bytes on.

async with gateway(broker.port) as way: ...      # way.port, way.seen: what was asked of it
"""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial


@dataclass
class Way:
    """Where it listens, and what it was asked."""

    port: int = 0
    seen: list[str] = field(default_factory=list)
    refuse: bool = False


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def _listening(way: Way, serve: Serve) -> AsyncIterator[Way]:
    async with asyncio.TaskGroup() as group:
        tasks = []

        async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await serve(reader, writer)
            except* (OSError, asyncio.IncompleteReadError):
                pass  # whoever came has gone
            finally:
                writer.close()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tasks.append(group.create_task(guarded(reader, writer)))

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        way.port = server.sockets[0].getsockname()[1]
        try:
            yield way
        finally:
            server.close()
            for task in tasks:
                task.cancel()
    await asyncio.sleep(0)  # the sockets close in the next turn


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.transport.abort()


async def _join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    far_reader, far = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(_pass(reader, far))
            both.create_task(_pass(far_reader, writer))
    finally:
        far.transport.abort()


async def _head(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]]:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    return first, {key.lower(): value for key, _, value in (line.partition(": ") for line in lines if line)}


# --- WebSocket (RFC 6455) ---------------------------------------------------------------------------------------------


async def _upgrade(way: Way, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    first, headers = await _head(reader)
    way.seen.append(f"{first} {headers.get('sec-websocket-protocol')}")
    if way.refuse:
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        return
    key = headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    accept = b64encode(hashlib.sha1(key.encode()).digest()).decode()  # noqa: S324 - the standard's
    writer.write(
        f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n".encode()
    )
    far_reader, far = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(_unwrap(reader, far))
            both.create_task(_wrap(far_reader, writer))
    finally:
        far.transport.abort()


async def _unwrap(reader: asyncio.StreamReader, far: asyncio.StreamWriter) -> None:
    with suppress(asyncio.IncompleteReadError):
        while True:
            _, length = await reader.readexactly(2)
            assert length & 0x80, "a client masks"
            length &= 0x7F
            if length >= 126:
                length = int.from_bytes(await reader.readexactly(2 if length == 126 else 8), "big")
            mask = await reader.readexactly(4)
            data = await reader.readexactly(length)
            far.write(bytes(byte ^ mask[at % 4] for at, byte in enumerate(data)))
    far.transport.abort()


async def _wrap(far: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x89\x00")  # a ping: not part of the stream
    while data := await far.read(1000):
        length = bytes((len(data),)) if len(data) < 126 else b"\x7e" + len(data).to_bytes(2, "big")
        writer.write(b"\x82" + length + data)
        await writer.drain()
    writer.transport.abort()


@asynccontextmanager
async def gateway(port: int) -> AsyncIterator[Way]:
    """Takes WebSocket, and passes what is in it to `port`."""
    way = Way()
    async with _listening(way, partial(_upgrade, way, port)):
        yield way


# --- proxies ----------------------------------------------------------------------------------------------------------


async def _connect(way: Way, user: str | None, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    first, headers = await _head(reader)
    way.seen.append(first)
    if user is not None and b64decode(headers.get("proxy-authorization", "").removeprefix("Basic ")).decode() != user:
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
    elif way.refuse:
        writer.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")
    else:
        writer.write(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")
        await _join(reader, writer, int(first.split()[1].rpartition(":")[2]))
    await writer.drain()


@asynccontextmanager
async def http_proxy(user: str | None = None) -> AsyncIterator[Way]:
    """CONNECT only. `user`: the `name:password` it wants."""
    way = Way()
    async with _listening(way, partial(_connect, way, user)):
        yield way


async def _socks(way: Way, user: str | None, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    _, count = await reader.readexactly(2)
    methods = await reader.readexactly(count)
    wanted = 0 if user is None else 2
    writer.write(bytes((5, wanted if wanted in methods else 255)))
    if wanted and wanted in methods:
        name = await reader.readexactly((await reader.readexactly(2))[1])
        password = await reader.readexactly((await reader.readexactly(1))[0])
        right = f"{name.decode()}:{password.decode()}" == user
        writer.write(bytes((1, not right)))
        if not right:
            await writer.drain()
            return
    *_, kind = await reader.readexactly(4)
    length = {1: 4, 4: 16}.get(kind) or (await reader.readexactly(1))[0]
    host, port = await reader.readexactly(length), int.from_bytes(await reader.readexactly(2), "big")
    way.seen.append(f"{kind} {host.decode() if kind == 3 else '.'.join(map(str, host))}:{port}")
    writer.write(bytes((5, 2 if way.refuse else 0, 0, 3, 4)) + b"test" + bytes(2))
    if not way.refuse:
        await _join(reader, writer, port)
    await writer.drain()


@asynccontextmanager
async def socks_proxy(user: str | None = None) -> AsyncIterator[Way]:
    """SOCKS 5. `user`: the `name:password` it wants."""
    way = Way()
    async with _listening(way, partial(_socks, way, user)):
        yield way
