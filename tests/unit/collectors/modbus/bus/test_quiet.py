"""Who is told not to answer before it is lost."""

from __future__ import annotations

import asyncio

from agent.collectors.modbus.bus.bus import ModbusBus
from agent.collectors.modbus.bus.quiet import Quiet
from agent.testing.clock import ManualClock
from agent.testing.context import SimpleContext
from tests.support.waiting import eventually
from tests.unit.collectors.modbus.bus.test_bus import READ, Network


def test_one_lost_packet_is_nothing() -> None:
    """The next request is answered at once."""
    quiet = Quiet()
    quiet.silent(1, 10.0, 11.0)
    assert quiet.since(1, 11.1, waits=True) is None
    quiet.answered(1)
    assert quiet.since(1, 19.0, waits=True) is None


def test_behind_a_dead_gateway_nobody_answers() -> None:
    """Half a second after the first silence it is told of all that wait, and of no other; one answer ends that."""
    quiet = Quiet()
    quiet.silent(1, 10.0, 11.0)
    told = [quiet.since(unit, 11.5, waits=waits) for unit, waits in ((1, False), (2, True), (3, False))]
    assert told == [10.0, 10.0, None]
    quiet.answered(2)
    assert [quiet.since(unit, 12.0, waits=True) for unit in (1, 2)] == [10.0, None]


def test_a_gateway_that_answers_for_a_unit_is_there() -> None:
    """The unit is not."""
    quiet = Quiet()
    quiet.silent(2, 10.0, 11.0)
    quiet.answered(1, gateway_since=12.0)
    assert [quiet.since(unit, 13.0, waits=True) for unit in (1, 2, 3)] == [12.0, 10.0, None]
    quiet.forget(2)
    assert quiet.since(2, 13.0, waits=True) is None


async def test_those_who_wait_for_a_silent_gateway() -> None:
    """The unit in flight and those behind it, before any but the first was asked; until one answers."""
    clock, network = ManualClock(), Network()
    async with SimpleContext(clock=clock) as context:
        bus: ModbusBus = context.bus("bus", lambda: ModbusBus("bus", network.connect, clock))
        with bus.used():
            await bus.ready()
            network.wires[0].silent, network.wires[0].clock = {1}, clock
            network.wires[0].hangs = {2}
            asked = [bus.submit(unit, READ) for unit in (1, 2, 3)]
            await eventually(lambda: network.wires[0].asked == [1, 2])
            assert [bus.unanswered(unit) for unit in (1, 2, 3, 4)] == [None] * 4
            await clock.advance(0.5)
            began = clock.monotonic() - 1.5
            assert [bus.unanswered(unit) for unit in (1, 2, 3, 4)] == [began, began, began, None]
            network.wires[0].gate.set()
            await asyncio.wait(asked)
            assert [bus.unanswered(unit) for unit in (1, 2, 3)] == [began, None, None]
            asked[0].exception()
