"""The failures of the field, replayed as bytes over every medium: an answer is the truth, or there is none."""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import Awaitable, Callable

import pytest
from msgspec.structs import replace

from agent.collectors.modbus.bus.bus import ModbusBus
from agent.collectors.modbus.bus.transaction import BadReply, HalfAnswer, NoAnswer, ReadRequest, UnitReply
from agent.core.errors import ConnectionLost
from agent.testing.context import SimpleContext
from tests.faults.modbus.media import FRAMERS, HEARTBEAT, MEDIA, Ask, Medium, medium, value
from tests.integration.modbus.servers import device
from tests.support.waiting import eventually

FRAMED = [name for name, framing in MEDIA.items() if framing != "tcp"]


def line(peer: Medium, context: SimpleContext, **workarounds: object) -> ModbusBus:
    config = device(peer.url, {"a": "holding:0"}, workarounds=workarounds, **peer.keys)
    config.build("press", context)
    return next(line for line in context.buses.values() if isinstance(line, ModbusBus))


def read(offset: int, count: int = 2, *, timeout: float = 2.0) -> ReadRequest:
    return ReadRequest(3, offset, count, timeout)


def holds(reply: UnitReply, unit: int, offset: int, count: int = 2) -> bool:
    truth = struct.pack(f">{count}H", *(value(unit, offset + step) for step in range(count)))
    return (reply.data, reply.code) == (truth, 0)


async def ready(shared: ModbusBus) -> None:
    """Connected, however often it takes: a DTU dials in when it likes."""

    async def attempt() -> bool:
        try:
            await shared.ready()
        except ConnectionLost:
            return False
        return True

    await eventually(attempt)


async def outcome(answer: Awaitable[UnitReply]) -> UnitReply | None:
    """The answer; None where there is none."""
    try:
        return await answer
    except (BadReply, NoAnswer, ConnectionLost):
        return None


async def answered_wrongly(peer: Medium, shared: ModbusBus) -> UnitReply | None:
    """What comes of a request that is answered wrongly; from then on the peer says the truth.

    Where a busy machine brings the wrong answer after the time-out, it may cost one more request, which is asked here.
    """
    late = False
    try:
        return await shared.ask(1, read(20, timeout=0.05))
    except NoAnswer as fault:
        late = not isinstance(fault, HalfAnswer)
    except (BadReply, ConnectionLost):
        pass
    finally:
        await eventually(lambda: peer.asked)
        peer.script = Ask.truth
    if late:
        await outcome(shared.submit(1, read(25)))
    return None


WRONG: dict[str, Callable[[Ask], bytes]] = {
    "another function": lambda ask: ask.frame(bytes([4]) + ask.registers(11, 12)[1:]),
    "another unit": lambda ask: ask.frame(ask.registers(11, 12), unit=ask.unit + 1),
    "too few registers": lambda ask: ask.frame(ask.registers(11)),
    "too many registers": lambda ask: ask.frame(ask.registers(11, 12, 13)),
    "a byte count that lies": lambda ask: ask.frame(bytes([3, 4, 0])),
    "an odd byte count": lambda ask: ask.frame(bytes([3, 3, 0, 11, 0])),
    "nothing but a function": lambda ask: ask.frame(bytes([3])),
    "an exception with more in it": lambda ask: ask.frame(bytes([0x83, 2, 2])),
    "the exception of another function": lambda ask: ask.frame(bytes([0x84, 2])),
    "a write's answer": lambda ask: ask.frame(struct.pack(">BHH", 6, 0, 11)),
    "garbage": lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "noise on the line": lambda _: bytes(range(1, 40)),
    "a reply cut short": lambda ask: ask.truth()[:-3],
    "nothing but its first byte": lambda ask: ask.truth()[:1],
    "two replies": lambda ask: ask.truth() + ask.truth(),
    "a reply behind another unit's": lambda ask: ask.frame(ask.registers(11, 12), unit=ask.unit + 1) + ask.truth(),
}
DOUBLED = ("two replies",)  #: of one transaction id: the first is true, the second is late
DAMAGED: dict[str, Callable[[bytes], bytes]] = {
    "a bit turned over": lambda frame: frame[:3] + bytes([frame[3] ^ 1]) + frame[4:],
    "a byte lost": lambda frame: frame[:4] + frame[5:],
    "a checksum of nothing": lambda frame: frame[:-4] + bytes(4),
}


