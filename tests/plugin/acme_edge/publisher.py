"""`type: feed`: messages as lines of JSON over TCP; the other side acknowledges each by its number, in order."""

from __future__ import annotations

import asyncio
import json
from asyncio import Future
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Literal

from agent.core.errors import ConnectionLost
from agent.core.flow import Incoming, Limits, Message
from agent.core.ports import BuildContext, Publisher, WillMaker
from agent.settings import PublisherConfig

#: Messages on their way at a time.
WINDOW = 20


class FeedConfig(PublisherConfig):
    """A feed over TCP."""

    type: Literal["feed"]
    """A feed over TCP."""
    host: str = "127.0.0.1"
    """Who takes it."""
    port: int
    """Its port."""

    def build(self, name: str, context: BuildContext) -> Publisher:
        return FeedPublisher(self.host, self.port)


class FeedPublisher:
    """Implements `core.ports.Publisher`. A will is of no use here: the other side sees the connection end."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port

    @asynccontextmanager
    async def open(self, will: Message | WillMaker | None, listens: Sequence[str], /) -> AsyncIterator[FeedSession]:
        try:
            async with asyncio.timeout(10):
                reader, writer = await asyncio.open_connection(self._host, self._port)
        except (OSError, TimeoutError) as error:
            raise ConnectionLost(f"cannot reach {self._host}:{self._port}: {error!r}") from error
        session = FeedSession(writer, f"{self._host}:{self._port}")
        hearing = asyncio.TaskGroup()
        async with hearing:
            task = hearing.create_task(session.hear(reader), name="feed")
            try:
                yield session
            finally:
                session.end("left")
                task.cancel()
                writer.close()


class FeedSession:
    """Implements `core.ports.Session`."""

    def __init__(self, writer: asyncio.StreamWriter, server: str) -> None:
        self.limits = Limits(protocol="feed", window=WINDOW, server=server, retain=False, will=False, properties=False)
        self._writer = writer
        self._waiting: deque[Future[None]] = deque()  # one for each message on its way, oldest first
        self._space = asyncio.Semaphore(WINDOW)
        self._heard: asyncio.Queue[Incoming | None] = asyncio.Queue()
        self._why: str | None = None
        self._ended = asyncio.Event()

    async def send(self, messages: Sequence[Message], /) -> Future[None]:
        loop = asyncio.get_running_loop()
        last: Future[None] = loop.create_future()
        if not messages:
            last.set_result(None)
        for message in messages:
            await self._space.acquire()
            if self._why is not None:
                raise ConnectionLost(self._why)
            one = last if message is messages[-1] else loop.create_future()
            self._waiting.append(one)
            self._writer.write(json.dumps([message.topic, message.payload.decode(errors="replace")]).encode() + b"\n")
        with suppress(OSError):  # what it means, `hear` finds out
            await self._writer.drain()
        return last

    async def incoming(self) -> AsyncIterator[Incoming]:
        while (one := await self._heard.get()) is not None:
            yield one

    async def closed(self) -> None:
        await self._ended.wait()
        raise ConnectionLost(self._why or "ended")

    async def hear(self, reader: asyncio.StreamReader) -> None:
        """Acknowledgements (`ok`) and messages of others (`["topic","payload"]`) until the other side closes."""
        with suppress(OSError, ValueError):
            while line := await reader.readline():
                if line == b"ok\n":
                    self._space.release()
                    self._settle(self._waiting.popleft())
                else:
                    topic, payload = json.loads(line)
                    self._heard.put_nowait(Incoming(topic=topic, payload=payload.encode()))
        self.end("the other side closed the connection")

    def end(self, why: str) -> None:
        """Everything on its way is lost; whoever waits is told."""
        if self._why is not None:
            return
        self._why = why
        self._ended.set()
        self._heard.put_nowait(None)
        while self._waiting:
            self._settle(self._waiting.popleft(), ConnectionLost(why))
            self._space.release()

    def _settle(self, future: Future[None], error: ConnectionLost | None = None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
            future.exception()  # nobody may be waiting for it any more
