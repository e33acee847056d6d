"""OPC UA peers that mean harm cost their own device: each in its own way, all of them at once, beside a benign one."""

from __future__ import annotations

import struct
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import pytest

from agent.simulator.modbus import ModbusServer
from tests.faults.southbound.conftest import Running, modbus
from tests.faults.southbound.test_isolation import unit
from tests.field.hostile.evil import endless, evil, notifies, policies, reads, says
from tests.support.agent import AgentProcess
from tests.support.memory import Memory
from tests.support.waiting import eventually

HUGE = struct.pack("<i", 2**31 - 1)
DOUBLE = b"\x01\x0b" + struct.pack("<d", 1.0)

#: What they do, and words of the reason that is logged for it.
ATTACKS: dict[str, tuple[dict[str, Any], str]] = {
    "nulls": ({"ReadRequest": reads(b"\0" * 300_000, 300_000)}, "300000 answers for 1 nodes"),
    "none": ({"ReadRequest": reads(b"", 0)}, "0 answers for 1 nodes"),
    "chunks": ({"ReadRequest": endless(b"\0" * 20_000)}, "a message of the server is larger than 16777216 bytes"),
    "crumbs": ({"ReadRequest": endless(b"\0")}, "in 2049 chunks"),
    "aborts": ({"ReadRequest": endless(struct.pack("<Ii", 0x80010000, -1), b"A")}, "what nobody asked"),
    "header": ({"ReadRequest": says(b"MSGC" + HUGE)}, "a chunk of 2147483647 bytes"),
    "short": ({"ReadRequest": says(b"MSGF\x08\0\0\0")}, "a chunk of 8 bytes"),
    "noise": ({"ReadRequest": says(b"HTTP/1.1 400 Bad Request\r\n\r\n")}, "what is no OPC UA"),
    "hello": ({"Hello": says(b"ACKF" + HUGE)}, "a chunk of 2147483647 bytes"),
    "array": ({"ReadRequest": reads(b"\x01\x80" + HUGE, 1)}, "an array of 2147483647"),
    "string": ({"ReadRequest": reads(b"\x01\x0c" + HUGE, 1)}, "a string of 2147483647"),
    "backwards": ({"ReadRequest": reads(b"\x01\x95\x09\0\0\0" + b"\x02\xfc\xff\xff\xff" * 9, 1)}, "a string of -4"),
    "depth": ({"ReadRequest": reads(b"\x01" + b"\x18" * 20_000 + b"\0", 1)}, "100 deep"),
    "dimensions": ({"ReadRequest": reads(b"\x01\xc6\0\0\0\0\x01\0\0\0\x40\x42\x0f\0", 1)}, "dimensions [1000000]"),
    "truncated": ({"ReadRequest": reads(b"\x01\x0b", 1)}, "ends 1 values before its end"),
}  # fmt: skip


def device(url: str, **keys: Any) -> dict[str, Any]:
    tags = {"t": {"node": "ns=1;i=1000"}}
    return {"type": "opcua", "url": url, "mode": "poll", "interval": "300ms", "timeout": "3s", "tags": tags} | keys


def told(agent: AgentProcess, name: str, words: str) -> bool:
    return words in reasons(agent, name)


def reasons(agent: AgentProcess, name: str) -> str:
    """Of all warnings about a device."""
    lines = [*agent.events("device.offline"), *agent.events("opcua.undecodable"), *agent.events("device.degraded")]
    return " | ".join(str(line.get("reason")) for line in lines if line["device"] == name)


@pytest.mark.usefixtures("own_memory")
async def test_each_attack_costs_its_own_device(running: Running) -> None:
    """A neighbour is read on, memory stays within bounds, each is named in the log, and SIGTERM is obeyed."""
    async with AsyncExitStack() as stack:
        neighbour = await stack.enter_async_context(ModbusServer({1: unit(0)}))
        devices = {"neighbour": modbus(neighbour.url)}
        for name, (hooks, _) in ATTACKS.items():
            peer = await stack.enter_async_context(evil(**hooks))
            devices[name] = device(peer.url)
        agent, ear = await stack.enter_async_context(running(devices))
        memory = Memory(agent.pid)
        async with memory.through("attacks"):
            for name, (_, words) in ATTACKS.items():
                await eventually(partial(told, agent, name, words), what=f"{name}: {words}")
            await ear.goes_on("neighbour", "r0", 20)
        assert memory.most["attacks"] < 64
        assert {one.quality for one in ear.readings("neighbour")} == {"good"}


@pytest.mark.usefixtures("own_memory")
async def test_a_message_without_end_is_let_go(running: Running) -> None:
    """16 MB of it are kept until it is refused, and never those of two connections."""
    async with (
        evil(ReadRequest=endless(b"\0" * 20_000)) as peer,
        running({"endless": device(peer.url)}) as (agent, _),
    ):
        memory = Memory(agent.pid)
        async with memory.through("attacks"):
            await eventually(lambda: peer.asked.get("ReadRequest", 0) > 7)
        assert memory.most["attacks"] < 40


async def test_endpoints_without_end_before_any_certificate(running: Running) -> None:
    """700,000 user token policies, and 40,000 that fit a message: refused without being made."""
    async with AsyncExitStack() as stack:
        neighbour = await stack.enter_async_context(ModbusServer({1: unit(0)}))
        devices = {"neighbour": modbus(neighbour.url)}
        for name, count in {"many": 700_000, "some": 40_000}.items():
            peer = await stack.enter_async_context(evil(GetEndpointsRequest=policies(count)))
            devices[name] = device(peer.url, security={"policy": "Basic256Sha256"})
        agent, ear = await stack.enter_async_context(running(devices))
        await eventually(lambda: told(agent, "many", "larger than 1048576 bytes"))
        await eventually(lambda: told(agent, "some", "an array of 40000"))
        await ear.goes_on("neighbour", "r0", 5)


async def test_large_answers_let_the_loop_breathe(running: Running) -> None:
    """20,000 values in each notification, strings without end: read on, and SIGTERM is obeyed meanwhile."""
    many = {f"t{number}": {"node": f"ns=1;i={number}"} for number in range(1000)}
    text = struct.pack("<i", 20_000) + b"\x01\0\0\0x" * 20_000
    async with AsyncExitStack() as stack:
        neighbour = await stack.enter_async_context(ModbusServer({1: unit(0)}))
        flood = await stack.enter_async_context(evil(PublishRequest=notifies(20_000, 1000, times=8)))
        long = await stack.enter_async_context(evil(ReadRequest=reads(b"\x01\x8c" + text, 1)))
        devices = {
            "neighbour": modbus(neighbour.url),
            "flood": device(flood.url, mode="subscribe", tags=many),
            "long": device(long.url),
        }
        _, ear = await stack.enter_async_context(running(devices))
        await ear.good("long", ["t"])
        await ear.goes_on("neighbour", "r0", 20)
        await eventually(lambda: flood.asked.get("PublishRequest", 0) > 5)
