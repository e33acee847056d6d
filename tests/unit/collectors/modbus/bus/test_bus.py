from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import cast

import pytest
from structlog.testing import capture_logs

from agent.collectors.modbus.bus import sharing
from agent.collectors.modbus.bus.bus import ModbusBus
from agent.collectors.modbus.bus.link import DEAF_SECONDS
from agent.collectors.modbus.bus.manners import Manners
from agent.collectors.modbus.bus.transaction import LateAnswer, NoAnswer, PromptWire, ReadRequest, Unanswered, Wire
from agent.collectors.modbus.bus.turnstile import Turnstile
from agent.core.errors import ConnectionLost
from agent.testing.clock import ManualClock
from agent.testing.context import SimpleContext
from tests.support.waiting import eventually

READ = ReadRequest(3, 0, 1, 1.0)


class Twin:
    """A wire that answers zeros, or raises what it is told to."""

    stale = 0
    numbered = True
    prompt: PromptWire | None = None

    def __init__(self) -> None:
        self.late: list[LateAnswer] = []
        self.strangers: list[float] = []
        self.doubled = 0
        self.any_unit: AbstractSet[int] = set()
        self.lost: str | None = None
        self.fault: Exception | None = None
        self.code = 0
        self.closed = False
        self.asked: list[int] = []
        self.silent: set[int] = set()
        self.hangs: set[int] = set()  #: units whose answer comes with the gate
        self.gate = asyncio.Event()
        self.clock: ManualClock | None = None  #: of which a silence takes a second
        self.rests: dict[int, float] = {}
        self.renews: set[int] = set()

    async def transact(self, unit: int, request: ReadRequest) -> tuple[bytes, int]:
        self.asked.append(unit)
        if self.fault is not None:
            raise self.fault
        if unit in self.silent:
            if self.clock is not None:
                await self.clock.advance(1.0)
            raise NoAnswer("silence")
        if unit in self.hangs:
            await self.gate.wait()
        return b"" if self.code else bytes(request.size), self.code

    def rest(self, unit: int) -> float:
        return self.rests.get(unit, 0.0)

    def renew(self, unit: int) -> bool:
        return unit in self.renews

    def close(self) -> None:
        self.closed = True


class Stuck(Twin):
    """One on which a request may go at once, and cannot."""

    def send(self, *_: object) -> object:
        raise ZeroDivisionError("a bug")


class Network:
    """Connects to twins while it is up, and counts attempts."""

    def __init__(self) -> None:
        self.up = True
        self.attempts = 0
        self.wires: list[Twin] = []

    async def connect(self) -> Wire:
        self.attempts += 1
        if not self.up:
            raise ConnectionLost("refused")
        self.wires.append(Twin())
        return self.wires[-1]


async def test_all_who_wait_share_an_attempt() -> None:
    """While a line backs off, asking fails at once without an attempt; those who want to open wait for the next one."""
    clock, network = ManualClock(), Network()
    network.up = False
    async with SimpleContext(clock=clock) as context:
        line: ModbusBus = context.bus("line", lambda: ModbusBus("line", network.connect, clock))
        with pytest.raises(ConnectionLost, match="refused"):
            await line.ready()
        for _ in range(3):
            with pytest.raises(ConnectionLost, match="refused"):
                await line.ask(1, READ)
        assert network.attempts == 1
        async with asyncio.TaskGroup() as group:
            waiting = [group.create_task(_fails(line)) for _ in range(3)]
            await eventually(lambda: clock.sleepers == 3)
            await clock.advance(1.0)
        assert [task.result() for task in waiting] == ["refused"] * 3
        assert network.attempts == 2
        network.up = True
        with line.used():
            async with asyncio.TaskGroup() as group:
                group.create_task(line.ready())
                await clock.advance(5.0)
            assert line.connected
            assert network.attempts == 3


async def _fails(line: ModbusBus) -> str:
    try:
        await line.ready()
    except ConnectionLost as error:
        return error.reason
    return "connected"


async def test_the_connection_ends_with_its_last_user() -> None:
    """The connection is kept while somebody uses the line, and closed when nobody is left."""
    network = Network()
    async with SimpleContext() as context:
        line: ModbusBus = context.bus("line", lambda: ModbusBus("line", network.connect, context.clock))
        with line.used():
            with line.used():
                await line.ask(1, READ)
            await line.ask(1, READ)
            assert not network.wires[0].closed
        await eventually(lambda: network.wires[0].closed)
        with line.used():
            await line.ask(1, READ)
    assert network.attempts == 2
    assert all(wire.closed for wire in network.wires)


