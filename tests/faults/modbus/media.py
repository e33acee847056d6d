"""Peers that say what a test scripts, byte by byte, over every medium: TCP, streams, pseudo terminals, a DTU.

Their frames are made by the library's framers, not by ours.
"""

from __future__ import annotations

import asyncio
import os
import struct
import tty
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal, cast

from pymodbus.framer import FramerAscii, FramerBase, FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU

from tests.support.ports import accepts, free_port
from tests.support.waiting import eventually

Framing = Literal["tcp", "rtu", "ascii"]

FRAMERS: dict[str, FramerBase] = {
    "tcp": FramerSocket(DecodePDU(is_server=True)),
    "rtu": FramerRTU(DecodePDU(is_server=True)),
    "ascii": FramerAscii(DecodePDU(is_server=True)),
}

#: name → framing; what each of them is, `medium` knows.
MEDIA: dict[str, Framing] = {
    "tcp": "tcp",
    "rtu+tcp": "rtu",
    "ascii+tcp": "ascii",
    "serial rtu": "rtu",
    "serial ascii": "ascii",
    "dtu rtu": "rtu",
    "dtu tcp": "tcp",
}

REGISTRATION, HEARTBEAT = b"DTU-0007", b"\xfe\xfe"


@dataclass(frozen=True)
class Ask:
    """A request as it came over the wire."""

    framing: Framing
    tid: int
    unit: int
    function: int
    offset: int
    count: int

    def frame(self, pdu: bytes, *, unit: int | None = None) -> bytes:
        """An answer to it."""
        return FRAMERS[self.framing].encode(pdu, self.unit if unit is None else unit, self.tid)

    def registers(self, *values: int) -> bytes:
        """The PDU with these registers."""
        return struct.pack(f">BB{len(values)}H", self.function, len(values) * 2, *values)

    def truth(self) -> bytes:
        """The true answer of a device whose registers hold their own offset and unit."""
        return self.frame(self.registers(*(value(self.unit, self.offset + step) for step in range(self.count))))

    def exception(self, code: int) -> bytes:
        """The frame of an exception."""
        return self.frame(bytes((self.function | 0x80, code)))


def value(unit: int, offset: int) -> int:
    """What a register holds: never the same as its neighbours' or another unit's."""
    return (offset * 37 + unit * 4099) & 0xFFFF


Script = Callable[[Ask], "bytes | None"]


class Medium:
    """One peer. `script` answers each request; None keeps silent. It may be changed at any time."""

    def __init__(self, framing: Framing, script: Script) -> None:
        self.framing = framing
        self.script = script
        self.asked: list[Ask] = []
        self.opened = 0  #: connections made
        self.url = ""
        self.keys: dict[str, object] = {}  #: what a configuration needs besides the URL
        self.echo = False
        self._buffer = b""
        self._write: Callable[[bytes], object] = bytes
        self.hang_up: Callable[[], None] = lambda: None  #: cut the connection (TCP)

    def say(self, data: bytes) -> None:
        """Send something now."""
        self._write(data)

    def channel(self) -> Callable[[bytes], object]:
        """How to say something on the connection of now, later."""
        return self._write

    def connected(self, write: Callable[[bytes], object]) -> None:
        """Somebody opened the line."""
        self._write, self._buffer = write, b""
        self.opened += 1

    def heard(self, data: bytes) -> None:
        """Bytes of the agent."""
        self._buffer += data
        while (ask := self._request()) is not None:
            self.asked.append(ask)
            answer = self.script(ask)
            if answer is not None:
                self._write(answer)

    def _request(self) -> Ask | None:
        length = {"tcp": 12, "rtu": 8, "ascii": 17}[self.framing]
        if len(self._buffer) < length:
            return None
        frame, self._buffer = self._buffer[:length], self._buffer[length:]
        if self.echo:
            self._write(frame)
        used, unit, tid, pdu = FRAMERS[self.framing].decode(frame)
        assert used == length, f"no request: {frame.hex(' ')}"
        function, offset, count = struct.unpack(">BHH", pdu)
        return Ask(self.framing, tid, unit, function, offset, count)


class _Peer(asyncio.Protocol):
    def __init__(self, owner: Medium) -> None:
        self._owner = owner
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._owner.hang_up = self.transport.abort
        self._owner.connected(self.transport.write)

    def data_received(self, data: bytes) -> None:
        self._owner.heard(data)


@asynccontextmanager
async def _tcp(medium: Medium, scheme: str) -> AsyncIterator[None]:
    peers: list[_Peer] = []

    def accept() -> _Peer:
        peers.append(_Peer(medium))
        return peers[-1]

    server = await asyncio.get_running_loop().create_server(accept, "127.0.0.1", 0)
    medium.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield
    finally:
        server.close()
        for peer in peers:
            if peer.transport is not None:
                peer.transport.abort()
        await server.wait_closed()


@asynccontextmanager
async def _pty(medium: Medium) -> AsyncIterator[None]:
    ours, theirs = os.openpty()
    tty.setraw(ours)
    os.set_blocking(ours, False)
    medium.url = f"serial://{os.ttyname(theirs)}?framing={medium.framing}&baudrate=115200"
    medium.connected(lambda data: os.write(ours, data) if open_ else 0)
    open_ = True
    loop = asyncio.get_running_loop()
    loop.add_reader(ours, lambda: medium.heard(os.read(ours, 4096)))
    try:
        yield
    finally:
        loop.remove_reader(ours)
        open_ = False
        os.close(ours)
        os.close(theirs)


@asynccontextmanager
async def _dtu(medium: Medium) -> AsyncIterator[None]:
    port = free_port()
    medium.url = f"tcp-listen://127.0.0.1:{port}?framing={medium.framing}"
    medium.keys = {"dtu": {"registration": REGISTRATION.decode(), "heartbeat": "0x" + HEARTBEAT.hex()}}
    async with asyncio.TaskGroup() as group:
        dialling = group.create_task(_dial(medium, port))
        try:
            yield
        finally:
            dialling.cancel()


async def _dial(medium: Medium, port: int) -> None:
    """Be a DTU: dial, say who it is, pass bytes on, dial again when the line breaks."""
    while True:
        await eventually(lambda: accepts(port))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REGISTRATION)
        medium.connected(writer.write)
        try:
            while data := await reader.read(4096):
                medium.heard(data)
        except ConnectionResetError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def medium(name: str, script: Script = Ask.truth) -> AsyncIterator[Medium]:
    """A running peer over one of MEDIA."""
    running = Medium(MEDIA[name], script)
    kind = name.partition(" ")[0]
    open_it = {"serial": _pty, "dtu": _dtu}.get(kind)
    async with open_it(running) if open_it else _tcp(running, kind):
        yield running