@pytest.mark.parametrize("name", MEDIA)
@pytest.mark.parametrize("kind", WRONG)
async def test_a_wrong_reply_is_never_a_value(name: str, kind: str) -> None:
    """A reply that does not fit its request raises, and the requests after it get their own values."""
    async with medium(name, WRONG[kind]) as peer, SimpleContext() as context:
        shared = line(peer, context)
        with shared.used():
            await ready(shared)
            reply = await answered_wrongly(peer, shared)
            assert reply is None or (kind in DOUBLED and holds(reply, 1, 20))
            for offset in (30, 40):
                await ready(shared)
                assert holds(await shared.ask(1, read(offset)), 1, offset)


ENDS: dict[str, Callable[[Ask], bytes | None]] = {
    **WRONG,
    "the truth": Ask.truth,
    "silence": lambda _: None,
    "half of it": lambda ask: ask.truth()[:9],
    "an exception": lambda ask: ask.exception(2),
    "another transaction": lambda ask: FRAMERS["tcp"].encode(ask.registers(11, 12), ask.unit, ask.tid + 7),
}


UNFINISHED = ("silence", "half of it", "a reply cut short", "nothing but its first byte")


@pytest.mark.parametrize("kind", ENDS)
async def test_a_unit_that_is_alone_is_treated_the_same(kind: str) -> None:
    """A request that goes past the bus's task (`express.py`) ends as others do, in the same words, and so do those
    after it.
    """
    ends: list[list[object]] = []
    for shares in (False, True):
        ends.append([])
        async with medium("tcp") as peer, SimpleContext() as context:
            shared = line(peer, context)
            if shares:
                shared.know(2)
            with shared.used():
                await ready(shared)
                for number, script in enumerate((Ask.truth, ENDS[kind], Ask.truth, Ask.truth)):
                    peer.script = script
                    await ready(shared)
                    await eventually(lambda: shared._express.open)  # noqa: B023 - awaited here
                    asked = shared.submit(1, read(20, timeout=0.5 if number == 1 and kind in UNFINISHED else 10.0))
                    assert number > 1 or (shared._express.job is asked) is not shares
                    try:
                        ends[-1].append(replace(await asked, ts=0))
                    except (BadReply, NoAnswer, ConnectionLost) as fault:
                        ends[-1].append((type(fault), str(fault)))
                ends[-1] += [shared.connected, shared.unanswered(1), len(peer.asked), peer.opened]
    assert ends[0] == ends[1]


async def test_what_goes_past_the_task_of_a_bus_is_still_one_at_a_time() -> None:
    """A second request waits, an abandoned one is finished all the same, and a bus that is stopped leaves nobody
    waiting.
    """
    held: list[bytes] = []
    async with medium("tcp", lambda ask: held.append(ask.truth())) as peer, SimpleContext() as context:
        shared = line(peer, context)
        with shared.used():
            await ready(shared)
            await eventually(lambda: shared._express.open)
            abandoned, second = shared.submit(1, read(20)), shared.submit(1, read(30))
            await eventually(lambda: held)
            abandoned.cancel()
            assert len(held) == 1
            peer.say(held.pop())
            await eventually(lambda: held)
            peer.say(held.pop())
            assert holds(await second, 1, 30)
            await eventually(lambda: shared._express.open)
            stopped = shared.submit(1, read(40))
            assert shared._express.job is stopped
            await eventually(lambda: held)
    with pytest.raises(ConnectionLost, match="stopped"):
        stopped.result()


@pytest.mark.parametrize("name", FRAMED)
@pytest.mark.parametrize("kind", DAMAGED)
async def test_a_damaged_reply_is_never_a_value(name: str, kind: str) -> None:
    """What its checksum does not vouch for is thrown away, and the next request gets its own value."""
    async with medium(name, lambda ask: DAMAGED[kind](ask.truth())) as peer, SimpleContext() as context:
        shared = line(peer, context)
        with shared.used():
            await ready(shared)
            assert await answered_wrongly(peer, shared) is None
            assert holds(await shared.ask(1, read(30)), 1, 30)


