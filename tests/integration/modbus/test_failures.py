from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from pymodbus.constants import ExcCodes

from agent.core.clock import Timer
from agent.core.errors import ConnectionLost, TransientError
from agent.core.flow import Sample
from agent.telemetry.metrics import READ_ERRORS, REQUESTS
from agent.testing.context import SimpleContext
from tests.integration.modbus.reading import Said, cycle, said, take
from tests.integration.modbus.servers import Ask, device, plant, scripted
from tests.support.clock import Hasty
from tests.support.waiting import eventually

ILLEGAL = "BadConfigurationError"
PROBE_SECONDS = 60.0  # longer than the first two waits between probes


def requests(name: str) -> float:
    return REQUESTS.labels(name).value


async def test_one_illegal_register_costs_one_tag() -> None:
    """In a merged block with an illegal register exactly the tags on it are bad, with code and reason, at once."""
    async with plant() as running, SimpleContext() as context:
        running.memory.illegal = {("holding", 13), ("holding", 14), ("input", 0)}
        tags: dict[str, object] = {f"h{offset}": f"holding:{offset}" for offset in range(40)}
        tags |= {"i0": "input:0", "i1": "input:1"}
        tags["wide"] = {"address": "holding:40", "type": "uint64"}
        config = device(running.url, tags)
        async with config.build("press", context).open() as samples:
            first = await cycle(samples, config)
            asked = len(running.memory.asked)
            second = await cycle(samples, config)
            assert len(running.memory.asked) - asked == 3  # 0..12, 15..43, input 1: nothing is tried again
            assert context.notes["press", "modbus"]["quarantined"] == {  # type: ignore[index]
                "h13": "illegal data address", "h14": "illegal data address", "i0": "illegal data address",
            }  # fmt: skip
    for found in (first, second):
        bad = {name: what for name, what in found.items() if what.code != "Good"}
        assert bad == dict.fromkeys(["h13", "h14", "i0"], Said(None, ILLEGAL, "illegal data address"))
        assert all(found[f"h{n}"].value == running.values[1]["holding"][n] for n in range(40) if n not in (13, 14))


async def test_an_address_beyond_the_end_is_refused_by_a_real_server() -> None:
    """A register the server does not have at all is treated the same."""
    async with plant() as running, SimpleContext() as context:
        config = device(running.url, {"last": "holding:1999", "none": "holding:2000"})
        async with config.build("press", context).open() as samples:
            found = await cycle(samples, config)
    assert found["last"].code == "Good"
    assert found["none"] == Said(None, ILLEGAL, "illegal data address")


async def test_a_device_that_takes_less_than_it_should() -> None:
    """A block refused as too large (03) is split until it fits, and no tag stays bad."""
    async with plant() as running, SimpleContext() as context:
        running.memory.largest = 20
        config = device(running.url, {f"h{offset}": f"holding:{offset}" for offset in range(60)})
        async with config.build("press", context).open() as samples:
            found = await cycle(samples, config)
            running.memory.asked.clear()
            again = await cycle(samples, config)
    assert {what.code for what in found.values()} == {"Good"}
    assert again == found
    assert running.memory.asked[:4] == [(1, 3, 0, 15), (1, 3, 15, 15), (1, 3, 30, 15), (1, 3, 45, 15)]


async def test_a_hole_that_cannot_be_bridged_is_remembered() -> None:
    """Where max_gap bridges a register that is not there, all tags are read, and the next scan does not try again."""
    async with plant() as running, SimpleContext() as context:
        running.memory.illegal = {("holding", 3)}
        config = device(running.url, {"a": "holding:0", "b": "holding:5", "c": "holding:6"}, max_gap=10)
        async with config.build("press", context).open() as samples:
            assert {what.code for what in (await cycle(samples, config)).values()} == {"Good"}
            running.memory.asked.clear()
            assert {what.code for what in (await cycle(samples, config)).values()} == {"Good"}
            assert running.memory.asked[:2] == [(1, 3, 0, 1), (1, 3, 5, 2)]
            assert context.notes["press", "modbus"]["quarantined"] == {}  # type: ignore[index]


