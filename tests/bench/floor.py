"""The floor: the least that Python needs to carry registers to a broker. What an agent costs above it buys something.

A protocol a device, one request after the other, one PUBLISH at QoS 1 a scan, both written by hand on uvloop. No store,
no quality, no times of its own, nobody to tell that something is wrong: where anything is amiss it ends.

`python -m tests.bench.floor BROKER_PORT TAGS PORT...` reads as many float32 of each port once a second, for ever.
"""

from __future__ import annotations

import asyncio
import struct
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import msgspec
import psutil
import uvloop

from tests.bench.figures import cpu_of
from tests.bench.pipeline import WARM_UP, WINDOW, Load, broker_of_its_own, subscribed
from tests.support.mosquitto import Mosquitto
from tests.support.processes import process
from tests.support.waiting import eventually

_FLOATS = 62  #: in the largest block
_PUBLISH_QOS_1 = 0x32
_CONNECT = b"\x10\x11\x00\x04MQTT\x04\x02\x00\x00\x00\x05floor"


class _Reading(msgspec.Struct):
    tag: str
    value: float
    ts: int
    quality: str = "good"


class _Message(msgspec.Struct):
    device: str
    seq: int
    readings: list[_Reading]


class _Broker(asyncio.Protocol):
    """Writes; what is acknowledged is read and forgotten."""

    def __init__(self) -> None:
        self.accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._encode = msgspec.json.Encoder().encode
        self._number = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._write = transport.write  # type: ignore[attr-defined]
        self._write(_CONNECT)

    def data_received(self, data: bytes) -> None:
        if not self.accepted.done():
            self.accepted.set_result(None)

    def publish(self, topic: bytes, message: _Message) -> None:
        self._number = self._number % 65_535 + 1
        payload = self._encode(message)
        rest = len(topic) + 4 + len(payload)
        length = []
        while rest > 127:
            length.append(rest & 127 | 128)
            rest >>= 7
        length.append(rest)
        head = bytes((_PUBLISH_QOS_1, *length)) + len(topic).to_bytes(2) + topic + self._number.to_bytes(2)
        self._write(head + payload)


class _Device(asyncio.Protocol):
    def __init__(self, name: str, tags: int, broker: _Broker) -> None:
        self._name, self._topic, self._broker = name, f"edge/{name}/readings".encode(), broker
        self._tags = [f"float_{at:04}" for at in range(tags)]
        sizes = [min(_FLOATS, tags - at) for at in range(0, tags, _FLOATS)]
        self._requests = [
            struct.pack(">HHHBBHH", 1, 0, 6, 1, 3, at * _FLOATS * 2, size * 2) for at, size in enumerate(sizes)
        ]
        self._blocks = [(9 + size * 4, struct.Struct(f">{size}f")) for size in sizes]
        self._values: list[float] = []
        self._block = self._seq = 0
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._write = transport.write  # type: ignore[attr-defined]

    def scan(self) -> None:
        self._block, self._values = 0, []
        self._write(self._requests[0])

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data if self._buffer else data
        size, floats = self._blocks[self._block]
        if len(data) < size:
            self._buffer = data
            return
        self._buffer = b""
        self._values += floats.unpack_from(data, 9)
        self._block += 1
        if self._block < len(self._requests):
            self._write(self._requests[self._block])
            return
        self._seq += 1
        now = time.time_ns() // 1_000_000
        readings = [_Reading(tag, value, now) for tag, value in zip(self._tags, self._values, strict=True)]
        self._broker.publish(self._topic, _Message(self._name, self._seq, readings))


def _same(device: _Device) -> _Device:
    return device


async def _carry(broker_port: int, tags: int, ports: list[int]) -> None:
    loop = asyncio.get_running_loop()
    _, broker = await loop.create_connection(_Broker, "127.0.0.1", broker_port)
    await broker.accepted
    devices = [_Device(f"plc-{number:03}", tags, broker) for number in range(len(ports))]
    for device, port in zip(devices, ports, strict=True):
        await loop.create_connection(partial(_same, device), "127.0.0.1", port)
    began = loop.time()
    for second in range(1, 1_000_000):
        for device in devices:
            device.scan()
        await asyncio.sleep(began + second - loop.time())


@asynccontextmanager
async def floor(broker: Mosquitto, tags: int, ports: list[int]) -> AsyncIterator[int]:
    """The process id of one that carries to that broker."""
    arguments = (str(broker.port), str(tags), *map(str, ports))
    with process(sys.executable, "-m", "tests.bench.floor", *arguments) as running:
        yield running.pid


async def measure_floor(tags: int, ports: list[int]) -> Load:
    """As `measure` does with an agent; readings are those that arrived at the broker."""
    heard = 0

    def hear(topic: str, payload: bytes, *, retained: bool) -> None:
        nonlocal heard
        heard += payload.count(b'"quality":"good"')

    with broker_of_its_own() as broker:
        async with subscribed(broker.url, hear), floor(broker, tags, ports) as pid:
            await eventually(lambda: heard >= tags * len(ports), what="every device")
            await asyncio.sleep(WARM_UP)
            before, computed, began = heard, cpu_of(pid), time.monotonic()
            await asyncio.sleep(WINDOW)
            cpu, wall, rss = cpu_of(pid) - computed, time.monotonic() - began, psutil.Process(pid).memory_info().rss
            return Load(heard - before, cpu, wall, rss, skipped=0)


if __name__ == "__main__":
    uvloop.run(_carry(int(sys.argv[1]), int(sys.argv[2]), [int(port) for port in sys.argv[3:]]))