async def test_a_bug_is_told_to_its_caller_and_the_line_lives() -> None:
    """An error nobody translated reaches whoever asked; others are served on a new connection."""
    network = Network()
    async with SimpleContext() as context:
        line: ModbusBus = context.bus("line", lambda: ModbusBus("line", network.connect, context.clock))
        with line.used():
            await line.ready()
            network.wires[0].fault = ZeroDivisionError("a bug")
            with pytest.raises(ZeroDivisionError):
                await line.ask(1, READ)
            assert (await line.ask(2, READ)).data == b"\0\0"
    assert network.wires[0].closed


async def test_so_is_one_in_sending_past_the_task_of_a_line() -> None:
    """A request that could not be sent is not under way for ever."""
    network = Network()
    async with SimpleContext() as context, asyncio.timeout(20):
        line: ModbusBus = context.bus("line", lambda: ModbusBus("line", network.connect, context.clock))
        line.know(1)
        with line.used():
            await line.ready()
            network.wires[0].prompt = cast("PromptWire", Stuck())
            await eventually(lambda: line._express.open)
            with pytest.raises(ZeroDivisionError):
                await line.ask(1, READ)
            assert (await line.ask(1, READ)).data == b"\0\0"
    assert network.wires[0].closed


@asynccontextmanager
async def opened(context: SimpleContext, network: Network, manners: Manners | None = None) -> AsyncIterator[ModbusBus]:
    """A line that stands and is used."""
    line: ModbusBus = context.bus("line", lambda: ModbusBus("line", network.connect, context.clock, manners))
    with line.used():
        await line.ready()
        yield line


async def test_a_gateway_without_a_path_is_asked_once() -> None:
    """After 0A nobody behind the gateway is asked until its back-off is over, then one of them is, for all."""
    clock, network = ManualClock(), Network()
    async with SimpleContext(clock=clock) as context, opened(context, network) as line:
        network.wires[0].code = 0x0A
        for unit in (1, 2, 3, 1):
            assert (await line.ask(unit, READ)).code == 0x0A
        assert network.wires[0].asked == [1]
        await clock.advance(1.0)
        assert (await line.ask(2, READ)).code == 0x0A
        assert (await line.ask(3, READ)).code == 0x0A
        assert network.wires[0].asked == [1, 2]
        network.wires[0].code = 0
        await clock.advance(2.0)
        assert [(await line.ask(unit, READ)).code for unit in (3, 1)] == [0, 0]
        assert network.wires[0].asked == [1, 2, 3, 1]


async def test_a_gateway_that_has_no_path_to_one_unit() -> None:
    """Where others are reached 0A concerns its unit alone, until they are not reached either."""
    clock, network = ManualClock(), Network()
    async with SimpleContext(clock=clock) as context, opened(context, network) as line:
        await line.ask(1, READ)
        network.wires[0].code = 0x0A
        assert (await line.ask(9, READ)).code == 0x0A
        network.wires[0].code = 0
        assert (await line.ask(1, READ)).code == 0
        network.wires[0].fault = NoAnswer("silence")
        with pytest.raises(NoAnswer):
            await line.ask(1, READ)
        network.wires[0].fault, network.wires[0].code = None, 0x0A
        await line.ask(9, READ)
        network.wires[0].code = 0
        assert (await line.ask(1, READ)).code == 0x0A


async def test_a_unit_that_rests_is_passed_over() -> None:
    """While the late answer of one unit may still come its neighbours are asked, and it is when its time is over."""
    async with SimpleContext() as context:
        network = Network()
        async with opened(context, network) as line:
            wire = network.wires[0]
            wire.rests[1] = 60.0
            first = line.submit(1, READ)
            assert (await line.ask(2, READ)).code == 0
            assert wire.asked == [2]
            wire.rests[1] = 0.01  # seen when somebody asks, or when the time said before is over
            await line.ask(2, READ)
            wire.rests[1] = 0.0
            assert (await first).code == 0
    assert wire.asked == [2, 2, 1]


async def test_a_connection_that_has_to_be_renewed() -> None:
    """Where a unit's answer never came, the connection is made anew before it is asked again, not for others."""
    async with SimpleContext() as context:
        network = Network()
        async with opened(context, network) as line:
            network.wires[0].renews = {1}
            await line.ask(2, READ)
            assert network.attempts == 1
            await line.ask(1, READ)
    assert network.attempts == 2
    assert (network.wires[0].asked, network.wires[1].asked) == ([2], [1])