async def test_quarantined_tags_are_probed_and_come_back() -> None:
    """A minute later a refused tag is asked for alone; once the device has it, it is read with its neighbours again."""
    clock = Hasty()
    async with plant() as running, SimpleContext(clock=clock) as context:
        running.memory.illegal = {("holding", 1)}
        config = device(running.url, {"a": "holding:0", "b": "holding:1", "c": "holding:2"})
        async with config.build("press", context).open() as samples:
            assert (await cycle(samples, config))["b"].code == ILLEGAL
            clock.skip(PROBE_SECONDS)
            running.memory.asked.clear()
            assert (await cycle(samples, config))["b"].code == ILLEGAL
            assert (1, 3, 1, 1) in running.memory.asked
            running.memory.illegal.clear()
            clock.skip(PROBE_SECONDS)

            async def recovered() -> bool:
                return (await cycle(samples, config))["b"].code == "Good"

            await eventually(recovered)
            running.memory.asked.clear()
            found = await cycle(samples, config)
            assert running.memory.asked == [(1, 3, 0, 3)]
            assert found["b"] == Said(running.values[1]["holding"][1], "Good")


async def test_a_device_that_refuses_everything_is_not_learned_from() -> None:
    """While it boots all tags are bad; afterwards all are read at once, none is in quarantine."""
    async with plant() as running, SimpleContext() as context:
        running.memory.refuse_all = ExcCodes.ILLEGAL_ADDRESS
        config = device(running.url, {f"h{offset}": f"holding:{offset}" for offset in range(8)})
        async with config.build("press", context).open() as samples:
            for _ in range(3):
                assert {what.code for what in (await cycle(samples, config)).values()} == {ILLEGAL}
            assert len(running.memory.asked) <= 15 + 3  # split once, then only looked at
            running.memory.refuse_all = None
            found = await cycle(samples, config)
            assert {what.code for what in found.values()} == {"Good"}
            assert context.notes["press", "modbus"]["quarantined"] == {}  # type: ignore[index]


@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        (1, "BadNotSupported", "illegal function"),
        (2, "BadConfigurationError", "illegal data address"),
        (3, "BadConfigurationError", "illegal data value"),
        (4, "BadDeviceFailure", "server device failure"),
        (8, "BadDeviceFailure", "memory parity error"),
        (0x0A, "BadNoCommunication", "gateway path unavailable"),
        (0x0B, "BadNoCommunication", "gateway target device failed to respond"),
        (0x41, "BadCommunicationError", "exception code 0x41"),
    ],
)
async def test_exceptions_become_quality(code: int, status: str, reason: str) -> None:
    """Each exception code makes the tags it hits bad, with its own status and words; the others flow."""

    def script(ask: Ask) -> bytes:
        return ask.exception(code) if ask.function == 4 else ask.truth()

    before = READ_ERRORS.labels(f"d{code}", f"exception_{code:02x}").value
    async with scripted(script) as server, SimpleContext() as context:
        config = device(server.url, {"good": "holding:7", "bad": "input:7"})
        async with config.build(f"d{code}", context).open() as samples:
            found = await cycle(samples, config)
    assert found == {"good": Said(7, "Good"), "bad": Said(None, status, reason)}
    assert READ_ERRORS.labels(f"d{code}", f"exception_{code:02x}").value > before


async def test_an_unsupported_function_is_not_tried_again() -> None:
    """After three exceptions 01 the block is left alone on this connection, and its tags stay bad."""

    def script(ask: Ask) -> bytes:
        return ask.exception(1) if ask.function == 4 else ask.truth()

    async with scripted(script) as server, SimpleContext(clock=(clock := Hasty())) as context:
        config = device(server.url, {"good": "holding:7", "bad": "input:7"})
        async with config.build("press", context).open() as samples:
            for _ in range(5):
                assert (await cycle(samples, config))["bad"].code == "BadNotSupported"
                clock.skip(PROBE_SECONDS)
    assert sum(ask.function == 4 for ask in server.asked) == 3


