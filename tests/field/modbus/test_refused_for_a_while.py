"""Registers that are refused, for a while or for good: whatever the device answers, they cost themselves only.

Those behind a logger are refused while the inverter sleeps, and are back soon after it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from agent.core.errors import TransientError
from agent.core.flow import Sample
from agent.testing.clock import ManualClock
from agent.testing.context import SimpleContext
from tests.faults.modbus.media import Ask, medium
from tests.integration.modbus.reading import said, take
from tests.integration.modbus.servers import device
from tests.support.waiting import eventually

BEHIND: dict[str, object] = {f"r{offset}": f"holding:{offset}" for offset in range(100, 140)}


async def after(samples: AsyncIterator[Sample], clock: ManualClock) -> Sample:
    """The sample of the next second."""
    async with asyncio.TaskGroup() as group:
        taking = group.create_task(take(samples, 60))
        await eventually(lambda: clock.sleepers or taking.done())
        while not taking.done():
            await clock.advance(1.0)
    return taking.result()


@pytest.mark.parametrize(("code", "status"), [(2, "BadConfigurationError"), (1, "BadNotSupported")])
async def test_all_are_back_when_one_is(code: int, status: str) -> None:
    """Forty registers that were good are refused for minutes; within 30 s of their return all of them are read."""
    night = False

    def logger(ask: Ask) -> bytes:
        return ask.exception(code) if night and ask.offset + ask.count > 100 else ask.truth()

    clock = ManualClock()
    async with medium("tcp", logger) as peer, SimpleContext(clock=clock) as context:
        config = device(peer.url, {"r0": "holding:0"} | BEHIND, interval="1s", timeout="60s")
        async with config.build("inverter", context).open() as samples:
            values: dict[str, str] = {}

            async def second() -> None:
                values.update({tag: one.code for tag, one in said(config, await after(samples, clock)).items()})

            await second()
            assert set(values.values()) == {"Good"}
            night = True
            while any(values[tag] == "Good" for tag in BEHIND):
                await second()
            for _ in range(180):
                await second()
            assert {values[tag] for tag in BEHIND} == {status}
            assert values["r0"] == "Good"
            asked = len(peer.asked)
            for _ in range(60):
                await second()
            assert len(peer.asked) - asked <= 60 + 2 * 3, "a probe of all, and of one, every 30 s"
            night = False
            seconds = 0
            while any(values[tag] != "Good" for tag in BEHIND):
                await second()
                seconds += 1
            assert seconds <= 31


@pytest.mark.parametrize("most", [125, 8])
@pytest.mark.parametrize("code", [1, 4, 8, 0x0A, 0x0B, 0xE1])
async def test_one_register_costs_one_tag_whatever_the_answer(code: int, most: int) -> None:
    """Devices and gateways refuse a bad register, or too many at once, with whatever they have; all others are read.

    The exceptions that mean silence take the device offline first: it has one block.
    """
    bad = set() if most < 125 else {10}

    def picky(ask: Ask) -> bytes:
        refused = ask.count > most or bad.intersection(range(ask.offset, ask.offset + ask.count))
        return ask.exception(code) if refused else ask.truth()

    clock = ManualClock()
    async with medium("tcp", picky) as peer, SimpleContext(clock=clock) as context:
        config = device(peer.url, {f"r{n}": f"holding:{n}" for n in range(20)}, interval="1s", timeout="60s")
        collector = config.build("meter", context)
        values: dict[str, str] = {}
        for _ in range(60):
            if sum(code == "Good" for code in values.values()) == 20 - len(bad):
                break
            try:
                async with collector.open() as samples:
                    for _ in range(20):
                        values = {tag: one.code for tag, one in said(config, await after(samples, clock)).items()}
            except* TransientError:
                await clock.advance(20.0)
        assert {tag for tag, code in values.items() if code == "Good"} == {f"r{n}" for n in range(20) if n not in bad}


@pytest.mark.parametrize("dead", ["input", "a range"])
async def test_a_silent_area_costs_itself_only(dead: str) -> None:
    """What is polled each second falls silent; what is polled every five goes on, and the device is never offline."""
    silent = False

    def half(ask: Ask) -> bytes | None:
        gone = ask.function == 4 if dead == "input" else ask.function == 3 and ask.offset >= 100
        return None if silent and gone else ask.truth()

    often = "input" if dead == "input" else "holding"
    tags: dict[str, object] = {f"a{n}": f"{often}:{n}" for n in (100, 101, 300, 500)}
    tags["slow"] = {"address": "holding:1", "interval": "5s"}
    clock = ManualClock()
    async with medium("tcp", half) as peer, SimpleContext(clock=clock) as context:
        config = device(peer.url, tags, interval="1s", timeout="20ms")
        heard: dict[str, int] = {}
        values: dict[str, str] = {}
        async with config.build("meter", context).open() as samples:

            async def second() -> None:
                news = {tag: one.code for tag, one in said(config, await after(samples, clock)).items()}
                values.update(news)
                heard.update({tag: heard.get(tag, 0) + 1 for tag in news})

            for _ in range(6):
                await second()
            assert set(values.values()) == {"Good"}, values
            silent = True
            heard.clear()
            while heard.get("slow", 0) < 4:
                await second()
            assert {tag: code for tag, code in values.items() if code == "Good"} == {"slow": "Good"}
