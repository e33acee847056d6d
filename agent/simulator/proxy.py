"""A TCP proxy that can be cut, frozen, slowed, and lose everything: the cable between two parts of a demo or a test.

async with Proxy("127.0.0.1", broker.port) as cable:        # clients connect to cable.port
    await cable.cut()                                       # connections drop, new ones are refused
    await cable.restore()
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Self

_CHUNK = 1 << 16
_REBIND_TRIES = 20


class Proxy:
    """Listens at a free port of loopback, kept while it is cut, and passes bytes to and from `host`:`target_port`."""

    def __init__(self, host: str, target_port: int) -> None:
        self._target = (host, target_port)
        self.port = 0
        self.delay = 0.0  #: seconds every chunk is held back
        self.connections = 0  #: how many have been accepted since the beginning
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server: asyncio.Server | None = None
        self._group: asyncio.TaskGroup | None = None
        self._pipes: set[asyncio.Task[None]] = set()

    @property
    def is_cut(self) -> bool:
        """Whether connections are refused just now."""
        return self._server is None

    async def __aenter__(self) -> Self:
        self._group = asyncio.TaskGroup()
        await self._group.__aenter__()
        try:
            await self.restore()
        except BaseException:
            await self._group.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(self, *_exc: object) -> None:
        assert self._group is not None  # noqa: S101  # entered before
        try:
            await self.cut()
        finally:
            await self._group.__aexit__(None, None, None)

    async def cut(self) -> None:
        """Drop every connection (reset, not closed in order) and refuse new ones."""
        if self._server is not None:
            server, self._server = self._server, None
            server.close()
        for pipe in tuple(self._pipes):
            pipe.cancel()
        if self._pipes:
            await asyncio.wait(tuple(self._pipes))

    async def restore(self) -> None:
        """Accept connections again, on the same port, and let bytes flow."""
        self._flowing.set()
        tries = 0
        while self._server is None:
            tries += 1
            try:
                self._server = await self._listen()
            except OSError:
                if not self.port or tries == _REBIND_TRIES:
                    raise
                await asyncio.sleep(0.1)  # the port may serve as the near end of somebody's outgoing connection
        self.port = self._server.sockets[0].getsockname()[1]

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._accept, "127.0.0.1", self.port, limit=_CHUNK)

    def freeze(self) -> None:
        """Pass nothing any more, but keep connections and accept new ones: a peer that hangs."""
        self._flowing.clear()

    def thaw(self) -> None:
        """Let bytes flow again; what was held back is passed on."""
        self._flowing.set()

    def lose(self) -> None:
        """Packets vanish: both ends of what stands wait for each other for ever, new connections hang until `thaw`."""
        self._flowing.clear()
        self._flowing = asyncio.Event()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert self._group is not None  # noqa: S101  # only a listening proxy accepts
        self.connections += 1
        pipe = self._group.create_task(self._serve(reader, writer), name=f"proxy-{self.connections}")
        self._pipes.add(pipe)
        pipe.add_done_callback(self._pipes.discard)
        pipe.add_done_callback(lambda _: writer.transport.abort())  # also where it was cancelled before it began

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far: asyncio.StreamWriter | None = None
        try:
            with suppress(OSError):
                far_reader, far = await asyncio.open_connection(*self._target, limit=_CHUNK)
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._pass(reader, far))
                    both.create_task(self._pass(far_reader, writer))
        finally:
            for end in (writer, far):
                if end is not None:
                    end.transport.abort()

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        flowing = self._flowing
        with suppress(OSError):
            while data := await source.read(_CHUNK):
                if self.delay > 0:
                    await asyncio.sleep(self.delay)
                await flowing.wait()
                if sink.is_closing():  # uvloop raises where asyncio drops
                    return
                sink.write(data)
                await sink.drain()
            await flowing.wait()
            if sink.can_write_eof() and not sink.is_closing():
                sink.write_eof()
        await flowing.wait()  # a reset is not passed on either