async def test_a_busy_device_is_asked_again() -> None:
    """Exceptions 05 and 06 are retried within the scan, and the value that comes at last is the one said."""
    left = {3: 2, 4: 99}

    def script(ask: Ask) -> bytes:
        if left[ask.function]:
            left[ask.function] -= 1
            return ask.exception(6)
        return ask.truth()

    clock = Impatient()
    async with scripted(script) as server, SimpleContext(clock=clock) as context:
        config = device(server.url, {"late": "holding:7", "never": "input:7"})
        async with config.build("press", context).open() as samples:
            found = await cycle(samples, config)
            assert found["late"] == Said(7, "Good")
            assert found["never"] == Said(None, "BadServerTooBusy", "device busy")
            assert sum(ask.function == 4 for ask in server.asked) == 5
            assert (await cycle(samples, config))["never"].code == "BadServerTooBusy"
            assert 5 < sum(ask.function == 4 for ask in server.asked) < 10, "what stays busy makes no cycle late"
            for left[4] in (0, 2):  # it is free again, and has all the patience there is
                assert (await cycle(samples, config))["never"] == Said(7, "Good")


class Impatient(Hasty):
    """Sleeping takes no time, but it passes."""

    async def sleep(self, seconds: float, /) -> None:
        self.skip(max(0.0, seconds))
        await asyncio.sleep(0)

    def call_at(self, instant: float, call: Callable[[], None], /) -> Timer:
        self.skip(max(0.0, instant - self.monotonic()))
        return super().call_at(0, call)


async def drain(samples: AsyncIterator[Sample]) -> None:
    async for _ in samples:
        pass


async def test_a_dead_unit_is_offline_and_its_neighbour_is_not() -> None:
    """A unit that does not answer raises after at most two time-outs; the other unit on the line reads on."""
    async with plant(1) as running, SimpleContext() as context:
        alive = device(running.url, {"a": "holding:0"}, unit_id=1)
        dead = device(running.url, {f"t{n}": f"holding:{n * 10}" for n in range(9)}, unit_id=9, timeout="100.04ms")
        before = requests("dead")
        collector = dead.build("dead", context)
        async with alive.build("alive", context).open() as samples:

            async def attempt() -> None:
                async with collector.open() as silent:
                    await drain(silent)

            async with asyncio.timeout(10):
                with pytest.raises(TransientError, match=r"no answer from unit 9 within 0\.1 s") as caught:
                    await attempt()
                assert not isinstance(caught.value, ConnectionLost)
                assert requests("dead") - before == 2
                with pytest.raises(TransientError, match="no answer from unit 9"):
                    await attempt()
                assert requests("dead") - before == 2  # only probed, once, before it is opened
            assert (await cycle(samples, alive))["a"].code == "Good"


async def test_one_silent_block_makes_its_tags_bad() -> None:
    """Where other blocks answer, a silent one is bad with BadTimeout, and good values do not wait for it."""

    def script(ask: Ask) -> bytes | None:
        return None if ask.offset == 50 else ask.truth()

    async with scripted(script) as server, SimpleContext() as context:
        config = device(server.url, {"a": "holding:0", "mute": "holding:50", "z": "holding:99"}, timeout="300ms")
        async with config.build("press", context).open() as samples:
            first = await take(samples)
            assert said(config, first) == {"a": Said(0, "Good")}
            later = [first]
            while len(said(config, *later)) < 3:
                later.append(await take(samples))
    assert said(config, *later[1:]) == {
        "mute": Said(None, "BadTimeout", "no answer from unit 1 within 0.3 s"),
        "z": Said(99, "Good"),
    }
    assert first.ts < later[1].ts


async def test_a_server_gone_and_back() -> None:
    """When the server goes away iterating raises ConnectionLost; entering does, too, until it is back."""
    async with plant() as running, SimpleContext() as context:
        config = device(running.url, {"a": "holding:0"})
        collector = config.build("press", context)
        async with collector.open() as samples:
            await cycle(samples, config)
            await running.down()
            with pytest.raises(ConnectionLost):
                async with asyncio.timeout(30):
                    await drain(samples)
        with pytest.raises(ConnectionLost, match="refused"):
            async with collector.open():
                pass
        await running.up()
        async with collector.open() as samples:
            assert (await cycle(samples, config))["a"] == Said(running.values[1]["holding"][0], "Good")
