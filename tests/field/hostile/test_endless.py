"""Modbus devices and brokers that never stop talking: what that costs the loop in one go, and in memory."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import struct
import threading
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from agent.core.errors import AgentError, leaves
from agent.core.flow import Message
from agent.publishers.mqtt.config import MqttConfig
from agent.testing.context import SimpleContext
from tests.integration.modbus.servers import device
from tests.support.bent import Pulse
from tests.support.memory import Memory

STALL = 0.5  #: seconds of processor time in one go
GROWTH = 64  #: MB
SECONDS = 0.5  #: that each of them has


@contextmanager
def talking(first: bytes, flood: bytes) -> Iterator[int]:
    """A peer in threads of its own that answers the first bytes with `first`, and then says `flood` without end."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def talk(sock: socket.socket) -> None:
        with sock, suppress(OSError):
            sock.settimeout(0.2)
            sock.recv(65_536)
            sock.sendall(first)
            while not over.is_set():
                with suppress(TimeoutError):
                    sock.sendall(flood)

    def listen() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=talk, args=(listener.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


async def _measured(attempt: Awaitable[None]) -> None:
    gc.freeze()
    memory, pulse = Memory(os.getpid()), Pulse()
    async with memory.through("it"), asyncio.TaskGroup() as group:
        watching = group.create_task(pulse.run())
        try:
            async with asyncio.timeout(SECONDS):
                await attempt
        except TimeoutError:
            pass
        except Exception as error:
            if any(not isinstance(one, AgentError) for one in leaves(error)):
                raise
        watching.cancel()
    gc.unfreeze()
    assert pulse.longest < STALL
    assert memory.most["it"] < GROWTH


def _frame(tid: int, length: int, body: bytes) -> bytes:
    return struct.pack(">HHHB", tid, 0, length, 1) + body


MODBUS = {
    "noise": os.urandom(65_536),
    "zeros": bytes(65_536),
    "other transactions": b"".join(_frame(tid, 5, b"\x03\x02\0\1") for tid in range(5_000)),
    "the same answer": _frame(1, 5, b"\x03\x02\0\1") * 5_000,
    "endless frames": _frame(1, 0xFFFF, b"\x03" + b"\xff" * 65_533),
    "empty frames": _frame(1, 1, b"") * 8_000,
    "exceptions": _frame(1, 3, b"\x83\x06") * 8_000,
}


@pytest.mark.parametrize("kind", MODBUS)
async def test_modbus(kind: str, tmp_path: Path) -> None:
    """A device that talks without end."""

    async def attempt() -> None:
        async with SimpleContext(data_dir=tmp_path) as context:
            config = device(f"tcp://127.0.0.1:{port}", {"a": "holding:0"}, timeout="200ms")
            async with config.build("press", context).open() as samples:
                async for _ in samples:
                    pass

    with talking(b"", MODBUS[kind]) as port:
        await _measured(attempt())


def _packet(kind: int, body: bytes) -> bytes:
    size, length = len(body), b""
    while True:
        size, digit = size >> 7, size & 0x7F
        length += bytes([digit | (0x80 if size else 0)])
        if not size:
            return bytes([kind]) + length + body


def _topic(name: bytes) -> bytes:
    return struct.pack(">H", len(name)) + name


def _unreleased(rest: bytes) -> bytes:
    return b"".join(_packet(0x34, _topic(b"t/1") + struct.pack(">H", mid) + rest) for mid in range(1, 65_536))


OK = {"5": _packet(0x20, b"\0\0\0"), "3.1.1": _packet(0x20, b"\0\0")}
_NAMED = b"\x26\0\1a\0\1b"  #: a user property

MQTT: dict[str, dict[str, tuple[bytes, bytes]]] = {
    "acknowledgements": {v: (OK[v], _packet(0x40, struct.pack(">H", 7)) * 10_000) for v in OK},
    "answers to no ping": {v: (OK[v], b"\xd0\0" * 20_000) for v in OK},
    "releases": {v: (OK[v], _packet(0x62, struct.pack(">H", 7)) * 10_000) for v in OK},
    "subscriptions granted": {
        "5": (OK["5"], _packet(0x90, b"\0\1\0\0") * 10_000), "3.1.1": (OK["3.1.1"], _packet(0x90, b"\0\1\0") * 10_000),
    },
    "messages nobody asked for": {
        "5": (OK["5"], _packet(0x30, _topic(b"x/y") + b"\0" + b"z" * 50) * 2_000),
        "3.1.1": (OK["3.1.1"], _packet(0x30, _topic(b"x/y") + b"z" * 50) * 2_000),
    },
    "messages of QoS 2 that are never released": {
        "5": (OK["5"], _unreleased(b"\0z")), "3.1.1": (OK["3.1.1"], _unreleased(b"z")),
    },
    "a packet of 256 MB": {v: (OK[v] + b"\x30\xff\xff\xff\x7f" + _topic(b"t/1"), bytes(65_536)) for v in OK},
    "a length without end": {v: (OK[v] + b"\x30", b"\xff" * 65_536) for v in OK},
    "CONNACK again and again": {v: (b"", OK[v] * 10_000) for v in OK},
    "a CONNACK full of properties": {"5": (_packet(0x20, b"\0\0" + b"\xf0\xd1\x04" + _NAMED * 10_942), b"")},
    "an answer to nothing": dict.fromkeys(OK, (b"", b"\xf0\x00" * 20000)),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "version"), [(kind, version) for kind, told in MQTT.items() for version in told])
async def test_mqtt(kind: str, version: str) -> None:
    """A broker that talks without end."""

    async def attempt() -> None:
        config = MqttConfig.model_validate({
            "type": "mqtt", "url": f"mqtt://127.0.0.1:{port}", "version": version, "connect_timeout": "1s",
        })  # fmt: skip
        async with config.build("plant", SimpleContext()).open(None, ["t/#"]) as session:
            await session.send([Message(topic="t/1", payload=b"x")])
            async for _ in session.incoming():
                pass

    first, flood = MQTT[kind][version]
    with talking(first, flood or b"\xd0\0") as port:
        await _measured(attempt())
