"""More of what an OPC UA peer may answer, each held against the processor time and the memory that it costs us.

`test_opcua.py` runs the whole agent; here only the collector, in this loop, so that what is measured is its own.
"""

from __future__ import annotations

import asyncio
import gc
import os
import struct
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from asyncua.ua.ua_binary import struct_to_binary

from agent.collectors.opcua.config import OpcUaConfig
from agent.core.allocator import keep_little
from agent.core.errors import AgentError, leaves
from agent.core.ports import Collector
from agent.testing.context import SimpleContext
from tests.field.hostile.evil import USUAL, Evil, Hook, Peer, evil, ours, read_with, reads, ua
from tests.support.bent import Pulse
from tests.support.memory import Memory

STALL = 0.5  #: seconds of processor time in one go
GROWTH = 64  #: MB
HUGE = struct.pack("<i", 2**31 - 1)
MILLION = 1_000_000


def _count(number: int) -> bytes:
    return struct.pack("<i", number)


def publishes(body: bytes | None, kind: int = 811) -> Hook:
    """Answers each Publish at once: with this notification, or with none."""

    async def hook(peer: Peer, number: int, _request: Any) -> Any:
        message = ua.PublishResponse()
        message.Parameters.SubscriptionId = 1
        message.Parameters.NotificationMessage.SequenceNumber = number
        if body is not None:
            message.Parameters.NotificationMessage.NotificationData = [
                ua.ExtensionObject(ua.FourByteNodeId(kind), body)
            ]
        await peer.answer(number, struct_to_binary(message))

    return hook


def changed(value: bytes) -> bytes:
    """A DataChangeNotification of one value of the first tag."""
    return _count(1) + struct.pack("<I", 1) + b"\x01" + value + _count(-1)


def says(make: Callable[[Peer, int], Any]) -> Hook:
    """Answers Reads of tags so."""

    async def hook(peer: Peer, number: int, request: Any) -> Any:
        return await make(peer, number) if ours(request) else USUAL

    return hook


def header(diagnostics: bytes, strings: bytes) -> Hook:
    """A ServiceFault with these in its header."""
    head = struct_to_binary(ua.ServiceFault())[:12] + struct.pack("<II", 1, 0x80000000)
    return says(lambda peer, number: peer.answer(number, head + diagnostics + strings + b"\0\0\0"))


async def _unasked(peer: Peer, _number: int) -> None:
    for at in range(100_000):
        await peer.send(900_000 + at, struct_to_binary(ua.ReadResponse(Results=[])))


async def _again_and_again(peer: Peer, number: int) -> None:
    for _ in range(100_000):
        await peer.send(number, read_with(b"\x01\x0b" + bytes(8), 1))


async def _rude(peer: Peer, _number: int) -> None:
    text = b"\x1b[2J\r\n\xe2\x80\xae" + b"x" * 60_000
    await peer.raw(b"ERRF" + struct.pack("<III", 16 + len(text), 0x80010000, len(text)) + text)


async def _other(peer: Peer, number: int) -> None:
    await peer.answer(number, struct_to_binary(ua.CreateSessionResponse()))


def session(**parts: Any) -> Hook:
    """CreateSession with these."""

    async def hook(_peer: Peer, _number: int, request: Any) -> Any:
        response = Evil({})._create_session_request(request)
        for name, value in parts.items():
            setattr(response.Parameters, name, value)
        return response

    return hook


async def _namespaces(peer: Peer, number: int, request: Any) -> Any:
    asked = [each.NodeId.Identifier for each in request.Parameters.NodesToRead]
    if 2255 not in asked:
        return USUAL
    await peer.answer(number, read_with(b"\x01\x8c" + _count(60_000) + b"\x04\0\0\0urn:" * 60_000, len(asked)))
    return None


async def _no_items(_peer: Peer, _number: int, _request: Any) -> Any:
    return ua.CreateMonitoredItemsResponse(Results=[])


async def _many_items(peer: Peer, number: int, _request: Any) -> None:
    whole, one = (
        struct_to_binary(ua.CreateMonitoredItemsResponse(Results=[])),
        struct_to_binary(ua.MonitoredItemCreateResult()),
    )
    await peer.answer(number, whole[:-8] + _count(300_000) + one * 300_000 + _count(-1))


def structure(body: bytes) -> bytes:
    """A value that is an Argument, a structure every library knows."""
    return b"\x01\x16\x01\0" + struct.pack("<H", 298) + b"\x01" + _count(len(body)) + body


_ARGUMENT = _count(1) + b"a\0\x0b" + _count(1)
_EVENT = _count(1) + struct.pack("<I", 1) + _count(60_000) + bytes(60_000)
_TEXTS = b"\x95" + _count(65_000) + (b"\3" + bytes(8)) * 65_000
_MEGABYTE = _count(1 << 20) + bytes(1 << 20)
_NULLS = b"\x98" + _count(65_000) + bytes(65_000)  #: an array of so many variants, each of one byte
_NESTED = b"\x01\x98" + _count(240) + _NULLS * 240  #: 16 MB that would become 15.6 million objects

