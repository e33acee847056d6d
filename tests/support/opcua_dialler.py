"""A server behind a firewall: it calls the agent, says who it is, and from the agent's Hello on is a real one.

async with calling(port, plant.url, "urn:plant") as dialler:     # calls again whenever a connection has ended
    dialler.calls; dialler.answers; await dialler.hush(); dialler.resume()
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

PAUSE = 0.02  #: seconds between two calls


def reverse_hello(server_uri: str, endpoint_url: str) -> bytes:
    """The message as the standard draws it (OPC 10000-6, 7.1.2.6)."""
    texts = b"".join(struct.pack("<i", len(text)) + text for text in (server_uri.encode(), endpoint_url.encode()))
    return b"RHEF" + struct.pack("<I", 8 + len(texts)) + texts


class Dialler:
    """What calls."""

    def __init__(self, to: int, url: str, hello: bytes) -> None:
        self._to, self._url, self._hello = to, urlsplit(url), hello
        self.calls = 0  #: that were accepted
        self.answers: list[bytes] = []  #: the first bytes the agent said, one for each call it answered
        self._free = asyncio.Event()
        self._free.set()
        self._standing: set[asyncio.StreamWriter] = set()

    async def hush(self) -> None:
        """Hang up and do not call again."""
        self._free.clear()
        await self.hang_up()

    def resume(self) -> None:
        """Call again."""
        self._free.set()

    async def hang_up(self) -> None:
        """End the connection that stands."""
        for writer in list(self._standing):
            writer.transport.abort()
        await asyncio.sleep(0)

    async def run(self) -> None:
        """Call for ever."""
        while True:
            await self._free.wait()
            with suppress(OSError):
                await self._call()
            await asyncio.sleep(PAUSE)

    async def _call(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._to)
        self._standing.add(writer)
        try:
            writer.write(self._hello)
            self.calls += 1
            first = await reader.read(65536)
            if first:
                self.answers.append(first)
            if first.startswith(b"HEL"):
                await self._pipe(first, reader, writer)
        finally:
            self._standing.discard(writer)
            writer.transport.abort()

    async def _pipe(self, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far = await asyncio.open_connection(self._url.hostname, self._url.port)
        try:
            far.write(first)
            async with asyncio.TaskGroup() as both:
                both.create_task(_pass(reader, far))
                both.create_task(_pass(far_reader, writer))
        except* OSError:
            pass
        finally:
            far.transport.abort()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.transport.abort()


@asynccontextmanager
async def calling(to: int, url: str, server_uri: str, endpoint_url: str | None = None) -> AsyncIterator[Dialler]:
    """The server at `url` calls 127.0.0.1:`to`. It wants to be called by its url unless something else is said."""
    dialler = Dialler(to, url, reverse_hello(server_uri, url if endpoint_url is None else endpoint_url))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(dialler.run())
        try:
            yield dialler
        finally:
            task.cancel()
    await asyncio.sleep(0)
