from __future__ import annotations

from typing import Any

import pytest
from asyncua import ua

from agent.core.errors import ConnectionLost
from agent.testing.context import SimpleContext
from tests.integration.opcua.server import URN, Hall, Plant
from tests.integration.opcua.support import BRISK, Notebook, collecting, config

MANY = {f"node{number}": number for number in range(300)}
TAGS: dict[str, Any] = {name: f"nsu={URN};s={name}" for name in MANY}


@pytest.fixture(scope="module")
def many(hall: Hall) -> Plant:
    return hall.plant_sync()


@pytest.fixture
async def plant(many: Plant) -> Plant:
    """A server with 300 nodes and no limits of its own."""
    for name, value in MANY.items():
        if name not in many.nodes:
            await many.do(many.add(name, value))
    many.largest_read, many.most_reads, many.most_items = 0, None, None
    await many.do(many.tell(reads=0, items=0))
    return many


@pytest.mark.parametrize("mode", ["poll", "subscribe"])
async def test_more_nodes_than_the_server_takes_at_once(plant: Plant, mode: str) -> None:
    """300 nodes of a server with MaxNodesPerRead 100 all arrive under their own tag, in requests of 100."""
    await plant.do(plant.tell(reads=100, items=100))
    plant.most_reads = plant.most_items = 100
    async with collecting(plant.url, TAGS, mode=mode) as notebook:
        await notebook.heard()
        assert {name: notebook.newest(name) for name in MANY} == MANY
        assert all(notebook.status(name) == 0 for name in MANY)
        assert plant.largest_read <= 100
        assert (notebook.note["chunk_read"], notebook.note["chunk_monitor"]) == (100, 100)


async def test_a_limit_nobody_told_is_found(plant: Plant) -> None:
    """A server that refuses what it did not forbid is asked for half, until it answers; the limit is remembered."""
    plant.most_reads = 40
    async with collecting(plant.url, TAGS, mode="poll") as notebook:
        await notebook.heard()
        assert {name: notebook.newest(name) for name in MANY} == MANY
        await notebook.until(lambda: notebook.note["chunk_read"] == 37)
        await notebook.turn()
        settled = len(notebook.samples)

        def chunks() -> list[tuple[int, ...]]:
            return [answer.tags for sample in notebook.samples[settled:] for answer in sample.answers]

        await notebook.until(lambda: len(chunks()) > 2 * len(MANY) / 37 + 2)  # two cycles, in however many samples
        assert len({id(tags) for tags in chunks()}) == len(set(chunks())), "the same tuples every cycle"


async def test_a_limit_of_monitored_items_nobody_told_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """CreateMonitoredItems is halved like Read."""
    service = plant.server.iserver.subscription_service
    create = service.create_monitored_items

    async def limited(params: ua.CreateMonitoredItemsParameters) -> Any:
        if len(params.ItemsToCreate) > 70:
            raise ua.uaerrors.BadTooManyOperations
        return await create(params)

    monkeypatch.setattr(service, "create_monitored_items", limited)
    async with collecting(plant.url, TAGS) as notebook:
        await notebook.heard()
        assert {name: notebook.newest(name) for name in MANY} == MANY
        assert notebook.note["chunk_monitor"] == 37


async def test_a_server_that_breaks_off_what_is_too_large_is_asked_for_less(plant: Plant) -> None:
    """It does not refuse, it drops the connection: the next one asks for half, until everything is read."""
    made, context = config(plant.url, TAGS, mode="poll"), SimpleContext()
    collector = made.build("dev", context, BRISK)
    plant.fatal_reads = 100
    connections = 0
    while True:
        try:
            async with collector.open() as samples:
                connections += 1
                notebook = Notebook(list(TAGS), samples, context)
                await notebook.heard()
                assert notebook.note["chunk_read"] <= 100
                break
        except ConnectionLost:
            continue
    plant.fatal_reads = None
    assert {name: notebook.newest(name) for name in MANY} == MANY
    assert connections <= 4
