from __future__ import annotations

import random

import pytest

from agent.core.errors import TransientError
from agent.core.flow import Sample
from agent.telemetry.metrics import SCAN_PERIOD
from agent.testing.context import SimpleContext
from tests.integration.modbus.reading import Said, cycle, said, take
from tests.integration.modbus.servers import device, scripted
from tests.integration.modbus_values.plc import Bench, Plc

WIDE: dict[str, object] = {f"h{n}": f"holding:{n}" for n in range(64)}


def good(sample: Sample) -> set[int]:
    """Positions read."""
    return {tag for answer in sample.answers if answer.status == 0 for tag in answer.tags}


async def test_what_was_learned_is_said_once_and_may_be_pasted(capsys: pytest.CaptureFixture[str]) -> None:
    """The status shows what must never be read; a device so configured is read without a single refusal."""
    plc = Plc()
    plc.missing = {20, 21, 40}
    async with scripted(plc) as server, SimpleContext() as context:
        config = device(server.url, WIDE)
        async with config.build("press", context).open() as samples:
            for _ in range(4):
                await cycle(samples, config)
            note = context.notes["press", "modbus"]
            assert isinstance(note, dict)
            assert note["learned"] == {
                "never_read": ["holding:20-21", "holding:40"],
                "yaml": 'never_read: ["holding:20-21", "holding:40"]',
            }
            assert note["blocks"] == ["holding:0+20", "holding:22+18", "holding:41+23"]
        lines = capsys.readouterr().out.splitlines()
        assert sum("modbus.learned" in line for line in lines) == 1
        plc.asked.clear()
        taught = device(server.url, WIDE, never_read=["holding:20-21", "holding:40"])
        async with taught.build("press", context).open() as samples:
            found = await cycle(samples, taught)
            await cycle(samples, taught)
    assert not any(touched in range(first, first + count) for _, first, count in plc.asked for touched in plc.missing)
    assert found["h20"] == Said(None, "BadConfigurationError", "lies in never_read (holding:20-21)")


async def test_on_a_slow_bus_the_search_is_spread_over_cycles() -> None:
    """At 0.15 s a request and a cycle of 1 s the good tags lose no more than a tenth of their cycles to the search."""
    clock = Bench(cost=0.15)
    plc = Plc(clock)
    plc.missing = {3, 17, 40, 41, 63}
    async with scripted(plc) as server, SimpleContext(clock=clock) as context:
        config = device(server.url, WIDE | {"good": "coil:0"}, interval="1s")
        async with config.build("meter", context).open() as samples:
            start, cycles, skipped, most, expected = clock.monotonic(), 0, 0, 0, 64 - len(plc.missing) + 1
            while most < expected:
                before = len(plc.asked)
                sample = await take(samples)
                cycles += 1
                skipped += sample.skipped
                assert 64 in good(sample)
                assert good(sample).isdisjoint(plc.missing)
                assert len(plc.asked) - before <= 9
                most = max(most, len(good(sample)))
                assert clock.monotonic() - start < 900
            assert cycles > 20
            assert skipped <= cycles / 10, (cycles, skipped)
            for _ in range(3):
                assert len(good(await take(samples))) == expected
            assert 0.9 < SCAN_PERIOD.labels("meter").value < 1.1


async def test_a_register_that_is_only_silent_is_found_and_left_alone() -> None:
    """A block that alone keeps silent costs its time-out a few times; then all but its mute register are read."""
    clock = Bench(cost=0.005)
    plc = Plc(clock)
    plc.mute = {5}
    tags: dict[str, object] = {f"h{n}": f"holding:{n}" for n in range(8)}
    tags["good"] = "coil:0"
    async with scripted(plc) as server, SimpleContext(clock=clock) as context:
        config = device(server.url, tags, interval="1s", timeout="100ms")
        async with config.build("meter", context).open() as samples:
            cycles, found = 0, set[int]()
            while len(found) < 8:
                found |= good(await take(samples))
                cycles += 1
                assert cycles < 400
            silences = sum(5 in range(first, first + count) for function, first, count in plc.asked if function == 3)
            assert silences <= 8
            heard: dict[str, list[Said]] = {}
            while len(heard.get("good", ())) < 20:
                for name, what in said(config, await take(samples)).items():
                    heard.setdefault(name, []).append(what)
            for name in ("good", "h0", "h4", "h6", "h7"):
                assert len(heard[name]) >= 19  # a busy machine may have cut the last cycle in two
                assert {what.code for what in heard[name]} == {"Good"}
            assert set(heard["h5"]) == {Said(None, "BadTimeout", "no answer from unit 1 within 0.1 s")}
            assert sum(5 in range(f, f + count) for function, f, count in plc.asked if function == 3) <= silences + 2
            plc.mute = set()
            while 5 not in good(await take(samples)):
                cycles += 1
                assert cycles < 2000


