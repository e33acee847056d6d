"""The other sides: a device that counts, and somebody who takes a feed. Real sockets on loopback."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress


class Peer:
    """A server on a port of its own that can go away and come back."""

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def connections(self) -> int:
        return len(self._writers)

    async def up(self) -> None:
        """Serve, on the same port each time."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def down(self) -> None:
        """Be gone, connections too."""
        if self._server is not None:
            self._server.close()
            self.cut()
            self._server = None

    def cut(self) -> None:
        """End every connection without a word."""
        for writer in tuple(self._writers):
            writer.transport.abort()

    def tell(self, line: bytes) -> None:
        """Say something to everybody who is connected."""
        for writer in self._writers:
            writer.write(line)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            with suppress(OSError):
                while line := await reader.readline():
                    writer.write(self.answer(line))
        finally:
            self._writers.discard(writer)
            writer.close()

    def answer(self, line: bytes) -> bytes:
        raise AssertionError(line)


class Counter(Peer):
    """Each name counts for itself; what is called `broken…` has no number."""

    def __init__(self) -> None:
        super().__init__()
        self._counts: dict[bytes, int] = {}

    def answer(self, line: bytes) -> bytes:
        name = line.removeprefix(b"GET ").strip()
        if name.startswith(b"broken"):
            return b"no such counter\n"
        self._counts[name] = self._counts.get(name, 0) + 1
        return b"%d\n" % self._counts[name]


class Taker(Peer):
    """Takes a feed, acknowledges each message."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[tuple[str, str]] = []
        self._more = asyncio.Event()

    def answer(self, line: bytes) -> bytes:
        topic, payload = json.loads(line)
        self.taken.append((topic, payload))
        self._more.set()
        return b"ok\n"

    async def has(self, count: int) -> None:
        """Return once so many messages were taken; at most 5 s."""
        async with asyncio.timeout(5):
            while len(self.taken) < count:
                self._more.clear()
                await self._more.wait()
