"""Who is told not to answer before it is lost."""

from __future__ import annotations

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
    quiet.answered(1, 11.1, 11.2)
    assert quiet.since(1, 19.0, waits=True) is None


def test_behind_a_dead_gateway_nobody_answers() -> None:
    """Half a second after the first silence it is told of all that wait, and of no other; one answer ends that."""
    quiet = Quiet()
    quiet.silent(1, 10.0, 11.0)
    told = [quiet.since(unit, 11.5, waits=waits) for unit, waits in ((1, False), (2, True), (3, False))]
    assert told == [10.0, 10.0, None]
    quiet.answered(2, 11.0, 11.6)
    assert [quiet.since(unit, 12.0, waits=True) for unit in (1, 2)] == [10.0, None]


def test_a_gateway_that_answers_for_a_unit_is_there() -> None:
    """The unit is not."""
    quiet = Quiet()
    quiet.silent(2, 10.0, 11.0)
    quiet.answered(1, 12.0, 12.1, there=False)
    assert [quiet.since(unit, 13.0, waits=True) for unit in (1, 2, 3)] == [12.0, 10.0, None]
    quiet.forget(2)
    assert quiet.since(2, 13.0, waits=True) is None


def test_one_dead_unit_beside_slow_ones_is_no_dead_gateway() -> None:
    """Who takes its time is waited for as long as that; one quick answer does not make it quick."""
    quiet = Quiet()
    quiet.answered(2, 0.0, 3.0)
    quiet.answered(2, 3.0, 3.1)
    quiet.silent(1, 10.0, 11.0)
    assert [quiet.since(unit, 13.9, waits=True) for unit in (1, 2)] == [10.0, None]
    assert [quiet.since(unit, 14.3, waits=True) for unit in (1, 2)] == [10.0, 10.0]
    quiet.answered(2, 16.0, 19.0)
    quiet.silent(1, 20.0, 21.0)
    assert [quiet.since(unit, 22.0, waits=True) for unit in (1, 2)] == [10.0, None]
    quiet.forget(2)
    assert [quiet.since(unit, 22.0, waits=True) for unit in (1, 3)] == [10.0, 20.0]


def test_while_nobody_is_asked_nothing_is_shown() -> None:
    """A unit that is read every ten seconds is not silent because another was, five seconds ago."""
    quiet = Quiet()
    quiet.answered(2, 0.0, 0.2)
    quiet.silent(1, 10.0, 11.0)
    quiet.asked(16.0)
    assert [quiet.since(unit, 16.6, waits=True) for unit in (1, 2)] == [10.0, None]
    assert [quiet.since(unit, 16.8, waits=True) for unit in (1, 2)] == [10.0, 10.0]
    quiet.silent(2, 16.0, 17.0)
    quiet.asked(17.0)
    assert quiet.since(3, 17.0, waits=True) == 10.0


def test_a_unit_behind_a_dead_gateway_stays_told_when_it_is_its_turn() -> None:
    """Its own first silence does not begin anew what is known of all."""
    quiet = Quiet()
    quiet.silent(1, 10.0, 11.0)
    assert quiet.since(2, 12.9, waits=True) == 10.0
    quiet.silent(2, 11.0, 13.0)
    assert [quiet.since(2, now, waits=False) for now in (13.0, 13.4, 13.6)] == [10.0, 10.0, 10.0]


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
            await eventually(lambda: all(answer.done() for answer in asked))
            assert [bus.unanswered(unit) for unit in (1, 2, 3)] == [began, None, None]
