"""Recordings of a running agent: bounded, forgotten when nobody asks, and kept up through a reload."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agent.core.errors import AgentError
from agent.runtime import recording as module
from agent.runtime.recording import FORGOTTEN, MOST, RecordAnswer, Recordings, RecordQuestion
from agent.runtime.south.device import Device
from agent.testing.clock import ManualClock


class Collector:
    """Has lines to record when the test says so."""

    def __init__(self) -> None:
        self.takers: list[Callable[[bytes], None]] = []

    def open(self) -> Any:
        raise NotImplementedError

    def record(self, take: Callable[[bytes], None], /) -> Callable[[], None]:
        self.takers.append(take)
        take(b'{"recording":"header"}')
        return lambda: self.takers.remove(take)

    def say(self, *lines: bytes) -> None:
        for line in lines:
            for take in tuple(self.takers):
                take(line)


def setting() -> tuple[Recordings, dict[str, SimpleNamespace], ManualClock]:
    """A device that can be recorded, and one that cannot."""
    clock = ManualClock()
    devices = {"press": SimpleNamespace(collector=Collector()), "cnc": SimpleNamespace(collector=object())}
    return Recordings(lambda: cast("dict[str, Device]", devices), clock), devices, clock


async def asked(recordings: Recordings, identity: str, *, device: str = "press") -> RecordAnswer:
    return await recordings.answer(RecordQuestion(device, identity))


async def test_lines_come_once_and_stopping_leaves_nothing() -> None:
    """The header first, then what was said since; after the end the device is not recorded any more."""
    recordings, devices, _ = setting()
    begun = await recordings.answer(RecordQuestion("press"))
    assert begun.lines == ['{"recording":"header"}']
    devices["press"].collector.say(b"1", b"2")
    assert (await asked(recordings, begun.id)).lines == ["1", "2"]
    devices["press"].collector.say(b"3")
    assert (await recordings.answer(RecordQuestion("press", begun.id, stop=True))).lines == ["3"]
    assert devices["press"].collector.takers == []


async def test_an_answer_waits_for_lines() -> None:
    """It comes with the first of them."""
    recordings, devices, _ = setting()
    begun = await recordings.answer(RecordQuestion("press"))
    waiting = asyncio.ensure_future(asked(recordings, begun.id))  # noqa: TID251 - awaited below
    await asyncio.sleep(0)
    devices["press"].collector.say(b"1")
    assert (await waiting).lines == ["1"]


async def test_whoever_does_not_ask_is_forgotten() -> None:
    """Its tap ends with the next line, and it is told so when it comes again."""
    recordings, devices, clock = setting()
    begun = await recordings.answer(RecordQuestion("press"))
    await clock.advance(FORGOTTEN + 1)
    devices["press"].collector.say(b"1")
    assert devices["press"].collector.takers == []
    with pytest.raises(AgentError, match="this recording is over"):
        await asked(recordings, begun.id)


async def test_what_is_not_fetched_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond it lines are lost, and counted."""
    monkeypatch.setattr(module, "MOST_BYTES", 30)
    recordings, devices, _ = setting()
    begun = await recordings.answer(RecordQuestion("press"))
    devices["press"].collector.say(b"x" * 20, b"y" * 20, b"z" * 10)
    answer = await asked(recordings, begun.id)
    assert ([line[0] for line in answer.lines], answer.lost) == (["x", "z"], 1)


async def test_it_follows_its_device_through_a_reload() -> None:
    """The collector that takes the place of another goes on in the same recording, without a second header."""
    recordings, devices, _ = setting()
    begun = await recordings.answer(RecordQuestion("press"))
    old = devices["press"].collector
    devices["press"].collector = Collector()
    old.say(b"1")
    assert (await asked(recordings, begun.id)).lines == ["1"]
    assert old.takers == []
    devices["press"].collector.say(b"2")
    assert (await asked(recordings, begun.id)).lines == ["2"]


async def test_what_cannot_be_recorded() -> None:
    """Unknown devices, other protocols, and more recordings than a gateway should carry."""
    recordings, _, _ = setting()
    with pytest.raises(AgentError, match="the agent reads no device hall"):
        await recordings.answer(RecordQuestion("hall"))
    with pytest.raises(AgentError, match="only Modbus devices can"):
        await recordings.answer(RecordQuestion("cnc"))
    for _ in range(MOST):
        await recordings.answer(RecordQuestion("press"))
    with pytest.raises(AgentError, match=f"{MOST} recordings are under way"):
        await recordings.answer(RecordQuestion("press"))
