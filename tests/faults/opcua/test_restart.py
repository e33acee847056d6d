"""An agent that was stopped or killed fills the hole from the server's history when it is there again."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agent.collectors.opcua.history.backfill import VALUES
from tests.faults.southbound.conftest import opcua
from tests.faults.southbound.ear import Ear, hearing
from tests.integration.opcua.server import Hall, Plant, said
from tests.support.agent import AgentProcess
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import eventually


def now_ms() -> int:
    return int(dt.datetime.now(dt.UTC).timestamp() * 1000)


class Source:
    """A machine whose nodes count up; what it said, by node, with the times it said it at."""

    def __init__(self, plant: Plant, *names: str) -> None:
        self.plant = plant
        self.said: dict[str, dict[int, int]] = {name: {} for name in names}
        self._next = 1
        self._not_before = 0

    def rests(self, ms: int) -> None:
        """Nothing happens for so long."""
        self._not_before = now_ms() + ms

    async def keep_history(self) -> None:
        async def build() -> None:
            for name in self.said:
                node = await self.plant.add(name, 0)
                await self.plant.server.historize_node_data_change(node, dt.timedelta(days=1), 0)

        await self.plant.do(build())

    async def counts(self, times: int) -> None:
        """Each node, so many values; no two of one node at the same millisecond."""
        for _ in range(times):
            for name, past in self.said.items():
                at = max(now_ms(), self._not_before, max(past.values(), default=0) + 1)
                past[self._next] = at
                value = said(self._next, at=dt.datetime.fromtimestamp(at / 1000, dt.UTC))
                await self.plant.do(self.plant.put(name, value))
                self._next += 1


@pytest.fixture
async def source(hall: Hall) -> Source:
    made = Source(await hall.plant(), "a", "b")
    await made.keep_history()
    return made


def _told(ear: Ear, tag: str) -> dict[int, int]:
    """Values of a tag with the time each was true."""
    return {one.value: one.src or one.ts for one in ear.readings("cnc", tag) if one.value is not None}


async def _heard(ear: Ear, source: Source, tags: dict[str, str]) -> None:
    """Everything the source ever said has arrived, under the tag that belongs to the node."""

    def all_there() -> bool:
        for tag, node in tags.items():
            missing = sorted(source.said[node].items() - _told(ear, tag).items())
            assert not missing, f"{tag}: {len(missing)} are missing, {missing[:5]}"
        return True

    await eventually(all_there, what="all is heard")


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_the_hole_of_a_restart_is_filled(
    tmp_path: Path, mosquitto: Mosquitto, hall: Hall, source: Source, end: str
) -> None:
    """Stopped or killed: the values in between come historical, each once, under their tag; the gap stays declared."""
    device = opcua(source.plant.url, "a", "b", backfill=True)
    for tag in device["tags"].values():
        tag["queue_size"] = 1000  # all that is said while the agent lives is heard live
    publishers = {"plant": {"type": "mqtt", "url": mosquitto.url}}
    async with hearing(mosquitto.url) as ear:
        with AgentProcess(tmp_path, publishers=publishers, devices={"cnc": device}) as agent:
            await agent.start()
            await ear.good("cnc", ["a", "b"])
            await source.counts(20)
            await _heard(ear, source, {"a": "a", "b": "b"})
            if end == "stop":
                assert await agent.stop() == 0
            else:
                agent.kill()
            before = {name: dict(past) for name, past in source.said.items()}
            source.rests(200)  # after a kill the first milliseconds are left out: they may have been said
            await source.counts(150)
            newest = {name: max(past) for name, past in source.said.items()}
            await agent.start()
            await _heard(ear, source, {"a": "a", "b": "b"})
            await source.counts(1)  # live goes on beside it
            await _heard(ear, source, {"a": "a", "b": "b"})
            await eventually(lambda: agent.events("opcua.backfilled"), what="it says that it is done")
            assert await agent.stop() == 0
            assert "Traceback" not in agent.log_text
        for name, past in source.said.items():
            readings = [one for one in ear.readings("cnc", name) if not one.again and one.value in past]
            hidden = {value for value in past if value not in before[name] and value < newest[name]}
            assert len(hidden) == 149
            history = [one for one in readings if one.historical]
            assert sorted(one.value for one in history if one.value not in before[name]) == sorted(hidden), "each once"
            assert all(one.ts == past[one.value] and one.src is None for one in history if one.value in hidden)
            assert not hidden & {one.value for one in readings if not one.historical}, "none as if it were new"
            live = Counter(one.value for one in readings if one.value in before[name])
            assert set(live.values()) == {1}, "nothing said before is said again"
            others = {value for other, values in source.said.items() if other != name for value in values}
            assert not others & {one.value for one in ear.readings("cnc", name)}
        assert [gap["device"] for gap in ear.down().values()] == ["cnc"], "the gap stays declared"
    await hall.stop(source.plant)


async def test_killed_while_it_fills_it_goes_on_where_it_stood(
    tmp_path: Path, mosquitto: Mosquitto, hall: Hall, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second page never came: the next run begins with it, and then another program swaps the nodes of the tags."""
    manager = source.plant.server.iserver.history_manager
    read, asked, held = manager.read_history, [], asyncio.Event()

    async def hesitant(params: Any) -> Any:
        asked.append(params)
        if len(asked) > 1:  # also on another connection: the agent does not wait for ever
            await held.wait()
        return await read(params)

    monkeypatch.setattr(manager, "read_history", hesitant)
    device = opcua(source.plant.url, "a", "b", backfill=True)
    publishers = {"plant": {"type": "mqtt", "url": mosquitto.url}}
    async with hearing(mosquitto.url) as ear:
        with AgentProcess(tmp_path, publishers=publishers, devices={"cnc": device}) as agent:
            await agent.start()
            await ear.good("cnc", ["a", "b"])
            assert await agent.stop() == 0
            await source.counts(250)
            await agent.start()
            for name in "ab":
                await eventually(partial(_historical, ear, name, VALUES - 1), what="the first page, but what was said")
            agent.kill()
            source.plant._loop.call_soon_threadsafe(held.set)
            await agent.start()
            await _heard(ear, source, {"a": "a", "b": "b"})
            assert await agent.stop() == 0
            for name, past in source.said.items():
                history = [one.value for one in ear.readings("cnc", name) if one.historical and not one.again]
                assert sorted(value for value in history if value in past) == sorted(past)[:-1], "each once"
            device["tags"]["a"], device["tags"]["b"] = device["tags"]["b"], device["tags"]["a"]
            agent.configure(agent.document | {"devices": {"cnc": device}})
            hidden = {name: len(past) for name, past in source.said.items()}
            await source.counts(20)
            await agent.start()
            newest = {"a": max(source.said["b"]), "b": max(source.said["a"])}
            for name, value in newest.items():
                await eventually(partial(ear.readings, "cnc", name, value=value), what=f"{name} is another node now")
            await eventually(lambda: len(agent.events("opcua.recalled")) == 4, what="it was looked at")
            assert agent.events("opcua.recalled")[-1]["tags"] == 2
            assert await agent.stop() == 0
        for name, past in source.said.items():
            gone = {value for value in sorted(past)[hidden[name] :] if value not in newest.values()}
            assert not [one for one in ear.readings("cnc") if one.value in gone], "of neither tag is anything known"
    await hall.stop(source.plant)


def _historical(ear: Ear, name: str, count: int) -> bool:
    return sum(one.historical for one in ear.readings("cnc", name)) >= count
