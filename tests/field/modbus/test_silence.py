"""Units that are dead, asleep or slow, and gateways before them: their neighbours are read as if they were alone."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from tests.faults.modbus.media import Ask, Medium, medium
from tests.faults.southbound.conftest import Running, modbus
from tests.faults.southbound.ear import Ear, keeps_pace
from tests.support.waiting import eventually


def later(peer: Medium, seconds: float, frame: bytes) -> None:
    """Say this so much later, on the connection of now."""
    say = peer.channel()
    asyncio.get_running_loop().call_later(seconds, lambda: say(frame))


def queueing(peer: Medium, held: float) -> Callable[[Ask], None]:
    """A gateway that asks one unit after the other, and gives unit 9 up after so many seconds (0B)."""
    free_at = [0.0]

    def script(ask: Ask) -> None:
        now = asyncio.get_running_loop().time()
        free_at[0] = max(now, free_at[0]) + (held if ask.unit == 9 else 0.01)
        later(peer, free_at[0] - now, ask.exception(0x0B) if ask.unit == 9 else ask.truth())

    return script


def asleep(peer: Medium, after: float) -> Callable[[Ask], bytes | None]:
    """A device that falls asleep, and that the first request only wakes up."""
    awake_until = [0.0]

    def script(ask: Ask) -> bytes | None:
        now = asyncio.get_running_loop().time()
        woken, awake_until[0] = now > awake_until[0], now + after
        return None if woken else ask.truth()

    return script


def slow(peer: Medium, seconds: float) -> Callable[[Ask], None]:
    """A device that takes so long for each answer."""
    return lambda ask: later(peer, seconds, ask.truth())


def never_bad(ear: Ear, device: str) -> None:
    """No value of this device was ever bad, but for the first that there was none yet."""
    assert [one for one in ear.readings(device) if one.quality != "good" and one.why != "initial"] == []


async def test_dead_units_of_a_bus_cost_the_others_nothing_worth_a_word(running: Running) -> None:
    """Eight dead of twelve, at time-outs of three cycles: the living keep their pace, and the dead are still asked."""

    def eight_dead(ask: Ask) -> bytes | None:
        return None if ask.unit > 4 else ask.truth()

    async with medium("tcp", eight_dead) as peer:
        devices = {
            f"u{unit}": modbus(peer.url, unit_id=unit, registers=1, interval="200ms", timeout="600ms")
            for unit in range(1, 13)
        }
        async with running(devices) as (_, ear):
            for unit in range(5, 13):
                await eventually(lambda: ear.readings(f"u{unit}", why="offline"), what=f"{unit} is dead")  # noqa: B023
            since = max(one.ts for one in ear.readings("u1"))
            await ear.goes_on("u1", "r0", 25)
            for unit in range(1, 5):
                never_bad(ear, f"u{unit}")
                keeps_pace([one.ts for one in ear.readings(f"u{unit}", "r0", since=since)], 200)
            before = sum(ask.unit > 4 for ask in peer.asked)
            await eventually(lambda: sum(ask.unit > 4 for ask in peer.asked) > before, what="the dead are asked")


async def test_gateways_sleepers_and_slow_devices(running: Running) -> None:
    """A gateway held up by a dead unit, a device that sleeps, one slower than its time-out.

    No healthy unit behind the gateway is ever bad; the sleeper is read with `retries`; the slow one is told so.
    """
    async with medium("tcp") as gateway, medium("tcp") as sleeper, medium("tcp") as late, medium("rtu+tcp") as drowsy:
        gateway.script = queueing(gateway, 1.5)
        sleeper.script = asleep(sleeper, 0.7)
        drowsy.script = slow(drowsy, 0.6)
        late.script = slow(late, 0.6)
        devices = {
            f"m{unit}": modbus(gateway.url, unit_id=unit, registers=1, interval="300ms", timeout="500ms")
            for unit in (1, 2, 3, 9)
        }
        devices["sleeper"] = modbus(sleeper.url, interval="2s", timeout="400ms", retries=1)
        devices["late"] = modbus(late.url, interval="1s", timeout="200ms")
        devices["drowsy"] = modbus(drowsy.url, interval="1s", timeout="400ms")
        async with running(devices) as (agent, ear):
            await ear.hears("m9", "offline")
            await eventually(lambda: agent.events("modbus.gateway_slow"))
            await ear.goes_on("m1", "r0", 10)
            await ear.goes_on("sleeper", "r0", 3)
            for name in ("m1", "m2", "m3", "sleeper"):
                never_bad(ear, name)
            assert agent.events("modbus.gateway_slow")[0]["waits_s"] >= 1.5
            for name in ("late", "drowsy"):
                told = re.compile(r"an answer came \d\.\d s after its request, raise `timeout`")
                await eventually(lambda: told.search(ear.state(name).get("reason") or ""), what=f"{name} is told")  # noqa: B023
            assert len(agent.events("modbus.answer_late")) >= 2


async def test_another_master_on_the_bus(running: Running) -> None:
    """A transparent serial server passes on what another master is answered: it is told, and values are uncertain."""
    async with medium("rtu+tcp") as peer:
        other = Ask("rtu", 0, 1, 3, 50, 8)

        def shared(ask: Ask) -> bytes:
            later(peer, 0.1, other.truth())
            return ask.truth()

        peer.script = shared
        async with running({"meter": modbus(peer.url, interval="250ms")}) as (agent, ear):
            reason = "another master talks on this bus, its answers cannot be told from ours"
            await eventually(lambda: reason in (ear.state("meter").get("reason") or ""))
            assert ear.state("meter")["state"] == "degraded"
            await eventually(lambda: set(ear.qualities("meter").values()) == {"uncertain"})
            await ear.goes_on("meter", "r0", 4)
            assert len(ear.readings("meter", "r0", quality="good")) <= 3, "until one of its frames had come"
            newest = ear.newest("meter", "r0")
            assert newest is not None
            assert newest.code == "UncertainDataSubNormal"
            assert len(agent.events("modbus.bus_shared")) == 1
            assert agent.events("modbus.disconnected") == []
