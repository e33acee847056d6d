"""Limits, history, alarms and the audit at a stack nobody here wrote: node-opcua, which enforces what it tells."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from asyncua.client.client import Client
from asyncua.common.node import Node

from agent.collectors.common.limits import ChunkLimit
from agent.core.errors import ConnectionLost
from agent.core.ports import Collector
from agent.simulator.proxy import Proxy
from agent.testing.context import SimpleContext
from tests.integration.opcua.support import BRISK, Notebook, config
from tests.interop.foreign import URN, node_opcua
from tests.support.opcua_pki import make_pair
from tests.support.processes import Process
from tests.support.waiting import eventually

COUNT = 30
TAGS = {f"t{number}": f"nsu={URN};s=v{number}" for number in range(COUNT)}


LIMITS = {
    "maxNodesPerRead": 13, "maxMonitoredItemsPerCall": 5, "maxNodesPerBrowse": 3,
    "maxNodesPerTranslateBrowsePathsToNodeIds": 3, "maxNodesPerHistoryReadData": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Process]]:
    """One for all: it enforces its limits, tells every change, and keeps history."""
    folder = tmp_path_factory.mktemp("node")
    pair = make_pair(folder, "server")
    with node_opcua(folder, pair, nodes=COUNT, limits=LIMITS, history=True, fastest=0) as started:
        yield started


@asynccontextmanager
async def reading(collector: Collector, context: SimpleContext, *names: str) -> AsyncIterator[Notebook]:
    """One connection of a collector that may have had others before."""
    async with collector.open() as samples:
        yield Notebook(list(names), samples, context)


def number(name: str) -> int:
    """Of its node: what is left of its value is the count."""
    return int(name[1:])


@pytest.mark.parametrize("mode", ["subscribe", "poll"])
async def test_limits_that_are_told_are_never_exceeded(
    server: tuple[str, Process], tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that takes a few nodes per request refuses nothing: reading, monitoring, browsing, following paths."""
    refused: list[int] = []

    def refuse(_limit: ChunkLimit, size: int) -> bool:
        refused.append(size)
        return False

    monkeypatch.setattr(ChunkLimit, "refused", refuse)
    paths = {f"p{at}": {"path": f"Objects/nsu={URN};v{at}"} for at in range(8)}
    tags = {name: node for name, node in TAGS.items() if number(name) not in range(10, 20)}  # those are found
    made = config(server[0], tags | paths, mode=mode, browse={"include": ["v1", "v1?"]})
    context = SimpleContext(data_dir=tmp_path)
    async with reading(made.build("dev", context, BRISK), context, *tags, *paths) as notebook:
        await notebook.until(lambda: all(notebook.said.values()) and len(notebook.said) == COUNT + 8)
        assert (notebook.note["chunk_read"], notebook.note["chunk_monitor"]) == (13, 5)
    assert not refused
    for name, rows in notebook.said.items():
        assert {status for _, status, _, _ in rows} == {0}, name
        ticks = {value - number(name) for value, *_ in rows}
        assert all(tick == int(tick) >= 0 for tick in ticks), name


async def test_history_fills_an_outage(server: tuple[str, Process], tmp_path: Path) -> None:
    """Cut off while the server goes on counting: every count of that time comes as history, once, within the gap."""
    url, names = server[0], [f"t{at}" for at in range(5)]
    context = SimpleContext(data_dir=tmp_path)
    async with Proxy("127.0.0.1", int(url.rpartition(":")[2])) as cable:
        tags = {name: {"node": TAGS[name], "sampling_interval": "0ms", "queue_size": 100} for name in names}
        made = config(f"opc.tcp://127.0.0.1:{cable.port}", tags, backfill=True)
        collector = made.build("dev", context, BRISK._replace(history=0.2))
        async with reading(collector, context, *names) as before:
            await before.until(lambda: len(before.said["t0"]) >= 5)
            await cable.cut()
            with pytest.raises(ConnectionLost):
                await before.until(lambda: False)
        await counted_on(url, 20)
        await cable.restore()
        past: dict[str, dict[int, int]] = {name: {} for name in names}
        async with reading(collector, context, *names) as after:
            await after.heard()
            while not all(filled(before, after, past[name], name) for name in names):
                for answer in (await after.turn()).history:
                    name = names[answer.tags[0]]
                    assert answer.src is not None
                    for value, stamp in zip(answer.values, answer.src, strict=True):
                        assert stamp is not None
                        assert isinstance(value, float)
                        count = round(value) - number(name)
                        assert count not in past[name], "once"
                        past[name][count] = stamp
    (loss,) = after.losses
    for name in names:
        assert all(loss.from_ts <= stamp <= loss.to_ts for stamp in past[name].values())


