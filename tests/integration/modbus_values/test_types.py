from __future__ import annotations

import struct

from agent.normalize import compile_normalizer
from agent.testing.context import SimpleContext
from tests.integration.modbus.reading import Said, cycle, take
from tests.integration.modbus.servers import device, plant, scripted
from tests.integration.modbus_values.plc import Plc


def words(data: bytes) -> list[int]:
    return list(struct.unpack(f">{len(data) // 2}H", data))


KINDS: dict[str, tuple[dict[str, object], list[int], object]] = {
    "half": ({"type": "float16"}, [0x3E00], 1.5),
    "bcd": ({"type": "bcd32", "byte_order": "CDAB"}, [0x5678, 0x1234], 12345678),
    "magnitude": ({"type": "sm16"}, [0x8005], -5),
    "modulo": ({"type": "mod10_48"}, [1, 2, 3], 300_020_001),
    "field": ({"bits": [4, 7]}, [0xA5C3], 0xC),
    "swapped pairs": ({"type": "uint64", "byte_order": "EFGHABCD"}, [0x506, 0x708, 0x102, 0x304], 0x0102030405060708),
    "list": ({"type": "int16", "count": 4}, [1, 0xFFFF, 3, 4], [1, -1, 3, 4]),
    "chinese": (
        {"type": "string", "length": 8, "encoding": "gb18030"},
        words("压机一号".encode("gb18030")),
        "压机一号",
    ),
    "low bytes": ({"type": "string", "length": 3, "string_order": "one_per_register"}, [0x61, 0x62, 0x63], "abc"),
    "clock": (
        {"type": "datetime_iec870", "utc_offset": "+08:00"},
        [0x001A, 0x0BD6, 0x0D05, 0xEA5F],
        "2026-11-22T05:05:59.999Z",
    ),
    "seconds": ({"type": "unix32"}, [0x6921, 0x1E3E], "2025-11-22T02:21:50.000Z"),
    "no digit": ({"type": "bcd16"}, [0x0A], None),
}


async def test_every_type_from_a_real_server() -> None:
    """What other stacks never heard of arrives exact, all of it in one request, and a wrong nibble costs one tag."""
    values: dict[str, list[int]] = {"coil": [1, 0, 1, 1] + [0] * 12, "discrete": [0] * 16, "input": [0], "holding": []}
    tags: dict[str, object] = {"bits": {"address": "coil:0", "count": 4}}
    for name, (tag, registers, _) in KINDS.items():
        tags[name] = {"address": f"holding:{len(values['holding'])}"} | tag
        values["holding"] += registers
    async with plant(values=values) as running, SimpleContext() as context:
        config = device(running.url, tags)
        async with config.build("press", context).open() as samples:
            found = await cycle(samples, config)
        assert running.memory.asked[1] == (1, 3, 0, len(values["holding"]))
    assert found.pop("no digit") == Said(None, "BadDecodingError", "0x000A is no BCD number")
    assert {name: said.value for name, said in found.items()} == {
        "bits": [True, False, True, True],
        **{name: value for name, (_, _, value) in KINDS.items() if value is not None},
    }
    assert {said.code for said in found.values()} == {"Good"}


SUNSPEC: dict[str, object] = {
    "w": {"address": "holding:0", "type": "int16", "scale_from": "w_sf", "unit": "W"},
    "w_sf": {"address": "holding:1", "type": "int16"},
    "va": {"address": "holding:2", "type": "int16", "scale_from": "holding:60"},
    "wh": {"address": "holding:4", "type": "uint32", "scale_from": "wh_sf"},
    "wh_sf": {"address": "input:3", "type": "int16", "interval": "10s"},
    "state": {"address": "holding:6"},
    "hz": {"address": "holding:7", "type": "float32"},
}


async def test_scale_factors_and_sentinels() -> None:
    """A value is scaled by the exponent read in the same scan, wherever that lies; what is not there is bad."""
    plc = Plc()
    plc.write(0, 2345, 0xFFFF, 120)
    plc.write(4, 0, 77, 0xFFFF, 0x7FC0, 0)
    plc.registers[60] = 1
    async with scripted(plc) as server, SimpleContext() as context:
        config = device(server.url, SUNSPEC, null_values="sunspec")
        normalize = compile_normalizer("pv", config.tag_table, cat=lambda: 1, clock=context.clock)
        async with config.build("pv", context).open() as samples:
            found = await cycle(samples, config)
            assert found["w"] == Said(234.5, "Good")
            assert found["va"] == Said(1200, "Good")
            assert found["wh"] == Said(77_000, "Good")  # input 3 holds 3
            plc.write(0, 0x8000, 0xFFFF)
            plc.write(60, 0x8000)
            batch = normalize(await take(samples))
            while batch is None or len(batch.readings) < len(SUNSPEC) - 1:
                batch = normalize(await take(samples))
    said = {reading.tag: (reading.value, reading.code) for reading in batch.readings}
    assert said["w"] == (None, "BadNoData")
    assert said["va"] == (None, "BadNoData")
    assert said["state"] == (None, "BadNoData")
    assert said["hz"] == (None, "BadNoData")
    assert said["wh"] == (77_000, None)


async def test_a_refused_scale_factor_makes_its_values_bad() -> None:
    """Without its exponent a value is not published at all; the others of its block are."""
    plc = Plc()
    plc.missing = {500}
    async with scripted(plc) as server, SimpleContext() as context:
        tags: dict[str, object] = {
            "a": {"address": "holding:3", "type": "int16", "scale_from": "holding:500"},
            "b": "holding:4",
        }
        config = device(server.url, tags)
        async with config.build("press", context).open() as samples:
            for _ in range(3):
                found = await cycle(samples, config)
                assert found["b"] == Said(4, "Good")
                assert (found["a"].value, found["a"].code) == (None, "BadConfigurationError")
                assert str(found["a"].reason).startswith("no scale factor: illegal data address")


async def test_what_belongs_together_comes_in_one_response() -> None:
    """However far apart within the limit, the tags of a group never come from two answers."""
    plc = Plc()
    tags: dict[str, object] = {
        "batch": {"address": "holding:10", "together": "x"},
        "size": {"address": "holding:90", "together": "x"},
        "other": "holding:12",
        "alone": {"address": "holding:11", "merge": False},
    }
    async with scripted(plc) as server, SimpleContext() as context:
        config = device(server.url, tags)
        async with config.build("press", context).open() as samples:
            sample = await take(samples)
    assert sorted(tuple(sorted(answer.tags)) for answer in sample.answers) == [(0, 1, 2), (3,)]
    assert plc.asked[:2] == [(3, 10, 81), (3, 11, 1)]


async def test_tags_in_never_read_are_bad_and_cost_nothing() -> None:
    """No request touches a forbidden register; a tag that lies there says why it is bad."""
    plc = Plc()
    async with scripted(plc) as server, SimpleContext() as context:
        tags: dict[str, object] = {f"h{n}": f"holding:{n}" for n in range(6)}
        config = device(server.url, tags, never_read=["holding:2-3"], max_gap=9)
        async with config.build("press", context).open() as samples:
            found = await cycle(samples, config)
    assert set(plc.asked) == {(3, 0, 2), (3, 4, 2)}
    assert found["h2"] == found["h3"] == Said(None, "BadConfigurationError", "lies in never_read (holding:2-3)")
    assert found["h4"] == Said(4, "Good")