async def test_two_mute_blocks_do_not_keep_a_device_offline() -> None:
    """A device whose first blocks never answer is found to answer another, and is read without them."""
    plc = Plc()
    plc.mute = {0, 20}
    tags: dict[str, object] = {
        "a": "holding:0",
        "b": "holding:20",
        "c": "holding:40",
        "d": "input:50",
        "x": "holding:60",
    }
    async with scripted(plc) as server, SimpleContext() as context:
        config = device(server.url, tags, timeout="100ms", never_read=["holding:60"])
        collector = config.build("press", context)
        for _ in range(2):  # the whole, then the first block alone; a block of another area comes next
            with pytest.raises(TransientError, match="no answer"):
                async with collector.open() as samples:
                    await take(samples)
        async with collector.open() as samples:
            for _ in range(5):
                found = await cycle(samples, config)
                assert (found["c"], found["d"]) == (Said(40, "Good"), Said(50, "Good"))
                assert found["a"].code == found["b"].code == "BadTimeout"
            asked = len(plc.asked)
            await cycle(samples, config)
            assert plc.asked[asked:] == [(3, 40, 1), (4, 50, 1)]
    assert not any(first <= 60 < first + count for _, first, count in plc.asked)


async def test_other_tags_flow_while_a_large_block_is_searched() -> None:
    """Within the cycle that meets the refusal, and in every later one, tags of other blocks are read."""
    plc = Plc()
    plc.missing = {63}
    async with scripted(plc) as server, SimpleContext() as context:
        config = device(server.url, WIDE | {"good": "coil:0"})
        async with config.build("press", context).open() as samples:
            for _ in range(5):
                found = await cycle(samples, config)
                assert found["good"].code == "Good"
    assert {name for name, what in found.items() if what.code != "Good"} == {"h63"}


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_a_device_refuses_no_value_is_wrong(seed: int) -> None:
    """Of random layouts on devices with random holes every tag is said once a cycle, true or bad; in the end all is."""
    rng = random.Random(seed)
    plc = Plc()
    plc.missing = {rng.randrange(400) for _ in range(rng.randrange(1, 25))}
    tags: dict[str, object] = {}
    truth: dict[str, object] = {}
    for number in range(60):
        offset, kind = rng.randrange(400), rng.choice(["uint16", "uint32", "list", "group"])
        size = {"uint32": 2, "list": 4}.get(kind, 1)
        tag: dict[str, object] = {"address": f"holding:{offset}"}
        if kind == "uint32":
            tag["type"] = "uint32"
        elif kind == "list":
            tag["count"] = 4
        elif kind == "group":
            tag["together"] = f"g{offset // 50}"
        tags[f"t{number}"] = tag
        if plc.missing.isdisjoint(range(offset, offset + size)):
            truth[f"t{number}"] = {"uint32": offset << 16 | offset + 1, "list": [*range(offset, offset + 4)]}.get(
                kind, offset
            )
    async with scripted(plc) as server, SimpleContext() as context:
        config = device(server.url, tags, max_gap=rng.choice([0, 3, 20]), max_registers=rng.choice([60, 125]))
        async with config.build("press", context).open() as samples:
            single = {name for name, tag in config.tags.items() if tag.together is None}
            found: dict[str, object] = {}
            cycles = 0
            while found.keys() & single != truth.keys() & single:
                said_now = await cycle(samples, config)
                found = {name: what.value for name, what in said_now.items() if what.code == "Good"}
                assert all(found[name] == truth[name] for name in found)
                cycles += 1
                assert cycles < 200
    for group in {tag.together for tag in config.tags.values()} - {None}:
        members = [name for name, tag in config.tags.items() if tag.together == group]
        assert sum(name in found for name in members) in (0, len(members))