async def test_pauses() -> None:
    """After connecting, and before and after the requests of a unit that wants it, nothing is sent for a while."""
    clock, network = ManualClock(), Network()
    async with SimpleContext(clock=clock) as context:
        line: ModbusBus = context.bus(
            "line", lambda: ModbusBus("line", network.connect, clock, Manners(pause_after_connect=2.0))
        )
        line.know(7, pause=0.5)
        with line.used():
            answers = [line.submit(unit, READ) for unit in (1, 7, 2, 3)]
            times = [0.0, 0.0, 0.0, 0.0]
            for step in range(40):
                for number, answer in enumerate(answers):
                    times[number] = times[number] or (step / 10 if answer.done() else 0.0)
                await clock.advance(0.1)
    assert times == pytest.approx([2.0, 2.5, 3.0, 3.0], abs=0.11)


async def test_a_connection_closed_after_each_cycle() -> None:
    """With `close_after_cycle` the connection lives while anybody's cycle lasts, and is no lost one in between."""
    async with SimpleContext() as context:
        network = Network()
        async with opened(context, network, Manners(close_after_cycle=True)) as line:
            await eventually(lambda: network.wires[0].closed)
            assert line.connected
            line.cycle("a", begins=True)
            line.cycle("b", begins=True)
            await line.ask(1, READ)
            line.cycle("a", begins=False)
            await line.ask(2, READ)
            assert not network.wires[1].closed
            line.cycle("b", begins=False)
            await eventually(lambda: network.wires[1].closed)
            assert line.connected
            network.up = False
            with pytest.raises(ConnectionLost, match="refused"):
                await line.ask(1, READ)
            assert network.attempts == 3
            assert not bool(line.connected)


async def test_a_cancellation_that_the_library_swallows() -> None:
    """A line that is stopped stops, also where an answer comes at that very moment and hides it."""

    class Deaf(Twin):
        async def transact(self, unit: int, request: ReadRequest) -> tuple[bytes, int]:
            self.asked.append(unit)
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            return bytes(request.size), 0

    wire = Deaf()

    async def connect() -> Wire:
        return wire

    async with SimpleContext() as context:
        line: ModbusBus = context.bus("line", lambda: ModbusBus("line", connect, context.clock))
        answer = line.submit(1, READ)
        await eventually(lambda: wire.asked)
    assert answer.done()
    assert wire.closed


async def test_one_connection_for_several_hosts() -> None:
    """Lines that share a door are never connected at the same time, and none of them starves."""
    networks = [Network() for _ in range(3)]

    def standing() -> int:
        return sum(not wire.closed for network in networks for wire in network.wires)

    async with SimpleContext() as context:
        door: Turnstile = context.bus("door", Turnstile)

        def make(number: int) -> ModbusBus:
            return ModbusBus(f"line {number}", networks[number].connect, context.clock, Manners(door=door))

        lines: list[ModbusBus] = [context.bus(f"line {number}", partial(make, number)) for number in range(3)]
        networks[2].up = False
        with lines[0].used(), lines[1].used(), lines[2].used():
            for _ in range(5):
                answers = [line.submit(1, READ) for line in lines]
                for answer in answers[:2]:
                    assert (await answer).code == 0
                    assert standing() <= 1
                with pytest.raises(ConnectionLost):
                    await answers[2]
            lines[0].cycle("a", begins=True)
            await lines[0].ask(1, READ)
            waiting = lines[1].submit(1, READ)
            await lines[0].ask(1, READ)
            assert not waiting.done()
            lines[0].cycle("a", begins=False)
            assert (await waiting).code == 0
            assert lines[0].connected
            assert standing() == 1


def _events(logs: Sequence[Mapping[str, object]]) -> list[object]:
    return [line["event"] for line in logs if str(line["event"]).endswith("connected")]


async def test_a_connection_is_news_once_somebody_answers() -> None:
    """A peer that accepts connections and never answers fills no log, however often it is connected to anew."""
    clock, network = ManualClock(), Network()
    with capture_logs() as logs:
        async with SimpleContext(clock=clock) as context:
            line: ModbusBus = context.bus("line", lambda: ModbusBus("line", network.connect, clock))
            for _ in range(5):
                with line.used():
                    await line.ready()
                    network.wires[-1].fault = NoAnswer("no answer within 1s")
                    await clock.advance(DEAF_SECONDS)  # else it is kept: it may be deaf for a while
                    with pytest.raises(NoAnswer):
                        await line.ask(1, READ)
                await eventually(lambda: network.wires[-1].closed)
            assert not _events(logs)
            for _ in range(5):
                with line.used():
                    await line.ask(1, READ)
                await eventually(lambda: network.wires[-1].closed)
    assert len(network.wires) == 10
    assert _events(logs) == ["modbus.connected"]


