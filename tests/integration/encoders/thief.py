"""A broker that loses what it has accepted: one PUBLISH is taken out of the way, and acknowledged all the same."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties, VariableByteIntegers

from agent.simulator.proxy import Proxy

PUBLISH, PUBACK = 3, 4


class Thief(Proxy):
    """A cable to a broker. Steals the next PUBLISH with these user properties `of` and `index`; MQTT 5 and QoS 1."""

    def __init__(self, port: int) -> None:
        super().__init__("127.0.0.1", port)
        self.wants: tuple[str, str] | None = None
        self.stolen: dict[str, str] = {}  #: user properties of what was

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far: asyncio.StreamWriter | None = None
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                far_reader, far = await asyncio.open_connection(*self._target)
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._there(reader, far, writer))
                    both.create_task(self._back(far_reader, writer))
        finally:
            for end in (writer, far):
                if end is not None:
                    end.transport.abort()

    async def _there(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, back: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                first, header, body = await _packet(source)
                number = self._steals(body) if first >> 4 == PUBLISH and first & 6 else None
                if sink.is_closing() or back.is_closing():  # uvloop raises where asyncio drops
                    return
                if number is None:
                    sink.write(header + body)
                    await sink.drain()
                else:
                    back.write(bytes([PUBACK << 4, 2]) + number)
                    await back.drain()

    async def _back(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                _, header, body = await _packet(source)  # whole packets: ours must not fall between two halves
                if sink.is_closing():
                    return
                sink.write(header + body)
                await sink.drain()

    def _steals(self, body: bytes) -> bytes | None:
        """Packet identifier, where this one is wanted (OASIS MQTT 5.0, 3.3)."""
        if self.wants is None or self.stolen:
            return None
        number = 2 + int.from_bytes(body[:2])
        properties = Properties(PacketTypes.PUBLISH)
        properties.unpack(body[number + 2 :])
        given = dict(getattr(properties, "UserProperty", ()))
        if (given.get("of"), given.get("index")) != self.wants:
            return None
        self.stolen = given
        return body[number : number + 2]


async def _packet(source: asyncio.StreamReader) -> tuple[int, bytes, bytes]:
    """First byte, header as it came, body."""
    head = await source.readexactly(1)
    while len(head) < 2 or head[-1] & 0x80:
        head += await source.readexactly(1)
    length, _ = VariableByteIntegers.decode(head[1:])
    return head[0], head, await source.readexactly(length)
