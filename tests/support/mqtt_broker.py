"""A scripted MQTT 5 / 3.1.1 broker for tests: says what a real one cannot be made to say.

Chosen CONNACK and PUBACK codes, Receive Maximum, Maximum Packet Size, acknowledgements held back and given in any
order, silence, disconnects, raw bytes. It records what it was sent. Standard sections are MQTT 5's.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

from tests.support.mqtt_packets import (
    CONNACK,
    CONNECT,
    DISCONNECT,
    PINGREQ,
    PINGRESP,
    PUBACK,
    PUBLISH,
    SUBACK,
    SUBSCRIBE,
    Body,
    packet,
    text,
    varint,
)


@dataclass
class Connect:
    """What a client said to open the session."""

    version: Literal["5", "3.1.1"]
    client_id: str
    clean: bool
    keep_alive: int
    username: str | None = None
    password: str | None = None
    will_topic: str | None = None
    will_payload: bytes | None = None
    will_qos: int = 0
    will_retain: bool = False
    properties: dict[int, list[object]] = field(default_factory=dict)


@dataclass
class Publish:
    """One PUBLISH received. `link` is the connection it came on, counted from 0."""

    mid: int
    topic: str
    payload: bytes
    qos: int
    retain: bool
    dup: bool
    size: int
    link: int
    properties: dict[int, list[object]] = field(default_factory=dict)

    @property
    def user_properties(self) -> list[object]:
        return self.properties.get(0x26, [])


@dataclass
class Script:
    """How the broker behaves; may be changed while it runs."""

    connack: int | None = 0  #: CONNACK reason; None: no answer at all
    connack_properties: bytes = b""  #: packed, as :func:`properties` makes them
    speaks: Sequence[str] = ("5", "3.1.1")  #: others get CONNACK 0x84 (0x01)
    hang_up: Sequence[str] = ()  #: versions whose CONNECT is answered by closing the connection
    hang_up_on: Callable[[Connect], bool] = lambda _connect: False  #: … and other reasons for that
    puback: int | Callable[[Publish], int | None] = 0  #: reason; a callable may return None to hold one back
    heard: Callable[[Publish], object] = lambda _publish: None  #: told of each PUBLISH, whatever its QoS
    hold: bool = False  #: hold all PUBACKs back until :meth:`FakeBroker.ack`
    suback: int | None = 1
    hang_up_on_subscribe: bool = False
    pong: bool = True


class _Link(asyncio.Protocol):
    """One connection."""

    def __init__(self, broker: FakeBroker) -> None:
        self.broker = broker
        self.number = -1
        self.version = "5"
        self.buffer = bytearray()
        self.transport: asyncio.Transport | None = None
        self.outstanding: list[Publish] = []
        self.reason: int | None = None  # of the client's DISCONNECT

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.number = len(self.broker.links)
        self.broker.links.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None

    def data_received(self, data: bytes) -> None:
        self.broker.raw += data
        self.buffer += data
        while (taken := self._take()) is not None:
            kind, flags, body, size = taken
            self.broker.handle(self, kind, flags, body, size)

    def _take(self) -> tuple[int, int, bytes, int] | None:
        length = shift = 0
        for at in range(1, min(5, len(self.buffer))):
            length |= (self.buffer[at] & 0x7F) << shift
            shift += 7
            if not self.buffer[at] & 0x80:
                end = at + 1 + length
                if len(self.buffer) < end:
                    return None
                head, body = self.buffer[0], bytes(self.buffer[at + 1 : end])
                del self.buffer[:end]
                return head >> 4, head & 15, body, end
        return None

    def write(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.write(data)

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()


class FakeBroker:
    """`async with FakeBroker(Script(...)).serve() as broker:` then point a publisher at `broker.url`."""

    def __init__(self, script: Script | None = None) -> None:
        self.script = script or Script()
        self.port = 0
        self.raw = bytearray()
        self.links: list[_Link] = []
        self.connects: list[Connect] = []
        self.published: list[Publish] = []
        self.subscribed: list[str] = []
        self.pings = 0
        self.goodbyes: list[int] = []  #: reason codes of DISCONNECTs
        self.most_outstanding = 0

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    @property
    def open_links(self) -> int:
        return sum(link.transport is not None for link in self.links)

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[FakeBroker]:
        """Listen on a free port of 127.0.0.1."""
        server = await asyncio.get_running_loop().create_server(lambda: _Link(self), "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for link in self.links:
                if link.transport is not None:
                    link.transport.abort()
            await asyncio.sleep(0)

    # --- what it does by itself ---------------------------------------------------------------------------------------

    def handle(self, link: _Link, kind: int, flags: int, body: bytes, size: int) -> None:
        """One packet of a client."""
        script = self.script
        if kind == CONNECT:
            self._connect(link, Body(body))
        elif kind == PUBLISH:
            self._publish(link, flags, Body(body), size)
        elif kind == SUBSCRIBE:
            self._subscribe(link, Body(body))
        elif kind == PINGREQ:
            self.pings += 1
            if script.pong:
                link.write(packet(PINGRESP, b""))
        elif kind == DISCONNECT:
            link.reason = body[0] if body else 0
            self.goodbyes.append(link.reason)
            link.close()

    def _connect(self, link: _Link, body: Body) -> None:
        body.text()  # MQTT
        link.version = "5" if body.number(1) == 5 else "3.1.1"
        flags, keep_alive = body.number(1), body.number(2)
        found = body.properties() if link.version == "5" else {}
        said = Connect(
            "5" if link.version == "5" else "3.1.1", body.text(), bool(flags & 2), keep_alive, properties=found
        )
        if flags & 4:
            if link.version == "5":
                body.properties()
            said.will_topic, said.will_payload = body.text(), body.binary()
            said.will_qos, said.will_retain = flags >> 3 & 3, bool(flags & 32)
        said.username = body.text() if flags & 128 else None
        said.password = body.text() if flags & 64 else None
        self.connects.append(said)
        script = self.script
        if link.version in script.hang_up or script.hang_up_on(said):
            link.close()
        elif link.version not in script.speaks:
            link.write(packet(CONNACK, b"\0\x84\0" if link.version == "5" else b"\0\x01"))
            link.close()
        elif script.connack is not None:
            tail = varint(len(script.connack_properties)) + script.connack_properties if link.version == "5" else b""
            link.write(packet(CONNACK, bytes((0, script.connack)) + tail))
            if script.connack:
                link.close()

    def _publish(self, link: _Link, flags: int, body: Body, size: int) -> None:
        topic, qos = body.text(), flags >> 1 & 3
        mid = body.number(2) if qos else 0
        found = body.properties() if link.version == "5" else {}
        one = Publish(mid, topic, body.rest, qos, bool(flags & 1), bool(flags & 8), size, link.number, found)
        self.published.append(one)
        self.script.heard(one)
        if not qos:
            return
        link.outstanding.append(one)
        self.most_outstanding = max(self.most_outstanding, len(link.outstanding))
        script = self.script
        code = script.puback(one) if callable(script.puback) else script.puback
        if not script.hold and code is not None:
            self.ack(one, code)

    def _subscribe(self, link: _Link, body: Body) -> None:
        mid = body.number(2)
        if link.version == "5":
            body.properties()
        codes = b""
        while body.rest:
            self.subscribed.append(body.text())
            body.number(1)
            codes += bytes((self.script.suback or 0,))
        if self.script.hang_up_on_subscribe:
            link.close()
        elif self.script.suback is not None:
            none = b"\0" if link.version == "5" else b""
            link.write(packet(SUBACK, mid.to_bytes(2, "big") + none + codes))

    # --- what a test makes it do --------------------------------------------------------------------------------------

    def ack(self, one: Publish, code: int = 0) -> None:
        """Acknowledge one message, in whatever order."""
        link = self.links[one.link]
        link.outstanding.remove(one)
        tail = bytes((code, 0)) if code and link.version == "5" else b""
        link.write(packet(PUBACK, one.mid.to_bytes(2, "big") + tail))

    @property
    def waiting(self) -> list[Publish]:
        """Messages not yet acknowledged on the newest connection, oldest first."""
        return list(self.links[-1].outstanding) if self.links else []

    def disconnect(self, code: int) -> None:
        """DISCONNECT (MQTT 5) and close the newest connection."""
        self.send(packet(DISCONNECT, bytes((code, 0))))
        self.links[-1].close()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """A message to the newest client, QoS 0."""
        none = b"\0" if self.links[-1].version == "5" else b""
        self.send(packet(PUBLISH, text(topic) + none + payload, flags=int(retain)))

    def send(self, data: bytes) -> None:
        """Raw bytes to the newest client."""
        self.links[-1].write(data)

    def freeze(self) -> None:
        """Stop reading from the newest connection: buffers fill up, nothing is answered."""
        transport = self.links[-1].transport
        if transport is not None:
            transport.pause_reading()

    def drop_soon(self) -> None:
        """Close the newest connection once what was written is out."""
        self.links[-1].close()

    def reset(self) -> None:
        """The newest connection is reset behind what was written, as where a broker closes with something unread."""
        link = self.links[-1]
        if link.transport is not None:
            unspecified = bytes(16)  # a connection to it is a reset, at once: closing waits for a turn of the loop
            ctypes.CDLL(None).connect(link.transport.get_extra_info("socket").fileno(), unspecified, len(unspecified))
            link.transport.abort()

    def drop(self) -> None:
        """Cut the newest connection without a word."""
        link = self.links[-1]
        if link.transport is not None:
            link.transport.abort()
