"""A line that says its answers again: what comes is told from the answer to a later request."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agent.collectors.modbus.bus.framing import Ascii, Rtu
from agent.collectors.modbus.bus.overdue import OverdueAnswers
from agent.collectors.modbus.bus.stream import Habits, StreamWire
from agent.collectors.modbus.bus.transaction import ReadRequest
from agent.core.errors import ConnectionLost
from agent.testing.clock import ManualClock
from tests.faults.modbus.media import Ask, Framing


class Converter:
    """Answers after 10 ms, and says the same again so many milliseconds after that."""

    def __init__(self, framing: Framing, clock: ManualClock, again: tuple[int, ...]) -> None:
        self.wire = StreamWire(Rtu() if framing == "rtu" else Ascii(), Habits(), clock, OverdueAnswers())
        self._framing = framing
        self._clock = clock
        self._again = again
        self._due: list[tuple[int, bytes]] = []
        self._now = 0
        transport: Any = self
        self.wire.connection_made(transport)
        self.asked = 0

    def write(self, data: bytes) -> None:
        self.asked += 1
        offset = self.asked * 10
        answer = Ask(self._framing, 0, 1, 3, offset, 1).truth()
        self._due += [(self._now + 10 + delay, answer) for delay in (0, *self._again)]
        del data

    async def read(self) -> int:
        """The value of the next register."""
        request = ReadRequest(3, (self.asked + 1) * 10, 1, timeout=5.0)
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(self.wire.transact(1, request))
            while not reading.done():
                await self.passes(1)
        data, _ = reading.result()
        return int.from_bytes(data, "big")

    async def passes(self, ms: int) -> None:
        for _ in range(ms):
            await asyncio.sleep(0)
            self._now += 1
            for at, answer in [one for one in self._due if one[0] <= self._now]:
                self._due.remove((at, answer))
                self.wire.data_received(answer)
            await self._clock.advance(0.001)


@pytest.mark.parametrize("framing", ["rtu", "ascii"])
@pytest.mark.parametrize("again", [(), (0,), (5,), (40,), (30, 60)])
async def test_no_answer_is_taken_for_another(framing: Framing, again: tuple[int, ...]) -> None:
    """Three registers after each other, twice, each answer said again: the values are theirs."""
    clock = ManualClock()
    converter = Converter(framing, clock, again)
    for _ in range(2):
        began = clock.monotonic()
        assert [await converter.read() for _ in range(3)] == [
            4099 + 370 * number for number in range(converter.asked - 2, converter.asked + 1)
        ]
        took = clock.monotonic() - began
        await converter.passes(200)
    assert converter.wire.doubled == 6 * len(again)
    assert converter.wire.strangers == []
    assert again or took < 0.05, "a line that does not is not waited for"


async def test_what_comes_late_or_differs_is_somebody_elses() -> None:
    """The same bytes a second later, or an answer with another value, are another master's."""
    clock = ManualClock()
    converter = Converter("rtu", clock, ())
    assert await converter.read() == 4469
    converter.wire.data_received(Ask("rtu", 0, 1, 3, 11, 1).truth())
    await converter.passes(1000)
    converter.wire.data_received(Ask("rtu", 0, 1, 3, 10, 1).truth())
    assert (converter.wire.doubled, len(converter.wire.strangers)) == (0, 2)


async def test_a_connection_that_ends_is_not_waited_for() -> None:
    """Many serial servers close it behind each answer: the next one is asked at once on another."""
    peer = Converter("rtu", ManualClock(), ())
    await peer.read()

    async def ask() -> None:
        with pytest.raises(ConnectionLost):
            await peer.wire.transact(1, ReadRequest(3, 20, 1, timeout=5.0))

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:  # the manual clock stands still
        group.create_task(ask())
        await peer.passes(1)
        peer.wire.connection_lost(None)
    assert peer.asked == 1


async def test_one_that_comes_in_pieces() -> None:
    """The next request waits for the rest of it."""
    clock = ManualClock()
    converter = Converter("rtu", clock, ())
    assert await converter.read() == 4469
    answer = Ask("rtu", 0, 1, 3, 10, 1).truth()
    converter.wire.data_received(answer[:3])
    await converter.passes(10)
    converter.wire.data_received(answer[3:])
    assert converter.wire.doubled == 1
    assert await converter.read() == 4839
    assert converter.wire.strangers == []