KINDS: dict[str, tuple[str, dict[str, Hook]]] = {
    "an array of a million in a notification": (
        "subscribe", {"PublishRequest": publishes(changed(b"\x01\x8b" + _count(MILLION) + bytes(8 * MILLION)))},
    ),
    "a string of 2 MB in a notification": (
        "subscribe", {"PublishRequest": publishes(changed(b"\x01\x0c" + _count(2 * MILLION) + b"x" * 2 * MILLION))},
    ),
    "arrays within arrays in a notification": ("subscribe", {"PublishRequest": publishes(changed(_NESTED))}),
    "an event with 60,000 fields": (
        "subscribe", {"PublishRequest": publishes(_EVENT, 916)},
    ),
    "a notification of a type nobody knows": ("subscribe", {"PublishRequest": publishes(bytes(5 * MILLION), 4711)}),
    "keep-alives without a pause": ("subscribe", {"PublishRequest": publishes(None)}),
    "items of nobody": ("subscribe", {"CreateMonitoredItemsRequest": _no_items}),
    "300,000 items for one": ("subscribe", {"CreateMonitoredItemsRequest": _many_items}),
    "arrays within arrays": ("poll", {"ReadRequest": reads(_NESTED, 1)}),
    "byte strings of 14 MB": ("poll", {"ReadRequest": reads(b"\x01\x8f" + _count(14) + _MEGABYTE * 14, 1)}),
    "an array of nulls": ("poll", {"ReadRequest": reads(b"\x01" + _NULLS, 1)}),
    "an array of values": ("poll", {"ReadRequest": reads(b"\x01\x97" + _count(65_000) + bytes(65_000), 1)}),
    "an array of texts": ("poll", {"ReadRequest": reads(b"\x01" + _TEXTS, 1)}),
    "a structure that lies about an array": ("poll", {"ReadRequest": reads(structure(_ARGUMENT + HUGE), 1)}),
    "a structure with a long array": (
        "poll", {"ReadRequest": reads(structure(_ARGUMENT + _count(60_000) + bytes(240_000) + b"\0"), 1)},
    ),
    "diagnostics within diagnostics": ("poll", {"ReadRequest": header(b"\x40" * 200_000 + b"\0", _count(-1))}),
    "a table of 60,000 strings": ("poll", {"ReadRequest": header(b"\0", _count(60_000) + b"\1\0\0\0x" * 60_000)}),
    "another service's answer": ("poll", {"ReadRequest": says(_other)}),
    "answers nobody asked for": ("poll", {"ReadRequest": says(_unasked)}),
    "one answer for ever": ("poll", {"ReadRequest": says(_again_and_again)}),
    "an error with a terminal's orders": ("poll", {"ReadRequest": says(_rude)}),
    "60,000 namespaces": ("poll", {"ReadRequest": _namespaces}),
    "a certificate of 900 kB": ("poll", {"CreateSessionRequest": session(ServerCertificate=b"\x30" * 900_000)}),
    "4,000 endpoints": ("poll", {"CreateSessionRequest": session(ServerEndpoints=[ua.EndpointDescription()] * 4_000)}),
}  # fmt: skip


@asynccontextmanager
async def elsewhere(hooks: dict[str, Hook]) -> AsyncIterator[str]:
    """Such a server in a thread of its own, whose time is not ours; its address."""
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    told, over = url.get_loop().call_soon_threadsafe, threading.Event()

    async def serve() -> None:
        async with evil(**hooks) as server:
            told(url.set_result, server.url)
            await asyncio.to_thread(over.wait)

    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.to_thread(asyncio.run, serve()))
        try:
            yield await url
        finally:
            over.set()


async def _tried(build: Callable[[SimpleContext], Collector], folder: Path) -> None:
    """What comes within a second and a half; an error that has no name is a bug."""
    async with SimpleContext(data_dir=folder) as context:
        try:
            async with asyncio.timeout(1.5), build(context).open() as samples:
                async for _ in samples:
                    pass
        except TimeoutError:
            pass
        except Exception as error:
            if any(not isinstance(one, AgentError) for one in leaves(error)):
                raise


@pytest.mark.parametrize("kind", KINDS)
async def test_no_answer_costs_more_than_its_device(kind: str, tmp_path: Path) -> None:
    """Neither half a second of the loop in one go nor 64 MB; and whatever it ends with has a name."""
    mode, hooks = KINDS[kind]
    async with elsewhere(hooks) as url:
        config = OpcUaConfig.model_validate({
            "type": "opcua", "url": url, "mode": mode, "interval": "100ms", "timeout": "1s",
            "tags": {"t": {"node": "ns=1;i=1000"}},
        })  # fmt: skip
        keep_little()  # as the agent does …
        gc.disable()  # … and nothing large may wait until garbage is looked for, which is seldom
        memory, pulse = Memory(os.getpid()), Pulse()
        async with memory.through(kind), asyncio.TaskGroup() as group:
            watching = group.create_task(pulse.run())
            await _tried(partial(config.build, "cnc"), tmp_path)
            watching.cancel()
    gc.enable()
    assert pulse.longest < STALL
    assert memory.most[kind] < GROWTH
