from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from asyncua import ua as library

from agent.collectors.opcua.history.history import HistoryReader
from agent.collectors.opcua.translate import AnswerUndecodable
from agent.core.errors import ConnectionLost
from agent.core.flow import Sample
from agent.core.ports import Collector
from agent.testing.context import SimpleContext
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


async def outage(
    plant: Plant, collector: Collector, values: int, context: SimpleContext, *names: str, array: bool = False
) -> tuple[Notebook, list[int]]:
    """One connection, values while there is none, and the notebook of the next, with the times of the values."""
    now = int(dt.datetime.now(dt.UTC).timestamp() * 1000)
    async with collector.open() as samples:
        notebook = Notebook(["a", "b"], samples, context)
        await notebook.heard()
        await plant.do(plant.put("a", _at([1] if array else 1, now)))
        await notebook.until(lambda: notebook.newest("a") == 1)
        await plant.do(plant.close_listener())
        with pytest.raises(ConnectionLost):
            await notebook.until(lambda: False)
    times = [now + number for number in range(1, values + 1)]
    for number, time in enumerate(times, 2):
        for name in names or ("a",):
            await plant.do(plant.put(name, _at([number] if array else number, time)))
    await plant.do(plant.open_listener())
    return notebook, times


def _at(value: int | list[int], ms: int) -> Any:
    return said(value, at=dt.datetime.fromtimestamp(ms / 1000, dt.UTC))


@pytest.mark.parametrize("values", [5, 250])
async def test_an_outage_is_filled_from_the_servers_history(keeper: Plant, values: int) -> None:
    """Each value between the last before and the first after, once, in order, in pages; a node without one is left."""
    context = SimpleContext()
    tags = {name: f"nsu={URN};s={name}" for name in ("a", "b")}
    collector = config(keeper.url, tags, backfill=True).build("dev", context, QUICK)
    _, times = await outage(keeper, collector, values, context)
    async with collector.open() as samples:
        notebook = Notebook(["a", "b"], samples, context)
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
    context = SimpleContext()
    tags = {name: f"nsu={URN};s={name}" for name in ("a", "b")}
    collector = config(keeper.url, tags, backfill=True).build("dev", context, QUICK)
    await outage(keeper, collector, 3, context)
    async with collector.open() as samples:
        notebook = Notebook(["a", "b"], samples, context)
        await notebook.until(lambda: len(past(notebook.samples)) >= 2)
    assert [value for value, _ in past(notebook.samples)] == [2, 3]
    assert asked[:2] == [ua.TimestampsToReturn.Source, ua.TimestampsToReturn.Both]


def _refusing(plant: Plant, monkeypatch: pytest.MonkeyPatch, refuse: Any) -> list[int]:
    """`refuse(params)` gives an error, or None; how many nodes each request asked for."""
    manager = plant.server.iserver.history_manager
    read, asked = manager.read_history, []

    async def picky(params: Any) -> Any:
        asked.append(len(params.NodesToRead))
        error = refuse(params)
        if error is not None:
            raise error
        return await read(params)

    monkeypatch.setattr(manager, "read_history", picky)
    return asked