@pytest.mark.parametrize("name", MEDIA)
async def test_a_late_reply_is_not_the_next_value(name: str) -> None:
    """M1: an answer that comes after its time-out is never taken for that of another request, nor shifts the rest."""
    held: list[bytes] = []
    async with medium(name, lambda ask: held.append(ask.truth())) as peer, SimpleContext() as context:
        shared = line(peer, context)
        with shared.used():
            await ready(shared)
            with pytest.raises(NoAnswer):
                await shared.ask(1, read(100, timeout=0.1))
            await eventually(lambda: held)  # a pseudo terminal may be read after the time-out
            peer.script = Ask.truth
            waiting = shared.submit(1, read(200, timeout=2))
            peer.say(held[0])
            assert holds(await waiting, 1, 200)
            for offset in (300, 301, 302):
                assert holds(await shared.ask(1, read(offset)), 1, offset)


@pytest.mark.parametrize("name", FRAMED)
async def test_a_device_that_is_one_answer_behind(name: str) -> None:
    """M1 for ever: each answer is that of the request before, however long we wait. None of them becomes a value."""
    behind: list[bytes] = []

    def previous(ask: Ask) -> bytes | None:
        behind.append(ask.truth())
        return behind.pop(0) if len(behind) > 1 else None

    async with medium(name, previous) as peer, SimpleContext() as context:
        shared = line(peer, context)
        with shared.used():
            await ready(shared)
            for offset in range(100, 600, 100):
                assert await outcome(shared.submit(1, read(offset, timeout=0.02))) is None
            for offset in (700, 701):  # a single register: another form is a larger one
                assert await outcome(shared.submit(1, read(offset, 1, timeout=0.02))) is None
            await eventually(lambda: len(peer.asked) == 7)  # a pseudo terminal may be read after the time-out
            peer.script = Ask.truth
            assert holds(await shared.ask(1, read(800)), 1, 800)
            assert holds(await shared.ask(1, read(900, 1)), 1, 900, 1)


@pytest.mark.parametrize("name", MEDIA)
async def test_a_late_reply_does_not_disturb_a_neighbour(name: str) -> None:
    """A unit's late answer arrives in the middle of its neighbour's transaction; the neighbour gets its own value."""
    held: list[bytes] = []

    def late(ask: Ask) -> bytes | None:
        if ask.unit == 1:
            held.append(ask.truth())
            return None
        return held.pop() + ask.truth()

    async with medium(name, late) as peer, SimpleContext() as context:
        shared = line(peer, context)
        with shared.used():
            await ready(shared)
            with pytest.raises(NoAnswer):
                await shared.ask(1, read(100, timeout=0.3))
            assert holds(await shared.ask(2, read(100)), 2, 100)
            peer.script = Ask.truth
            assert holds(await shared.ask(1, read(200)), 1, 200)
        assert peer.opened == 1


@pytest.mark.parametrize("name", MEDIA)
async def test_whoever_gives_up_does_not_shift_the_others(name: str) -> None:
    """M13: a cancelled caller abandons its answer; the transaction ends, and the next caller gets its own value."""
    held: list[Ask] = []
    async with medium(name, held.append) as peer, SimpleContext() as context:
        shared = line(peer, context)
        with shared.used():
            await ready(shared)
            async with asyncio.TaskGroup() as group:
                first = group.create_task(shared.ask(1, read(20, timeout=5)))
                await eventually(lambda: held)
                first.cancel()
                second = group.create_task(shared.ask(1, read(30, timeout=5)))
                queued = group.create_task(shared.ask(1, read(50, timeout=5)))
                await asyncio.sleep(0)
                queued.cancel()
                peer.script = Ask.truth
                peer.say(held[0].truth())
            assert holds(second.result(), 1, 30)
        assert [ask.offset for ask in peer.asked] == [20, 30]
        assert peer.opened == 1


@pytest.mark.parametrize("name", MEDIA)
async def test_a_reply_in_pieces_is_one_reply(name: str) -> None:
    """A reply may arrive byte by byte."""

    def drip(ask: Ask) -> None:
        for byte in ask.truth():
            peer.say(bytes([byte]))

    async with medium(name, drip) as peer, SimpleContext() as context:
        shared = line(peer, context)
        with shared.used():
            await ready(shared)
            assert holds(await shared.ask(1, read(20, 60)), 1, 20, 60)


@pytest.mark.parametrize("name", MEDIA)
async def test_exceptions_arrive(name: str) -> None:
    """An exception is an answer: it comes with its code, and the line is in step afterwards."""
    async with medium(name, lambda ask: ask.exception(0x0B)) as peer, SimpleContext() as context:
        shared = line(peer, context)
        with shared.used():
            await ready(shared)
            reply = await shared.ask(9, read(20))
            assert (reply.data, reply.code) == (b"", 0x0B)
            peer.script = Ask.truth
            assert holds(await shared.ask(1, read(30)), 1, 30)


