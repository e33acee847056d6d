"""The short way over a bus leaves behind what the long way does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from agent.collectors.modbus.bus.bus import ModbusBus
from agent.collectors.modbus.bus.transaction import (
    BadReply,
    NoAnswer,
    Outcome,
    ReadRequest,
    Unanswered,
    UnitReply,
    Wire,
    WrongSize,
)
from agent.core.errors import ConnectionLost
from agent.testing.clock import ManualClock
from agent.testing.context import SimpleContext
from tests.unit.collectors.modbus.bus.test_bus import Twin

READ = ReadRequest(3, 0, 1, 1.0)
GOOD: Outcome = (b"\0\1", 0)


class Scripted(Twin):
    """A wire whose requests end as the script says; `short`: it can be asked without waiting for it."""

    def __init__(self, script: list[Outcome], *, short: bool) -> None:
        super().__init__()
        self._script = script
        self._short = short
        self.began = 0
        self.held = False  #: nothing ends

    async def transact(self, unit: int, request: ReadRequest) -> tuple[bytes, int]:
        self.asked.append(unit)
        return self._next()

    def begin(self, unit: int, request: ReadRequest, ended: Callable[[Outcome], None]) -> bool:
        if not self._short or self.lost is not None:
            return False
        self.asked.append(unit)
        self.began += 1

        def end() -> None:
            try:
                ended(self._next())
            except Exception as fault:  # noqa: BLE001 - an outcome like any other
                ended(fault)

        if not self.held:
            asyncio.get_running_loop().call_soon(end)
        return True

    def _next(self) -> tuple[bytes, int]:
        outcome = self._script.pop(0)
        if isinstance(outcome, ConnectionLost):
            self.lost = outcome.reason
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


async def story(script: Sequence[Outcome], *, short: bool, units: Sequence[int] = (1,)) -> tuple[list[Any], int]:
    """What each request of a bus got, how often it was connected and whether it stands; requests that went short."""
    clock, left = ManualClock(), list(script)
    wires: list[Scripted] = []
    told: list[Any] = []

    async def connect() -> Wire:
        wires.append(Scripted(left, short=short))
        return wires[-1]

    async with SimpleContext(clock=clock) as context:
        bus: ModbusBus = context.bus("line", lambda: ModbusBus("line", connect, clock))
        for unit in units:
            bus.know(unit)
        assert bus.alone == (len(units) == 1)
        with bus.used():
            while left:
                try:
                    told.append((await bus.ask(units[0], READ))._replace(ts=0))
                except (ConnectionLost, NoAnswer, BadReply) as fault:
                    told.append((type(fault), str(fault)))
                told.append((len(wires), bus.connected))
                await asyncio.sleep(0)  # the bus comes to rest
                await clock.advance(6.0)
    return told, sum(wire.began for wire in wires)


@pytest.mark.parametrize(
    "faults",
    [
        [],
        [(b"", 2)],
        [(b"", 0x0A), GOOD],
        [NoAnswer("silence")],
        [NoAnswer("silence")] * 6,
        [BadReply("garbage")],
        [WrongSize("4 data bytes instead of 2")],
        [ConnectionLost("reset")],
        [Unanswered("closed")],
        [Unanswered("closed"), Unanswered("closed")],
    ],
)
async def test_both_ways_tell_and_leave_the_same(faults: list[Outcome]) -> None:
    """Answers, exceptions, silences, garbage and lost connections, between good answers."""
    script = [GOOD, GOOD, *faults, GOOD, GOOD]
    long, none = await story(script, short=False)
    told, some = await story(script, short=True)
    assert told == long
    assert (none, some > 0) == (0, True)


async def test_a_bus_of_several_units_goes_the_long_way() -> None:
    """There, who is asked next is the bus's decision."""
    told, short = await story([GOOD] * 4, short=True, units=(1, 2))
    assert short == 0
    assert told[0] == UnitReply(b"\0\1", 0, 0)


async def test_who_gives_up_abandons_the_answer_alone() -> None:
    """The request stays on its way, and nothing else is sent before its end; a stopped bus tells who waits."""
    clock, left = ManualClock(), [GOOD] * 4
    wire = Scripted(left, short=True)

    async def connect() -> Wire:
        return wire

    async with SimpleContext(clock=clock) as context:
        bus: ModbusBus = context.bus("line", lambda: ModbusBus("line", connect, clock))
        bus.know(1)
        with bus.used():
            await bus.ask(1, READ)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            bus.submit(1, READ).cancel()
            assert wire.began == 1
            second = bus.submit(1, READ)
            assert wire.asked == [1, 1]
            assert (await second).data == b"\0\1"
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            wire.held = True
            last = bus.submit(1, READ)
            assert wire.began == 2
    with pytest.raises(ConnectionLost, match="stopped"):
        await last