async def test_a_connection_that_comes_and_goes_is_said_rarely() -> None:
    """A connection lost every few seconds is said once a minute at most, its return no oftener than its loss."""
    clock, network = ManualClock(), Network()
    with capture_logs() as logs:
        async with SimpleContext(clock=clock) as context:
            line: ModbusBus = context.bus("line", lambda: ModbusBus("line", network.connect, clock))
            with line.used():
                for _ in range(30):
                    await line.ask(1, READ)
                    network.wires[-1].fault = ConnectionLost("reset by peer")
                    with pytest.raises(ConnectionLost):
                        await line.ask(1, READ)
                    await clock.advance(6.0)
    assert len(network.wires) == 30
    assert _events(logs) == ["modbus.connected", "modbus.disconnected"] * 3 + ["modbus.connected"]


async def test_a_read_that_met_a_closing_connection_is_sent_once_more() -> None:
    """Where something was answered on it before, and not a byte of this answer came; else the loss is reported."""
    network = Network()
    async with SimpleContext() as context, opened(context, network) as line:
        await line.ask(1, READ)
        network.wires[0].fault = Unanswered("closed by the peer")
        assert (await line.ask(1, READ)).data == b"\0\0"
        assert network.attempts == 2
        network.wires[1].fault = ConnectionLost("reset by peer")
        with pytest.raises(ConnectionLost, match="reset by peer"):
            await line.ask(1, READ)


async def test_a_connection_that_never_answered_is_not_tried_twice() -> None:
    """A peer that closes every connection without a word is lost, with its back-off."""
    network = Network()
    async with SimpleContext() as context, opened(context, network) as line:
        network.wires[0].fault = Unanswered("closed by the peer")
        with pytest.raises(ConnectionLost, match="closed by the peer"):
            await line.ask(1, READ)
        assert network.attempts == 1


async def test_a_unit_that_is_lost_waits_for_its_share() -> None:
    """While another one answers, a lost unit is asked when its share of the time allows it, and then at once."""
    clock, network = ManualClock(), Network()
    async with SimpleContext(clock=clock) as context, opened(context, network) as line:
        await line.ask(1, READ)
        wire = network.wires[0]
        line.lost(9)
        wire.clock = clock
        wire.silent.add(9)
        with pytest.raises(NoAnswer):
            await line.ask(9, READ)
        waiting = line.submit(9, READ)
        await line.ask(1, READ)
        assert wire.asked == [1, 9, 1]
        wire.silent.clear()
        await clock.advance(20.0)
        await line.ask(1, READ)
        assert (await waiting).code == 0


async def test_after_a_first_silence_nobody_unknown_is_asked() -> None:
    """One that is known to answer shows whether the silence holds up the gateway; the others wait for that."""
    clock, network = ManualClock(), Network()
    async with SimpleContext(clock=clock) as context, opened(context, network) as line:
        for unit in (1, 7, 8, 9):
            line.know(unit)
        await line.ask(1, READ)
        wire = network.wires[0]
        wire.clock = clock
        wire.silent |= {8, 9}
        with pytest.raises(NoAnswer):
            await line.ask(9, READ)
        waiting = [line.submit(unit, READ) for unit in (8, 7)]
        await clock.advance(1.0)
        assert wire.asked == [1, 9]
        await line.ask(1, READ)
        assert (await waiting[1]).code == 0
        assert wire.asked == [1, 9, 1, 8, 7]


async def test_another_master_makes_answers_doubtful() -> None:
    """Frames nobody asked for: answers say so while they come, and for a minute."""
    clock, network = ManualClock(), Network()
    with capture_logs() as logs:
        async with SimpleContext(clock=clock) as context, opened(context, network) as line:
            assert (await line.ask(1, READ)).doubt is None
            network.wires[0].strangers += [0.0, 1.0, 2.0]
            assert (await line.ask(1, READ)).doubt == line.shared == sharing.REASON
            await clock.advance(61.0)
            assert (await line.ask(1, READ)).doubt is None
    assert [line["event"] for line in logs if "bus_" in str(line["event"])] == ["modbus.bus_shared", "modbus.bus_alone"]
