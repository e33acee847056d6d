"""What one TCP line makes of wrong replies. tests/faults/modbus says over every medium what holds for all of them."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable

import pytest

from agent.collectors.modbus.bus.bus import ModbusBus
from agent.collectors.modbus.bus.transaction import BadReply, NoAnswer, ReadRequest
from agent.collectors.modbus.bus.wire import connect_tcp
from agent.core.clock import SystemClock
from agent.core.errors import ConnectionLost, TransientError
from agent.testing.context import SimpleContext
from tests.integration.modbus.reading import Said, cycle, take
from tests.integration.modbus.servers import Ask, Scripted, device, scripted
from tests.support.waiting import eventually


def line(server: Scripted, context: SimpleContext) -> ModbusBus:
    def make() -> ModbusBus:
        return ModbusBus("line", lambda: connect_tcp("127.0.0.1", server.port, 5.0), SystemClock())

    found: ModbusBus = context.bus("line", make)
    return found


def read(offset: int, count: int = 2, *, timeout: float = 2.0) -> ReadRequest:
    return ReadRequest(3, offset, count, timeout)


WRONG: dict[str, Callable[[Ask], bytes]] = {
    "another function": lambda ask: ask.frame(bytes([4]) + ask.registers(11, 12)[1:]),
    "another unit": lambda ask: ask.frame(ask.registers(11, 12), unit=ask.unit + 1),
    "transaction 0": lambda ask: ask.frame(ask.registers(11, 12), tid=0),
    "a future transaction": lambda ask: ask.frame(ask.registers(11, 12), tid=ask.tid + 5),
    "too few registers": lambda ask: ask.frame(ask.registers(11)),
    "too many registers": lambda ask: ask.frame(ask.registers(11, 12, 13)),
    "a byte count that lies": lambda ask: ask.frame(bytes([3, 4, 0])),
    "a byte count of an odd length": lambda ask: ask.frame(bytes([3, 3, 0, 11, 0])),
    "nothing but a function": lambda ask: ask.frame(bytes([3])),
    "another protocol": lambda ask: ask.frame(ask.registers(11, 12), protocol=1),
    "a length beyond the limit": lambda ask: ask.frame(ask.registers(11, 12), length=400),
    "a length of nothing": lambda ask: ask.frame(ask.registers(11, 12), length=0),
    "an exception with more in it": lambda ask: ask.frame(bytes([0x83, 2, 2])),
    "the exception of another function": lambda ask: ask.frame(bytes([0x84, 2])),
    "garbage": lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "a write's answer": lambda ask: ask.frame(struct.pack(">BHH", 6, 0, 11)),
}


@pytest.mark.parametrize("kind", WRONG)
async def test_a_wrong_reply_costs_its_block_only(kind: str) -> None:
    """With one block answered wrongly its tags are bad, and all others have their values."""

    def script(ask: Ask) -> bytes:
        return WRONG[kind](ask) if ask.offset == 20 else ask.truth()

    async with scripted(script) as server, SimpleContext() as context:
        tags: dict[str, object] = {
            "a": "holding:3",
            "x": {"address": "holding:20", "type": "uint32"},
            "z": "holding:40",
        }
        config = device(server.url, tags, timeout="2s")
        async with config.build("press", context).open() as samples:
            for _ in range(2):
                found = await cycle(samples, config)
                assert (found["a"], found["z"]) == (Said(3, "Good"), Said(40, "Good"))
                assert found["x"].value is None
                assert found["x"].code in ("BadCommunicationError", "BadTimeout")


async def test_half_a_reply_does_not_spoil_the_next() -> None:
    """When a time-out leaves half a reply behind, the connection is made anew: its rest would come as a header."""
    async with scripted(lambda ask: ask.truth()[:9]) as server, SimpleContext() as context:
        shared = line(server, context)
        with shared.used():
            with pytest.raises(NoAnswer, match=r"within 0\.05 s, only \d bytes of it$"):
                await shared.ask(1, read(20, timeout=0.05))
            server.script = Ask.truth
            assert (await shared.ask(1, read(30))).data == struct.pack(">HH", 30, 31)
    assert server.accepted == 2


async def test_something_nobody_asked_for_closes_the_connection() -> None:
    """Bytes between two requests that are no late reply: the stream is not trusted any more."""
    async with scripted() as server, SimpleContext() as context:
        shared = line(server, context)
        with shared.used():
            await shared.ask(1, read(20))
            server.say(b"\0\0\0\0\0\0\0\0\0\0")
            await eventually(lambda: not shared.connected)
            assert (await shared.ask(1, read(30))).data == struct.pack(">HH", 30, 31)
    assert server.accepted == 2


async def test_the_line_is_fair_between_units() -> None:
    """A unit with many requests waiting does not keep another one from its turn."""
    async with scripted() as server, SimpleContext() as context:
        shared = line(server, context)
        with shared.used():
            await shared.ready()
            async with asyncio.TaskGroup() as group:
                for offset in range(6):
                    group.create_task(shared.ask(1, read(offset)))
                await asyncio.sleep(0)
                for offset in range(2):
                    group.create_task(shared.ask(2, read(offset)))
    order = [ask.unit for ask in server.asked]
    assert sorted(order) == [1] * 6 + [2] * 2
    assert order.index(2) <= 2
    assert [at for at, unit in enumerate(order) if unit == 2][1] <= 4


async def test_closing_in_flight_is_a_lost_connection() -> None:
    """When the peer closes instead of answering, the caller knows at once, not after the time-out."""

    def hang_up(ask: Ask) -> None:
        server.peers[-1].close()

    async with scripted(hang_up) as server, SimpleContext() as context:
        shared = line(server, context)
        with shared.used():
            async with asyncio.timeout(30):
                with pytest.raises(ConnectionLost, match="closed by the peer"):
                    await shared.ask(1, read(20, timeout=60))


async def test_a_line_that_stops_answers_all_who_wait() -> None:
    """Nobody waits for ever on a line that is stopped in the middle of a transaction."""
    async with scripted(lambda _: None) as server:
        async with SimpleContext() as context:
            shared = line(server, context)
            waiting = [shared.submit(unit, read(1, timeout=60)) for unit in (1, 2, 1)]
            await eventually(lambda: server.asked)
        for answer in waiting:
            with pytest.raises(ConnectionLost, match="stopped"):
                await answer
        await eventually(lambda: not server.peers)


async def test_a_connection_that_answers_no_more_is_made_anew() -> None:
    """After three silences in a row, of whatever unit, the connection itself is doubted, once it has answered."""
    async with scripted() as server, SimpleContext() as context:
        shared = line(server, context)
        with shared.used():
            await shared.ask(1, read(1))
            server.script = lambda _: None
            for unit in (1, 2, 1):
                with pytest.raises(NoAnswer):
                    await shared.ask(unit, read(1, timeout=0.02))
            server.script = Ask.truth
            assert (await shared.ask(1, read(3))).data == struct.pack(">HH", 3, 4)
    assert server.accepted == 2


async def test_everything_wrong_takes_the_device_offline() -> None:
    """A peer that answers nothing but garbage is no device: iterating raises, and says why."""
    async with scripted(lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n") as server, SimpleContext() as context:
        config = device(server.url, {"a": "holding:3", "b": "holding:30"})
        async with config.build("press", context).open() as samples:
            with pytest.raises(TransientError, match=r"HTTP/1\.1 answered, this is no Modbus device"):
                await take(samples)


async def test_a_reply_filled_up_with_another_is_no_value() -> None:
    """A reply cut short whose missing bytes are the head of a late one has the right form; it is seen all the same."""
    held: list[bytes] = []

    def hold(ask: Ask) -> None:
        held.append(ask.truth())

    def cut(ask: Ask) -> bytes:
        return ask.truth()[:-4] + held[0]

    async with scripted(hold) as server, SimpleContext() as context:
        shared = line(server, context)
        with shared.used():
            with pytest.raises(NoAnswer):
                await shared.ask(1, read(20, timeout=0.02))
            await eventually(lambda: held)
            server.script = cut
            with pytest.raises(BadReply, match="no Modbus header"):
                await shared.ask(1, read(30))
            server.script = Ask.truth
            assert (await shared.ask(1, read(40))).data == struct.pack(">HH", 40, 41)