@pytest.mark.parametrize("name", FRAMED)
async def test_the_echo_of_a_two_wire_line(name: str) -> None:
    """With `echo` what is sent comes back before the answer; without it the echo is garbage, never a value."""
    async with medium(name) as peer, SimpleContext() as context:
        peer.echo = True
        shared = line(peer, context, echo=True)
        with shared.used():
            await ready(shared)
            for offset in (20, 30):
                assert holds(await shared.ask(1, read(offset)), 1, offset)
    async with medium(name) as peer, SimpleContext() as context:
        peer.echo = True
        shared = line(peer, context)
        with shared.used():
            await ready(shared)
            with pytest.raises((BadReply, NoAnswer)):
                await shared.ask(1, read(0x400, timeout=0.1))


@pytest.mark.parametrize("name", MEDIA)
async def test_a_device_that_answers_under_another_unit(name: str) -> None:
    """With `ignore_unit` an answer is taken whatever unit it names; everything else is still checked."""

    def zero(ask: Ask) -> bytes:
        return ask.frame(ask.registers(value(1, ask.offset), value(1, ask.offset + 1)), unit=0)

    async with medium(name, zero) as peer, SimpleContext() as context:
        shared = line(peer, context, ignore_unit=True)
        with shared.used():
            await ready(shared)
            assert holds(await shared.ask(1, read(20)), 1, 20)
            with pytest.raises(BadReply):
                await shared.ask(1, read(20, 3))


@pytest.mark.parametrize("name", ["dtu rtu", "dtu tcp"])
async def test_heartbeats_are_thrown_away(name: str) -> None:
    """A DTU's heartbeat may come before, between and behind answers; values are not disturbed."""

    def beating(ask: Ask) -> bytes:
        return HEARTBEAT + ask.truth() + HEARTBEAT

    async with medium(name, beating) as peer, SimpleContext() as context:
        shared = line(peer, context)
        with shared.used():
            await ready(shared)
            for offset in range(20, 30):
                peer.say(HEARTBEAT[:1])
                peer.say(HEARTBEAT[1:])
                assert holds(await shared.ask(1, read(offset)), 1, offset)
        assert peer.opened == 1


@pytest.mark.parametrize("name", MEDIA)
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.soak)])
async def test_no_wrong_value_under_random_failures(name: str, seed: int) -> None:
    """Whatever is late, doubled, cut short or rewritten: an answer is the truth, or there is none."""
    rng = random.Random(f"{name} {seed}")
    late: list[bytes] = []

    def script(ask: Ask) -> bytes | None:
        truth = ask.truth()
        choice = rng.random()
        if choice < 0.5:
            return truth
        if choice < 0.6:
            late.append(truth)
            return None
        if choice < 0.7 and late:
            return late.pop(rng.randrange(len(late))) + truth
        if choice < 0.75 and late:
            return truth[: rng.randrange(1, len(truth))] + late.pop()
        if choice < 0.8:
            return truth + truth
        if choice < 0.9:
            return truth[: rng.randrange(1, len(truth))]
        return WRONG[rng.choice(list(WRONG))](ask)

    values = 0
    async with medium(name, script) as peer, SimpleContext() as context:
        shared = line(peer, context)
        with shared.used():
            await ready(shared)
            for number in range(60):
                # Never as few as WRONG answers with, not one less either: what fits is no wrong answer. A seed does not
                # settle what meets what: what is asked beside depends on time.
                count, unit = rng.randrange(5, 20), rng.randrange(1, 4)
                offset = number * 50 + rng.randrange(30)
                try:
                    reply = await shared.ask(unit, read(offset, count, timeout=0.02))
                except ConnectionLost:
                    await ready(shared)
                except (NoAnswer, BadReply):
                    pass
                else:
                    assert holds(reply, unit, offset, count)
                    values += 1
    assert values


async def test_a_flood_of_whole_frames_is_no_bus() -> None:
    """A peer that sends frames without end is disconnected: nobody else on the loop pays for it."""
    async with medium("rtu+tcp") as peer, SimpleContext() as context:
        peer.script = lambda ask: ask.truth()
        bus = line(peer, context)
        with bus.used():
            await ready(bus)
            await bus.ask(1, read(20))
            frames = Ask("rtu", 0, 2, 3, 0, 1).truth() * 400
            for _ in range(8):
                peer.say(frames)
            await eventually(lambda: not bus.connected)
