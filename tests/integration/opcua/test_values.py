from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from asyncua import ua

from agent.core.quality import name_of, number_of
from tests.integration.opcua.server import URN, Plant, node_id, said
from tests.integration.opcua.support import collecting

V = ua.VariantType
NOON = dt.datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=dt.UTC)
LAST = NOON.replace(year=2025)
GUID = uuid.UUID("09087e75-8e5e-499b-954f-f2a9603db28a")

SCALARS: dict[str, tuple[V, Any, Any, str]] = {
    "bool": (V.Boolean, True, True, "bool"),
    "sbyte": (V.SByte, -128, -128, "int8"),
    "byte": (V.Byte, 255, 255, "uint8"),
    "int16": (V.Int16, -32768, -32768, "int16"),
    "uint16": (V.UInt16, 65535, 65535, "uint16"),
    "int32": (V.Int32, -(2**31), -(2**31), "int32"),
    "uint32": (V.UInt32, 2**32 - 1, 2**32 - 1, "uint32"),
    "int64": (V.Int64, -(2**63), -(2**63), "int64"),
    "uint64": (V.UInt64, 2**64 - 1, 2**64 - 1, "uint64"),
    "float": (V.Float, 1.5, 1.5, "float32"),
    "double": (V.Double, 0.1, 0.1, "float64"),
    "string": (V.String, "主轴 °C", "主轴 °C", "string"),
    "datetime": (V.DateTime, NOON, "2026-11-22T12:00:00.123456Z", "datetime"),
    "guid": (V.Guid, GUID, str(GUID), "guid"),
    "bytes": (V.ByteString, b"\x00\xff", "AP8=", "bytes"),
    "nodeid": (V.NodeId, node_id("ns=2;s=x"), "ns=2;s=x", "nodeid"),
    "statuscode": (V.StatusCode, said(None, status=0x80340000).StatusCode, 0x80340000, "statuscode"),
    "qualified": (V.QualifiedName, ua.QualifiedName("speed", 2), "speed", "qualifiedname"),
    "localized": (V.LocalizedText, ua.LocalizedText("Drehzahl", "de"), "Drehzahl", "localizedtext"),
    "array": (V.Int32, [1, 2, 3], [1, 2, 3], "int32[]"),
    "times": (V.DateTime, [NOON], ["2026-11-22T12:00:00.123456Z"], "datetime[]"),
    "matrix": (V.Double, [[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0], [3.0, 4.0]], "float64[]"),
    "variants": (V.Variant, [ua.Variant(1, V.Int16), ua.Variant("x", V.String)], [1, "x"], "variant[]"),
}


@pytest.mark.parametrize("mode", ["subscribe", "poll"])
async def test_every_builtin_type_arrives_as_it_is(shared: Plant, mode: str) -> None:
    """Scalars of every built-in type and arrays arrive with their exact value, and their type is learned."""
    for name, (kind, value, _, _) in SCALARS.items():
        if name not in shared.nodes:
            await shared.do(shared.add(name, value, kind))
    tags = {name: f"nsu=urn:test:plant;s={name}" for name in SCALARS}
    async with collecting(shared.url, tags, mode=mode) as notebook:
        await notebook.heard()
    assert {name: notebook.newest(name) for name in SCALARS} == {name: row[2] for name, row in SCALARS.items()}
    assert {type(notebook.newest(name)) for name in ("bool", "byte", "double")} == {bool, int, float}
    assert notebook.types == {name: row[3] for name, row in SCALARS.items()}
    assert all(notebook.status(name) == 0 for name in SCALARS)


