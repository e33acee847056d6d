from __future__ import annotations

import pytest

from agent.core.errors import ConnectionLost
from agent.testing.context import SimpleContext
from tests.integration.modbus.reading import Said, cycle, take
from tests.integration.modbus.servers import device, plant


async def test_tuples_of_tags_stay() -> None:
    """An answer carries the same tuple of tags on every scan."""
    async with plant() as running, SimpleContext() as context:
        config = device(
            running.url, {"a": "holding:0", "b": "holding:7", "c": {"address": "coil:0", "interval": "40ms"}}
        )
        async with config.build("press", context).open() as samples:
            taken = [await take(samples) for _ in range(6)]
    tuples = {answer.tags: set[int]() for sample in taken for answer in sample.answers}
    for sample in taken:
        for answer in sample.answers:
            tuples[answer.tags].add(id(answer.tags))
    assert {tags: len(ids) for tags, ids in tuples.items()} == {(0,): 1, (1,): 1, (2,): 1}


async def test_groups_due_together_make_one_sample() -> None:
    """Each group is read at its own interval; where ticks meet, one sample holds all; `once` is read once."""
    async with plant() as running, SimpleContext() as context:
        tags: dict[str, object] = {
            "fast": "holding:0",
            "slow": {"address": "holding:1", "interval": "60ms"},
            "nameplate": {"address": "holding:2", "interval": "once"},
            "off": {"address": "holding:3", "enabled": False},
        }
        config = device(running.url, tags)
        async with config.build("press", context).open() as samples:
            groups: list[list[int]] = []
            while not ([0, 1] in groups and [0] in groups):
                sample = await take(samples)
                groups.append(sorted(position for answer in sample.answers for position in answer.tags))
    assert 2 in groups[0]
    assert sum(2 in group for group in groups) == 1
    assert not any(3 in group for group in groups)


async def test_two_units_share_one_connection() -> None:
    """Devices behind the same host and port use one connection, and each gets its own unit's values."""
    async with plant(1, 2) as running, SimpleContext() as context:
        first = device(running.url, {"a": "holding:5"}, unit_id=1)
        second = device(running.url, {"a": "holding:5"}, unit_id=2)
        collectors = first.build("one", context), second.build("two", context)
        async with collectors[0].open() as ones, collectors[1].open() as twos:
            for _ in range(3):
                assert (await cycle(ones, first))["a"].value == running.values[1]["holding"][5]
                assert (await cycle(twos, second))["a"].value == running.values[2]["holding"][5]
            assert running.connections == 1
            assert len(context.buses) == 1


async def test_a_bad_text_is_uncertain() -> None:
    """A string that is no UTF-8 is said with replacements and the status for doubtful data."""
    values = {area: [0xFE41] * 4 for area in ("holding", "input")} | {"coil": [0] * 16, "discrete": [0] * 16}
    async with plant(values=values) as running, SimpleContext() as context:
        config = device(running.url, {"s": {"address": "holding:0", "type": "string", "length": 2}, "n": "holding:1"})
        async with config.build("press", context).open() as samples:
            found = await cycle(samples, config)
    assert found["s"] == Said("\ufffdA", "UncertainDataSubNormal", "text is not valid UTF-8")
    assert found["n"] == Said(0xFE41, "Good")


async def test_a_device_without_tags_is_watched() -> None:
    """With nothing to poll, a lost connection is seen all the same."""
    async with (
        plant() as running,
        SimpleContext() as context,
        device(running.url, {}).build("empty", context).open() as samples,
    ):
        await running.down()
        with pytest.raises(ConnectionLost):
            await take(samples)


async def test_notes_say_what_is_asked() -> None:
    """The image learns the blocks a device is asked for, and forgets them when it is left."""
    async with plant() as running, SimpleContext() as context:
        config = device(running.url, {"a": "holding:0", "b": "holding:1", "c": "coil:4"})
        async with config.build("press", context).open() as samples:
            await take(samples)
            note = context.notes["press", "modbus"]
            assert note == {
                "bus": running.url.removeprefix("tcp://"),
                "unit": 1,
                "blocks": ["coil:4+1", "holding:0+2"],
                "quarantined": {},
            }
        assert not context.notes
