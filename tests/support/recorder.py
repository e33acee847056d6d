"""A cable that keeps the broker's books: what an agent has published through it, and what is acknowledged.

Bytes pass as they come; beside that they are read as MQTT 5 packets (OASIS MQTT 5.0, sections 2.1, 3.3, 3.4). A record
is acknowledged when its PUBACK (below 0x80) has left the broker, whether or not the agent ever hears of it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import suppress
from hashlib import blake2b
from typing import Any

from agent.simulator.proxy import Proxy

Key = tuple[str, str, int]  #: epoch, device, seq

CONNECT, PUBLISH, PUBACK = 1, 3, 4
#: What may differ when a record is sent again: it is as of sending.
AS_OF_SENDING = ("low", "historical")


class _Packets:
    """Cuts a stream of bytes into packets: (type, flags, body)."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, int, bytes]]:
        self._bytes += data
        while len(self._bytes) >= 2:
            try:
                length, start = _varint(self._bytes, 1)
            except IndexError:
                return
            if len(self._bytes) < start + length:
                return
            first, body = self._bytes[0], bytes(self._bytes[start : start + length])
            del self._bytes[: start + length]
            yield first >> 4, first & 15, body


def _varint(data: bytes | bytearray, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


class Recorder(Proxy):
    """A proxy towards a broker."""

    def __init__(self, host: str, target_port: int) -> None:
        super().__init__(host, target_port)
        self.published: dict[Key, bytes] = {}  #: fingerprints
        self.acked: set[Key] = set()
        self.gaps: dict[str, dict[str, Any]] = {}  #: by id
        self.acked_gaps: set[str] = set()
        self.two_faced: list[Key] = []
        self.duplicates = 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far: asyncio.StreamWriter | None = None
        under_way: dict[int, Key | str] = {}
        try:
            with suppress(OSError):
                far_reader, far = await asyncio.open_connection(*self._target)
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._pass(_Tee(reader, self._from_agent(under_way)), far))  # type: ignore[arg-type]
                    both.create_task(self._pass(_Tee(far_reader, self._from_broker(under_way)), writer))  # type: ignore[arg-type]
        finally:
            for end in (writer, far):
                if end is not None:
                    end.transport.abort()

    def _from_agent(self, under_way: dict[int, Key | str]) -> Any:
        packets = _Packets()
        five = True  # a broker that goes away again and again without a word is spoken to in 3.1.1 for once

        def look(data: bytes) -> None:
            nonlocal five
            for kind, flags, body in packets.feed(data):
                if kind == CONNECT:
                    five = body[2 + int.from_bytes(body[:2])] == 5
                if kind == PUBLISH and flags & 6:
                    size = int.from_bytes(body[:2])
                    topic = body[2 : 2 + size].decode()
                    number = int.from_bytes(body[2 + size : 4 + size])
                    properties, start = _varint(body, 4 + size) if five else (0, 4 + size)
                    said = self._publish(topic, body[start + properties :])
                    if said is not None:
                        under_way[number] = said

        return look

    def _from_broker(self, under_way: dict[int, Key | str]) -> Any:
        packets = _Packets()

        def look(data: bytes) -> None:
            for kind, _, body in packets.feed(data):
                if kind == PUBACK and (len(body) < 3 or body[2] < 0x80):
                    said = under_way.pop(int.from_bytes(body[:2]), None)
                    if isinstance(said, str):
                        self.acked_gaps.add(said)
                    elif said is not None:
                        self.acked.add(said)

        return look

    def _publish(self, topic: str, payload: bytes) -> Key | str | None:
        kind = topic.rpartition("/")[2]
        if kind == "gaps":
            gap = json.loads(payload)
            self.gaps[gap["id"]] = gap | {"device": topic.split("/")[-2]}
            return str(gap["id"])
        if kind != "readings":
            return None
        message = json.loads(payload)
        key = (message["epoch"], message["device"], message["seq"])
        fixed = {name: value for name, value in message.items() if name not in AS_OF_SENDING}
        print_ = blake2b(json.dumps(fixed, sort_keys=True).encode(), digest_size=12).digest()
        before = self.published.setdefault(key, print_)
        if before != print_:
            self.two_faced.append(key)
        if key in self.acked:
            self.duplicates += 1
        return key


class _Tee:
    """Reads from a stream and shows what it reads."""

    def __init__(self, source: asyncio.StreamReader, look: Any) -> None:
        self._source, self._look = source, look

    async def read(self, size: int) -> bytes:
        data = await self._source.read(size)
        self._look(data)
        return data