def filled(before: Notebook, after: Notebook, past: dict[int, int], name: str) -> bool:
    """Whether past has just what lies between the last count before and the first one after."""
    last, first = before.newest(name) - number(name), after.said[name][0][0] - number(name)
    between = set(range(int(last) + 1, int(first)))
    assert past.keys() <= between
    return past.keys() == between


async def counted_on(url: str, more: int) -> None:
    """Wait until the server has counted on, as another client sees it."""
    async with Client(url, timeout=30) as client:
        node = client.get_node("ns=2;s=v0")
        start = await node.read_value()
        await eventually(partial(_beyond, node, start + more))


async def _beyond(node: Node, value: float) -> bool:
    return bool(await node.read_value() >= value)


async def test_alarms_with_their_state_across_an_outage(server: tuple[str, Process], tmp_path: Path) -> None:
    """An alarm that came is told with its state; one that stands after an outage is told when we are back."""
    context = SimpleContext(data_dir=tmp_path)
    async with Client(server[0], timeout=30) as hand, Proxy("127.0.0.1", int(server[0].rpartition(":")[2])) as cable:
        level = hand.get_node("ns=2;s=level")
        made = config(f"opc.tcp://127.0.0.1:{cable.port}", {"a": TAGS["t0"]}, events={"alarms": {}})
        collector = made.build("dev", context, BRISK)
        async with reading(collector, context, "a", "alarms") as notebook:
            await notebook.heard()
            await put(level, 95.0)
            high = await alarm(notebook, active=True)
            await put(level, 50.0)
            normal = await alarm(notebook, active=False)
            await cable.cut()
            with pytest.raises(ConnectionLost):
                await notebook.until(lambda: False)
        assert (high["acked"], high["retain"], high["enabled"]) == (False, True, True)
        assert high["severity"] > normal["severity"]
        assert "Level" in high["source"]
        await put(level, 97.0)
        await cable.restore()
        async with reading(collector, context, "a", "alarms") as notebook:
            standing = await alarm(notebook, active=True)
            assert "97" in standing["message"]
            assert notebook.losses
        await put(level, 50.0)


async def put(node: Node, value: float) -> None:
    """As somebody at the plant does it: the agent has no way to."""
    await node.write_value(ua.DataValue(ua.Variant(value)))


async def alarm(notebook: Notebook, *, active: bool) -> dict[str, Any]:
    """The first event in which the alarm is so."""

    def found() -> list[dict[str, Any]]:
        return [row[0] for row in notebook.said["alarms"] if row[0] and row[0].get("active") is active]

    await notebook.until(found)
    return found()[0]


async def test_what_a_server_forgot_is_found_by_the_audit(server: tuple[str, Process], tmp_path: Path) -> None:
    """Items that vanished at the server: declared with their tags, monitored again, and values go on."""
    context = SimpleContext(data_dir=tmp_path)
    collector = config(server[0], TAGS).build("dev", context, BRISK._replace(audit=0.3))
    async with reading(collector, context, *TAGS) as notebook:
        await notebook.heard()
        server[1].signal(signal.SIGUSR2)
        await notebook.until(lambda: notebook.losses)
        (loss,) = notebook.losses
        assert loss.tags is not None
        assert len(loss.tags) == COUNT // 2
        heard = {position: len(notebook.said[f"t{position}"]) for position in loss.tags}
        await notebook.until(lambda: all(len(notebook.said[f"t{at}"]) > heard[at] + 2 for at in heard))
        assert notebook.note["active"] == COUNT
