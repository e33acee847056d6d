from __future__ import annotations

from collections.abc import AsyncIterator

from agent.config.model import AgentSettings, Config
from agent.core.flow import Sample
from agent.testing.context import SimpleContext
from agent.workbench.live import visit_all
from tests.integration.modbus.reading import Said, said, take
from tests.integration.modbus.servers import device, scripted
from tests.integration.modbus_values.plc import Bench, Plc

RESULT = {"tag": "done", "group": "result"}
TAGS: dict[str, object] = {
    "done": "coil:0",
    "level": "holding:1",
    "weight": {"address": "holding:10", "read_on": RESULT},
    "serial": {"address": "holding:100", "type": "uint32", "read_on": RESULT},
}


async def next_with(samples: AsyncIterator[Sample], position: int) -> tuple[Sample, list[Sample]]:
    """The next sample that speaks of a tag, and those before it."""
    before: list[Sample] = []
    while True:
        sample = await take(samples)
        if any(position in answer.tags for answer in sample.answers):
            return sample, before
        before.append(sample)


async def test_a_group_is_read_once_on_its_edge() -> None:
    """Each rising edge brings the whole group once, in one response, in the scan that saw it; nothing else does."""
    plc = Plc()
    async with scripted(plc) as server, SimpleContext() as context:
        config = device(server.url, TAGS)
        async with config.build("press", context).open() as samples:
            for part in range(1, 4):
                for _ in range(3):
                    assert set(said(config, await take(samples))) <= {"done", "level"}
                plc.write(10, part * 7)
                plc.write(100, 0, part)
                plc.coils = {0}
                sample, _ = await next_with(samples, 2)
                found = said(config, sample)
                assert (found["done"].value, found["weight"], found["serial"]) == (
                    True, Said(part * 7, "Good"), Said(part, "Good"),
                )  # fmt: skip
                assert next(answer.tags for answer in sample.answers if 2 in answer.tags) == (2, 3)
                for _ in range(3):
                    assert set(said(config, await take(samples))) <= {"done", "level"}
                plc.coils = set()
                for _ in range(2):
                    assert set(said(config, await take(samples))) <= {"done", "level"}
    assert [ask for ask in plc.asked if ask[1] == 10] == [(3, 10, 92)] * 3
    assert context.notes == {}


async def test_a_bit_that_is_set_from_the_start_is_no_edge() -> None:
    """On a new connection nothing is read that was collected before."""
    plc = Plc()
    plc.coils = {0}
    async with scripted(plc) as server, SimpleContext() as context:
        config = device(server.url, TAGS)
        for _ in range(2):
            async with config.build("press", context).open() as samples:
                for _ in range(3):
                    assert set(said(config, await take(samples))) <= {"done", "level"}


async def test_a_settle_time_is_kept_and_polling_goes_on() -> None:
    """The group is read that long after the edge, between the regular scans, which are not held up."""
    clock = Bench()
    plc = Plc(clock)
    on = {"tag": "done", "edge": "both", "settle": "250ms"}
    async with scripted(plc) as server, SimpleContext(clock=clock) as context:
        config = device(
            server.url, {"done": "coil:0", "weight": {"address": "holding:10", "read_on": on}}, interval="100ms"
        )
        async with config.build("press", context).open() as samples:
            await take(samples)
            for coils in ({0}, set[int]()):
                plc.coils = set(coils)
                while said(config, await take(samples))["done"].value != bool(coils):
                    pass
                seen = clock.monotonic()
                sample, before = await next_with(samples, 1)
                assert 0.2 <= clock.monotonic() - seen <= 0.4
                assert said(config, sample)["weight"] == Said(10, "Good")
                assert len(before) >= 2


async def test_a_bad_register_in_a_group_costs_one_tag_on_every_edge() -> None:
    """The rest of the group is read, the bad tag is said bad on each edge, and nothing is published between edges."""
    plc = Plc()
    plc.missing = {100}
    async with scripted(plc) as server, SimpleContext() as context:
        config = device(server.url, TAGS | {"length": {"address": "holding:12", "read_on": RESULT}})
        async with config.build("press", context).open() as samples:
            for _ in range(3):
                plc.coils = set()
                while said(config, await take(samples))["done"].value is not False:
                    pass
                plc.coils = {0}
                sample, _ = await next_with(samples, 2)
                found = said(config, sample)
                assert found["weight"] == Said(10, "Good")
                assert found["length"] == Said(12, "Good")
                assert found["serial"] == Said(None, "BadConfigurationError", "illegal data address")
                for _ in range(5):
                    assert set(said(config, await take(samples))) <= {"done", "level"}


async def test_a_group_that_does_not_answer_is_bad() -> None:
    """Silence after an edge is said as such; the device stays online, and the next edge is read again."""
    plc = Plc()
    plc.mute = {10}
    async with scripted(plc) as server, SimpleContext() as context:
        config = device(server.url, TAGS, timeout="100ms")
        async with config.build("press", context).open() as samples:
            await take(samples)
            plc.coils = {0}
            sample, _ = await next_with(samples, 2)
            found = {name: what for name, what in said(config, sample).items() if name in ("weight", "serial")}
            assert {what.code for what in found.values()} == {"BadTimeout"}
            plc.mute, plc.coils = set(), set()
            for _ in range(3):
                await take(samples)
            plc.coils = {0}
            sample, _ = await next_with(samples, 2)
            assert said(config, sample)["weight"] == Said(10, "Good")


async def test_a_live_check_does_not_wait_for_an_edge() -> None:
    """A device is checked with one read of what is polled; tags that wait for an edge are no fault of it."""
    async with scripted(Plc()) as server:
        context = SimpleContext()
        settings = Config(agent=AgentSettings(id="gw"), devices={"press": device(server.url, TAGS)})
        (visit,) = await visit_all(settings, context, context.buses)
    assert visit.good
    assert set(visit.readings) == {"done", "level"}


async def test_a_bit_among_scaled_registers_is_watched() -> None:
    """Registers read for the sake of others do not shift which bit is looked at."""
    plc = Plc()
    plc.write(4, 1, 0, 2)
    tags: dict[str, object] = {
        "power": {"address": "holding:6", "type": "int16", "scale_from": "holding:4"},
        "done": "holding:5.3",
        "weight": {"address": "input:90", "type": "int16", "scale_from": "holding:4", "read_on": {"tag": "done"}},
    }
    async with scripted(plc) as server, SimpleContext() as context:
        config = device(server.url, tags)
        async with config.build("press", context).open() as samples:
            assert said(config, await take(samples)) == {"power": Said(20, "Good"), "done": Said(False, "Good")}
            plc.registers[5] = 0b1000
            sample, _ = await next_with(samples, 2)
            assert said(config, sample) == {
                "power": Said(20, "Good"), "done": Said(True, "Good"), "weight": Said(900, "Good"),
            }  # fmt: skip
