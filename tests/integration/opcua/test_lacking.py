"""Servers that lack a service, or have little of what it needs: it costs what depends on it, and nothing else."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import pytest
import structlog
from asyncua import ua as library
from asyncua.server.internal_session import InternalSession

from agent.collectors.opcua.explore import DATA_TYPE, Explorer
from agent.core.quality import name_of
from tests.integration.opcua.server import URN, Plant, said
from tests.integration.opcua.support import BRISK, collecting

ua: Any = library


@pytest.mark.parametrize("refusal", ["BadServiceUnsupported", "BadUserAccessDenied"])
async def test_a_server_that_lets_nobody_call_is_monitored_all_the_same(
    shared: Plant, monkeypatch: pytest.MonkeyPatch, refusal: str
) -> None:
    """Neither the audit of monitored items nor the repetition of conditions is worth a connection."""
    asked: list[str] = []

    async def call(_session: Any, methods: Any) -> Any:
        asked.extend(method.MethodId.to_string() for method in methods)
        raise getattr(ua.uaerrors, refusal)

    monkeypatch.setattr(InternalSession, "call", call)
    if "calls" not in shared.nodes:
        await shared.do(shared.add("calls", 1))
    tags = {"a": f"nsu={URN};s=calls"}
    async with collecting(shared.url, tags, pace=BRISK._replace(audit=0.05), events={"alarms": {}}) as notebook:
        await notebook.until(lambda: asked.count("i=11492") >= 3)
        await shared.do(shared.put("calls", said(7)))
        await notebook.until(lambda: notebook.newest("a") == 7)
    assert "i=3875" in asked


async def test_a_server_that_follows_no_paths_costs_the_tags_that_have_one(
    shared: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TranslateBrowsePathsToNodeIds is refused as such: bad, asked for again, and good as soon as it is not."""
    refuses = True
    follow = InternalSession.translate_browsepaths_to_nodeids

    async def translate(session: Any, paths: Any) -> Any:
        if refuses:
            raise ua.uaerrors.BadServiceUnsupported
        return await follow(session, paths)

    monkeypatch.setattr(InternalSession, "translate_browsepaths_to_nodeids", translate)
    tags = {"state": "i=2259", "way": {"path": "Objects/0:Server/0:ServerStatus/0:State"}}
    async with collecting(shared.url, tags) as notebook:
        await notebook.heard()
        assert notebook.newest("state") == 0
        assert (notebook.newest("way"), name_of(notebook.status("way"))) == (None, "BadServiceUnsupported")
        refuses = False
        await notebook.until(lambda: notebook.newest("way") == 0)


async def test_a_server_with_few_continuation_points_is_browsed_node_by_node(
    shared: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it could not tell together it tells alone: a selection is whole, or it would call nodes gone."""
    index = shared.indexes[URN]

    async def build() -> None:
        objects = shared.server.nodes.objects
        root = await objects.add_object(ua.NodeId("Hall", index), f"{index}:Hall")
        for machine in range(3):
            node = await root.add_object(ua.NodeId(f"Hall.{machine}", index), f"{index}:M{machine}")
            for axis in range(4):
                await node.add_variable(ua.NodeId(f"Hall.{machine}.{axis}", index), f"{index}:A{axis}", axis)

    await shared.do(build())
    browse = InternalSession.browse

    async def crowded(session: Any, params: Any) -> Any:
        results = await browse(session, params)
        for result in results if len(params.NodesToBrowse) > 1 else ():
            if len(result.References) > 2:
                result.StatusCode, result.References = ua.StatusCode(ua.StatusCodes.BadNoContinuationPoints), []
        return results

    monkeypatch.setattr(InternalSession, "browse", crowded)
    async with collecting(shared.url, {}, browse={"root": f"nsu={URN};s=Hall"}) as notebook:
        await notebook.until(lambda: len(notebook.said) == 12 and all(notebook.said.values()))
    assert set(notebook.said) == {f"M{machine}/A{axis}" for machine in range(3) for axis in range(4)}


@pytest.mark.parametrize("offset", [-3600, 3600])
async def test_a_clock_that_is_off_is_said_once_and_its_times_are_kept(
    shared: Plant, monkeypatch: pytest.MonkeyPatch, offset: int
) -> None:
    """Behind or ahead; on the local time it is configured to have it is right; when it is put right that is said."""
    shift = dt.timedelta(seconds=offset)
    read = InternalSession.read

    async def skewed(session: Any, params: Any) -> Any:
        results = await read(session, params)
        for asked, result in zip(params.NodesToRead, results, strict=True):
            if asked.NodeId.to_string() == "i=2258":
                result.Value = ua.Variant(dt.datetime.now(dt.UTC) + shift)
        return results

    monkeypatch.setattr(InternalSession, "read", skewed)
    if "clocked" not in shared.nodes:
        await shared.do(shared.add("clocked", 1))
    tags = {"a": f"nsu={URN};s=clocked"}
    with structlog.testing.capture_logs() as logs:
        async with collecting(shared.url, tags, pace=BRISK._replace(pulse=0.05)) as notebook:
            await notebook.until(lambda: "clock_skew_ms" in notebook.note and notebook.note["server_state"])
            assert abs(notebook.note["clock_skew_ms"] - offset * 1000) < 60_000
            shift = dt.timedelta()
            await notebook.until(lambda: any(log["event"] == "opcua.clock_right" for log in logs))
    said_so = [log["event"] for log in logs if "clock" in log["event"]]
    assert said_so == ["opcua.clock_off", "opcua.clock_right"]
    shift = dt.timedelta(seconds=offset)
    with structlog.testing.capture_logs() as logs:
        clock = {"utc_offset": "+01:00" if offset > 0 else "-01:00"}
        async with collecting(shared.url, tags, pace=BRISK._replace(pulse=0.05), clock=clock) as notebook:
            await notebook.until(lambda: "clock_skew_ms" in notebook.note)
            await notebook.turn()
    assert [log["event"] for log in logs if "clock" in log["event"]] == []


async def test_a_server_that_is_slow_to_tell_its_types_is_read_without(
    shared: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Learning has its time; then values come with their numbers, and one that needs a definition is bad."""
    if "typed" not in shared.nodes:
        await shared.do(shared.add("typed", 1))
    attributes, asked = Explorer.attributes, []

    async def slow(explorer: Explorer, nodes: Any, attribute: int) -> Any:
        if attribute == DATA_TYPE:
            asked.append(len(nodes))
            await asyncio.Event().wait()
        return await attributes(explorer, nodes, attribute)

    monkeypatch.setattr(Explorer, "attributes", slow)
    tags = {"a": f"nsu={URN};s=typed", "state": "i=2259"}
    with structlog.testing.capture_logs() as logs:
        async with collecting(shared.url, tags, pace=BRISK._replace(types=0.05)) as notebook:
            await notebook.heard()
    assert asked == [2]
    assert (notebook.newest("a"), notebook.newest("state"), notebook.labels) == (1, 0, {})
    assert [log["reason"] for log in logs if log["event"] == "opcua.types_unknown"] == ["no answer in time"]