@pytest.mark.parametrize("mode", ["subscribe", "poll"])
async def test_status_and_source_time_are_exact(shared: Plant, mode: str) -> None:
    """Uncertain keeps its value, Bad has none, flags stay in the status; source times to the millisecond."""
    values = {
        "uncertain": said(2.5, status=0x40930000, at=LAST),
        "bad": said(2.5, status=number_of("BadSensorFailure"), at=LAST),
        "waiting": said(None, status=number_of("BadWaitingForInitialData")),
        "clamped": said(9.0, status=0x00300300, at=LAST),
        "no_time": said(3.0),
        "year_1601": said(3.0, at=dt.datetime(1601, 1, 1, tzinfo=dt.UTC)),
        "year_9999": said(3.0, at=dt.datetime(9999, 12, 31, tzinfo=dt.UTC)),
    }
    for name, value in values.items():
        if name not in shared.nodes:
            await shared.do(shared.add(name, 1.0))
        await shared.do(shared.put(name, value))
    async with collecting(shared.url, {n: f"nsu=urn:test:plant;s={n}" for n in values}, mode=mode) as notebook:
        await notebook.heard()
    exact = 1763812800123
    heard = {name: notebook.said[name][-1][:3] for name in values}
    assert heard["uncertain"] == (2.5, 0x40930000, exact)
    assert heard["bad"] == (None, number_of("BadSensorFailure"), exact)
    assert heard["waiting"][:2] == (None, number_of("BadWaitingForInitialData"))
    assert heard["clamped"] == (9.0, 0x00300300, exact)
    assert [heard[name] for name in ("no_time", "year_1601", "year_9999")] == [(3.0, 0, None)] * 3
    doubted = {name: notebook.doubted.get(name) for name in values}
    assert (doubted["uncertain"], doubted["no_time"]) == (None, None)
    assert (doubted["year_1601"], doubted["year_9999"]) == (-11_644_473_600_000, 253_402_214_400_000)


async def test_the_agents_clock_may_stand_in_for_the_sources(shared: Plant) -> None:
    """`clock: {use: agent}` takes no source time; `utc_offset` moves that of a controller on local time."""
    if "local" not in shared.nodes:
        await shared.do(shared.add("local", 1.0))
    await shared.do(shared.put("local", said(2.0, at=LAST)))
    tags = {"local": "nsu=urn:test:plant;s=local"}
    async with collecting(shared.url, tags, clock={"use": "agent"}) as notebook:
        await notebook.heard()
        assert notebook.said["local"][0][2] is None
        assert notebook.doubted["local"] == 1763812800123
    async with collecting(shared.url, tags, clock={"utc_offset": "+08:00"}) as notebook:
        await notebook.heard()
        assert notebook.said["local"][0][2] == 1763812800123 - 8 * 3_600_000


@pytest.mark.parametrize("mode", ["subscribe", "poll"])
async def test_what_cannot_be_decoded_costs_one_tag(shared: Plant, mode: str) -> None:
    """A value whose bytes are wrong is bad with a reason; its neighbours flow."""
    untyped: Any = ua
    poison = untyped.ExtensionObject(TypeId=node_id("i=886"), Body=b"\x01")  # a Range cut short: the message breaks
    plain = {f"plain{number}": float(number) for number in range(9)}
    nodes: dict[str, Any] = {**plain, "range": ua.Range(1.0, 2.0), "broken_text": "x", "poison": poison}
    for name, value in nodes.items():
        if name not in shared.nodes:
            await shared.do(shared.add(name, value))
    await shared.do(shared.put("broken_text", said("a\udcffb", kind=V.String)))
    async with collecting(shared.url, {n: f"nsu=urn:test:plant;s={n}" for n in nodes}, mode=mode) as notebook:
        await notebook.heard()
    assert {name: notebook.newest(name) for name in plain} == plain
    assert (notebook.newest("range"), notebook.status("range")) == ({"Low": 1.0, "High": 2.0}, 0)
    assert (notebook.newest("broken_text"), name_of(notebook.status("broken_text"))) == ("a\ufffdb", "Uncertain")
    assert (notebook.newest("poison"), name_of(notebook.status("poison"))) == (None, "BadDecodingError")


async def test_a_value_that_becomes_decodable_comes_back(shared: Plant) -> None:
    """While it is broken its neighbours lose nothing; mended, it is monitored again."""
    untyped: Any = ua
    broken = untyped.ExtensionObject(TypeId=node_id("i=886"), Body=b"\x01")
    for name in ("healing", "neighbour"):
        await shared.do(shared.add(name, 0))
    tags = {
        "healing": f"nsu={URN};s=healing",
        "neighbour": {"node": f"nsu={URN};s=neighbour", "queue_size": 500},
    }
    async with collecting(shared.url, tags) as notebook:
        await notebook.heard()
        await shared.do(shared.put("healing", said(broken)))
        await notebook.until(lambda: name_of(notebook.status("healing")) == "BadDecodingError")
        first = len(notebook.said["neighbour"])
        await shared.do(shared.put("neighbour", *[said(number) for number in range(1, 101)]))
        await notebook.until(lambda: notebook.newest("neighbour") == 100)
        assert [row[0] for row in notebook.said["neighbour"][first:]] == list(range(1, 101))
        await shared.do(shared.put("healing", said(7)))
        await notebook.until(lambda: notebook.newest("healing") == 7)
