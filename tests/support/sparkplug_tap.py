"""A TCP proxy that reads along: MQTT 3.1.1 and 5, both ways, told to a monitor packet by packet.

async with Tap(broker.port, monitor).open() as tap:      # edge nodes connect to tap.url
    tap.cut()                                            # connections drop without a word
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from tests.support.mqtt_packets import CONNACK, CONNECT, DISCONNECT, PUBLISH, SUBACK, SUBSCRIBE, Body
from tests.support.sparkplug_wire import EdgeConnect, EdgeWill, WireMonitor

_EXPIRY = 0x11


class _Stream:
    """Cuts one direction into packets."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[int, int, bytes]]:
        """Kind, flags, body of every packet that is complete."""
        self._buffer += data
        packets = []
        while (taken := self._take()) is not None:
            packets.append(taken)
        return packets

    def _take(self) -> tuple[int, int, bytes] | None:
        length = shift = 0
        for at in range(1, min(5, len(self._buffer))):
            length |= (self._buffer[at] & 0x7F) << shift
            shift += 7
            if not self._buffer[at] & 0x80:
                end = at + 1 + length
                if len(self._buffer) < end:
                    return None
                head, body = self._buffer[0], bytes(self._buffer[at + 1 : end])
                del self._buffer[:end]
                return head >> 4, head & 15, body
        return None


class _Link:
    """One connection: what both sides say."""

    def __init__(self, number: int, monitor: WireMonitor, server: str) -> None:
        self.number = number
        self.monitor = monitor
        self.server = server
        self.five = True
        self.over = False  #: the node is gone
        self.up, self.down = _Stream(), _Stream()
        self._asked: dict[int, list[tuple[str, int]]] = {}

    def from_client(self, data: bytes) -> None:
        for kind, flags, raw in self.up.feed(data):
            body = Body(raw)
            if kind == CONNECT:
                self._connect(body)
            elif kind == PUBLISH:
                topic, payload, qos = self._publish(flags, body)
                self.monitor.published(topic, payload, link=self.number, qos=qos, retain=bool(flags & 1))
            elif kind == SUBSCRIBE:
                mid = body.number(2)
                if self.five:
                    body.properties()
                self._asked[mid] = asked = []
                while body.rest:
                    topic = body.text()
                    asked.append((topic, body.number(1) & 3))
            elif kind == DISCONNECT:
                self.monitor.disconnected(self.number, raw[0] if raw else 0)

    def left(self) -> None:
        """The node is gone, and may connect again: what the broker still has to say reaches nobody."""
        self.over = True
        self.monitor.closed(self.number)

    def from_broker(self, data: bytes) -> None:
        if self.over:
            return
        for kind, flags, raw in self.down.feed(data):
            body = Body(raw)
            if kind == CONNACK:
                self.monitor.accepted(self.number, raw[1])
            elif kind == PUBLISH:
                topic, payload, _ = self._publish(flags, body)
                self.monitor.delivered(self.number, topic, payload)
            elif kind == SUBACK:
                asked = self._asked.pop(body.number(2), [])
                if self.five:
                    body.properties()
                granted = {topic: qos for (topic, qos), code in zip(asked, body.rest, strict=False) if code < 0x80}
                self.monitor.subscribed(self.number, granted)

    def _publish(self, flags: int, body: Body) -> tuple[str, bytes, int]:
        topic, qos = body.text(), flags >> 1 & 3
        if qos:
            body.number(2)
        if self.five:
            body.properties()
        return topic, body.rest, qos

    def _connect(self, body: Body) -> None:
        body.text()
        self.five = body.number(1) == 5
        flags = body.number(1)
        body.number(2)
        found = body.properties() if self.five else {}
        body.text()
        will = None
        if flags & 4:
            if self.five:
                body.properties()
            will = EdgeWill(body.text(), body.binary(), flags >> 3 & 3, bool(flags & 32))
        expiry = found.get(_EXPIRY, [0])[0]
        connect = EdgeConnect(
            "5" if self.five else "3.1.1", bool(flags & 2), expiry if isinstance(expiry, int) else 0, will
        )
        self.monitor.connected(self.number, connect, self.server)


class Tap:
    """Between edge nodes and one broker on this machine."""

    _numbers = 0

    def __init__(self, broker_port: int, monitor: WireMonitor) -> None:
        self.port = 0
        self.connections = 0
        self._broker_port = broker_port
        self._monitor = monitor
        self._writers: set[asyncio.StreamWriter] = set()
        self._failures: list[BaseException] = []
        self._idle = asyncio.Event()
        self._idle.set()
        self._open = asyncio.Event()
        self._open.set()

    @property
    def url(self) -> str:
        """What stands under `url:` of a publisher."""
        return f"mqtt://127.0.0.1:{self.port}"

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Tap]:
        """Listen on a free port. Raises at the end what the monitor raised."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.cut()
            await self._idle.wait()
        if self._failures:  # the monitor could not follow: that is no finding but a bug
            raise ExceptionGroup("tap", [one for one in self._failures if isinstance(one, Exception)])

    def cut(self) -> None:
        """Drop every connection without a word."""
        for writer in tuple(self._writers):
            writer.transport.abort()

    def freeze(self) -> None:
        """Forward nothing any more: the connections look alive and are not."""
        self._open.clear()

    def thaw(self) -> None:
        """Forward again."""
        self._open.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        Tap._numbers += 1
        self.connections += 1
        link = _Link(Tap._numbers, self._monitor, f"127.0.0.1:{self.port}")
        self._writers.add(writer)
        self._idle.clear()
        broker: asyncio.StreamWriter | None = None
        try:
            back, broker = await asyncio.open_connection("127.0.0.1", self._broker_port)
            self._writers.add(broker)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, broker, link.from_client, link.left))
                group.create_task(self._pump(back, writer, link.from_broker))
        except* OSError:
            pass
        except* Exception as failures:  # noqa: BLE001 - shown by the test that reads `failures`
            self._failures += failures.exceptions
        finally:
            link.left()
            for one in (writer, broker):
                if one is not None:
                    one.transport.abort()
                    self._writers.discard(one)
            if not self._writers:
                self._idle.set()

    async def _pump(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, tell: Callable[[bytes], None],
        ended: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        while data := await source.read(1 << 16):
            tell(data)
            await self._open.wait()
            if target.is_closing():  # uvloop raises where asyncio drops
                return
            target.write(data)
            await target.drain()
        ended()
        target.close()
