"""Modbus devices that answer rubbish for a while: never a wrong value, and each recovers by itself."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from contextlib import AsyncExitStack

from agent.simulator.modbus import ModbusServer
from tests.faults.southbound.conftest import Running, modbus
from tests.faults.southbound.ear import keeps_pace
from tests.faults.southbound.test_isolation import unit
from tests.integration.modbus.servers import Ask, Script, Scripted, scripted
from tests.support.waiting import eventually

_rng = random.Random(4)
LIE = 0xBEEF


def lie(ask: Ask) -> bytes:
    """Registers that hold something else."""
    return ask.registers(*[LIE] * ask.count)


def half_and_head(ask: Ask) -> bytes:
    """Cut short, and filled up with the head of the next reply."""
    truth = ask.truth()
    return truth[:-3] + ask.frame(lie(ask), tid=ask.tid + 1)


KINDS: dict[str, Callable[[Ask], bytes | None]] = {
    "noise": lambda _: _rng.randbytes(_rng.randrange(1, 300)),
    "flood": lambda _: _rng.randbytes(100_000),
    "zeros": lambda _: bytes(300),
    "short": lambda ask: ask.truth()[: _rng.randrange(1, 20)],
    "half-and-head": half_and_head,
    "fewer": lambda ask: ask.frame(ask.registers(LIE)),
    "more": lambda ask: ask.frame(ask.registers(*[LIE] * (ask.count + 2))),
    "odd": lambda ask: ask.frame(struct.pack(">BB", ask.function, 3) + b"\xbe\xef\xbe"),
    "count": lambda ask: ask.frame(bytes([ask.function, 2]) + lie(ask)[2:]),
    "empty": lambda ask: ask.frame(b""),
    "function": lambda ask: ask.frame(b"\x04" + lie(ask)[1:]),
    "error": lambda ask: ask.frame(bytes([ask.function | 0x80])),
    "other-error": lambda ask: ask.frame(b"\x84\x02"),
    "unknown-error": lambda ask: ask.exception(0x77),
    "unit": lambda ask: ask.frame(lie(ask), unit=ask.unit + 1),
    "tid-old": lambda ask: ask.frame(lie(ask), tid=max(ask.tid - 1, 0)),
    "tid-new": lambda ask: ask.frame(lie(ask), tid=ask.tid + 1),
    "tid-zero": lambda ask: ask.frame(lie(ask), tid=0),
    "protocol": lambda ask: ask.frame(lie(ask), protocol=7),
    "length": lambda ask: ask.frame(lie(ask), length=2),
    "long": lambda ask: ask.frame(lie(ask), length=60_000),
    "twice": lambda ask: ask.truth() + ask.frame(lie(ask)),
    "http": lambda _: b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
}


class Spell:
    """Tells the truth; once cast, rubbish twice, and then the truth again."""

    def __init__(self, rubbish: Script) -> None:
        self.rubbish = rubbish
        self.left = 0

    def cast(self) -> None:
        self.left = 2

    def __call__(self, ask: Ask) -> bytes | None:
        if self.left:
            self.left -= 1
            return self.rubbish(ask)
        return ask.truth()


async def test_rubbish_never_becomes_a_value(running: Running) -> None:
    """Undecodable and lying replies of two dozen kinds: no wrong value, no crash, no harm to a neighbour, recovery."""
    spells = {kind: Spell(rubbish) for kind, rubbish in KINDS.items()}
    tags = [f"r{n}" for n in range(8)]
    async with AsyncExitStack() as stack:
        servers: dict[str, Scripted] = {
            kind: await stack.enter_async_context(scripted(spell)) for kind, spell in spells.items()
        }
        steady = await stack.enter_async_context(ModbusServer({1: unit(0)}))
        devices = {kind: modbus(server.url, timeout="250ms", interval="200ms") for kind, server in servers.items()}
        async with running(devices | {"steady": modbus(steady.url, timeout="20s")}) as (agent, ear):
            for kind in devices:
                await ear.good(kind, tags)
            for spell in spells.values():
                spell.cast()
            for kind, spell in spells.items():
                await eventually(lambda: spell.left == 0, what=f"{kind} is over")  # noqa: B023
            for kind in devices:
                await ear.good(kind, tags)
                await ear.goes_on(kind, "r0", 2)
            await ear.goes_on("steady", "r0", 5)
            assert (await agent.status())["publishers"]
    for kind in devices:
        good = ear.readings(kind, quality="good")
        assert {(one.tag, one.value) for one in good} == {(tag, int(tag[1:])) for tag in tags}, kind
        for one in ear.readings(kind, quality="bad"):
            assert one.code in {"BadCommunicationError", "BadNoCommunication", "BadTimeout"}, (kind, one)
            assert one.reason, (kind, one)
    quiet = {kind for kind in devices if not ear.readings(kind, quality="bad")}
    assert quiet <= {"twice"}, quiet  # the second half of a doubled answer is seen through
    keeps_pace([one.ts for one in ear.readings("steady", "r0")], 100)
    assert {one.quality for one in ear.readings("steady")} == {"good"}
