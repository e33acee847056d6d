from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from asyncua import ua as library

from agent.collectors.opcua.collector import OpcUaCollector
from agent.core.errors import ConnectionLost
from agent.core.flow import Sample
from agent.testing.site import SimpleSite
from tests.integration.opcua.server import URN, Hall, Plant, said
from tests.integration.opcua.support import BRISK, Notebook, config

ua: Any = library
QUICK = BRISK._replace(history=0.05)


def past(samples: list[Sample]) -> list[tuple[Any, int | None]]:
    return [
        (value, source)
        for sample in samples
        for answer in sample.history
        for value, source in zip(answer.values, answer.src or (), strict=True)
    ]


@pytest.fixture
def keeper(hall: Hall) -> Iterator[Plant]:
    """A server that keeps the history of one node."""
    plant = hall.plant_sync()

    async def build() -> None:
        node = await plant.add("a", 0)
        await plant.add("b", 0)
        await plant.server.historize_node_data_change(node, dt.timedelta(days=1), 0)

    asyncio.run_coroutine_threadsafe(build(), plant._loop).result(30)
    yield plant
    hall._plants.remove(plant)
    asyncio.run_coroutine_threadsafe(plant.server.stop(), plant._loop).result(30)


async def outage(plant: Plant, collector: OpcUaCollector, values: int, site: SimpleSite) -> tuple[Notebook, list[int]]:
    """One connection, values while there is none, and the notebook of the next, with the times of the values."""
    now = int(dt.datetime.now(dt.UTC).timestamp() * 1000)
    async with collector.open() as samples:
        notebook = Notebook(["a", "b"], samples, site)
        await notebook.heard()
        await plant.do(plant.put("a", _at(1, now)))
        await notebook.until(lambda: notebook.newest("a") == 1)
        await plant.do(plant.close_listener())
        with pytest.raises(ConnectionLost):
            await notebook.until(lambda: False)
    times = [now + number for number in range(1, values + 1)]
    for number, time in enumerate(times, 2):
        await plant.do(plant.put("a", _at(number, time)))
    await plant.do(plant.open_listener())
    return notebook, times


def _at(value: int, ms: int) -> Any:
    return said(value, at=dt.datetime.fromtimestamp(ms / 1000, dt.UTC))


@pytest.mark.parametrize("values", [5, 250])
async def test_an_outage_is_filled_from_the_servers_history(keeper: Plant, values: int) -> None:
    """Each value between the last before and the first after, once, in order, in pages; a node without one is left."""
    site = SimpleSite()
    tags = {name: f"nsu={URN};s={name}" for name in ("a", "b")}
    collector = OpcUaCollector("dev", config(keeper.url, tags, backfill=True), site, QUICK)
    _, times = await outage(keeper, collector, values, site)
    async with collector.open() as samples:
        notebook = Notebook(["a", "b"], samples, site)
        await notebook.until(lambda: len(past(notebook.samples)) >= values - 1)
        assert notebook.newest("a") == values + 1
        assert past(notebook.samples) == list(zip(range(2, values + 1), times[:-1], strict=True))
        assert notebook.losses, "the gap is declared all the same"


async def test_another_kind_of_time_is_tried(keeper: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that refuses source times alone is asked for both."""
    manager = keeper.server.iserver.history_manager
    read, asked = manager.read_history, []

    async def picky(params: Any) -> Any:
        asked.append(params.TimestampsToReturn)
        if params.TimestampsToReturn == ua.TimestampsToReturn.Source:
            raise ua.uaerrors.BadTimestampsToReturnInvalid
        return await read(params)

    monkeypatch.setattr(manager, "read_history", picky)
    site = SimpleSite()
    tags = {name: f"nsu={URN};s={name}" for name in ("a", "b")}
    collector = OpcUaCollector("dev", config(keeper.url, tags, backfill=True), site, QUICK)
    await outage(keeper, collector, 3, site)
    async with collector.open() as samples:
        notebook = Notebook(["a", "b"], samples, site)
        await notebook.until(lambda: len(past(notebook.samples)) >= 2)
    assert [value for value, _ in past(notebook.samples)] == [2, 3]
    assert asked[:2] == [ua.TimestampsToReturn.Source, ua.TimestampsToReturn.Both]