@pytest.mark.parametrize("limit", ["nodes", "values"])
async def test_what_a_server_finds_too_large_is_asked_for_in_smaller_pieces(
    keeper: Plant, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    """Fewer nodes in a request, and fewer values in a page; nothing is left out and nothing comes twice."""

    def refuse(params: Any) -> Exception | None:
        if limit == "nodes":
            return ua.uaerrors.BadTooManyOperations() if len(params.NodesToRead) > 1 else None
        return ua.uaerrors.BadResponseTooLarge() if params.HistoryReadDetails.NumValuesPerNode > 30 else None

    asked = _refusing(keeper, monkeypatch, refuse)
    context = SimpleContext()
    tags = {name: f"nsu={URN};s={name}" for name in ("a", "b")}
    collector = config(keeper.url, tags, backfill=True).build("dev", context, QUICK)
    _, times = await outage(keeper, collector, 90, context, "a", "b")
    async with collector.open() as samples:
        notebook = Notebook(["a", "b"], samples, context)
        await notebook.until(lambda: len(past(notebook.samples)) >= 89)
    assert past(notebook.samples) == list(zip(range(2, 91), times[:-1], strict=True))
    assert asked[0] == 2


async def test_who_may_not_read_history_keeps_his_connection(keeper: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without the right: it is said, and the present goes on."""
    _refusing(keeper, monkeypatch, lambda _: ua.uaerrors.BadUserAccessDenied())
    context = SimpleContext()
    tags = {name: f"nsu={URN};s={name}" for name in ("a", "b")}
    collector = config(keeper.url, tags, backfill=True).build("dev", context, QUICK)
    await outage(keeper, collector, 5, context)
    with structlog.testing.capture_logs() as logs:
        async with collector.open() as samples:
            notebook = Notebook(["a", "b"], samples, context)
            await notebook.until(lambda: any(log["event"] == "opcua.backfilled" for log in logs))
            await keeper.do(keeper.put("a", said(99)))
            await notebook.until(lambda: notebook.newest("a") == 99)
    (done,) = [log for log in logs if log["event"] == "opcua.backfilled"]
    assert (done["values"], done["failed"]) == (0, 1)
    assert "BadUserAccessDenied" in done["reason"]


@pytest.mark.parametrize("heeds", [True, False])
async def test_history_of_a_part_is_that_of_the_part(
    keeper: Plant, monkeypatch: pytest.MonkeyPatch, heeds: bool
) -> None:
    """The index range goes with the question; a server that ignores it has no history of this tag, not a bad one."""
    manager = keeper.server.iserver.history_manager
    read = manager.read_history

    async def whole(params: Any) -> Any:
        results = await read(params)
        for node, result in zip(params.NodesToRead, results, strict=True):
            for data in result.HistoryData.DataValues if not heeds or node.IndexRange != "0" else ():
                data.Value = ua.Variant([data.Value.Value[0], -1])
        return results

    monkeypatch.setattr(manager, "read_history", whole)
    context = SimpleContext()
    tags = {"a": {"node": f"nsu={URN};s=a", "index_range": "0"}, "b": {"node": f"nsu={URN};s=b"}}
    collector = config(keeper.url, tags, backfill=True).build("dev", context, QUICK)
    _, times = await outage(keeper, collector, 5, context, array=True)
    with structlog.testing.capture_logs() as logs:
        async with collector.open() as samples:
            notebook = Notebook(["a", "b"], samples, context)
            await notebook.until(lambda: any(log["event"] == "opcua.backfilled" for log in logs))
    assert past(notebook.samples) == (list(zip(range(2, 6), times[:-1], strict=True)) if heeds else [])
    (done,) = [log for log in logs if log["event"] == "opcua.backfilled"]
    assert (done["values"], done["failed"]) == ((4, 0) if heeds else (0, 1))


async def test_a_node_that_comes_back_late_is_filled_late(keeper: Plant) -> None:
    """A controller that still loads its program: its history is asked for when its first value is there."""
    context = SimpleContext()
    tags = {name: f"nsu={URN};s={name}" for name in ("a", "b")}
    collector = config(keeper.url, tags, backfill=True).build("dev", context, QUICK)
    space = keeper.server.iserver.aspace._nodes
    kept = keeper.nodes["a"].nodeid
    notebook, times = await outage(keeper, collector, 5, context)
    node = space.pop(kept)
    async with collector.open() as samples:
        notebook = Notebook(["a", "b"], samples, context)
        await notebook.until(lambda: notebook.said["a"])
        assert notebook.newest("a") is None
        space[kept] = node
        await notebook.until(lambda: len(past(notebook.samples)) >= 4)
    assert past(notebook.samples) == list(zip(range(2, 6), times[:-1], strict=True))


async def test_the_next_run_fills_what_this_one_left(keeper: Plant, tmp_path: Path) -> None:
    """Another collector, as after a restart, with what is on disk; left in the middle of filling it goes on there."""
    tags = {name: f"nsu={URN};s={name}" for name in ("a", "b")}

    def run() -> tuple[Collector, SimpleContext]:
        context = SimpleContext(data_dir=tmp_path, recording=True)
        return config(keeper.url, tags, backfill=True).build("dev", context, QUICK), context

    collector, context = run()
    _, times = await outage(keeper, collector, 350, context)
    seen: list[tuple[Any, int | None]] = []
    while len(seen) < 349:
        collector, context = run()
        async with collector.open() as samples:
            notebook = Notebook(["a", "b"], samples, context)
            await notebook.until(lambda: past(notebook.samples))  # noqa: B023 - within this round
        seen += past(notebook.samples)
    assert seen == list(zip(range(2, 351), times[:-1], strict=True))


async def test_history_that_cannot_be_decoded_costs_one_tag(keeper: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rubbish in the answer for one node: the others are asked for without it."""
    read = HistoryReader._read

    async def poisoned(history: HistoryReader, request: Any) -> Any:
        if any(node.NodeId.Identifier == "b" for node in request.NodesToRead):
            raise AnswerUndecodable("rubbish")
        return await read(history, request)

    monkeypatch.setattr(HistoryReader, "_read", poisoned)
    context = SimpleContext()
    tags = {name: f"nsu={URN};s={name}" for name in ("a", "b")}
    collector = config(keeper.url, tags, backfill=True).build("dev", context, QUICK)
    _, times = await outage(keeper, collector, 5, context, "a", "b")
    with structlog.testing.capture_logs() as logs:
        async with collector.open() as samples:
            notebook = Notebook(["a", "b"], samples, context)
            await notebook.until(lambda: any(log["event"] == "opcua.backfilled" for log in logs))
            await notebook.until(lambda: len(past(notebook.samples)) >= 4)
    assert past(notebook.samples) == list(zip(range(2, 6), times[:-1], strict=True))
    (done,) = [log for log in logs if log["event"] == "opcua.backfilled"]
    assert (done["failed"], done["reason"]) == (1, "rubbish")
