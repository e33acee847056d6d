"""What an OPC UA subscription lost is declared to the consumer; what it brought is carried as it is."""

from __future__ import annotations

import datetime as dt
from typing import Any

from asyncua import ua

from tests.faults.southbound.conftest import Running, opcua
from tests.integration.opcua.server import Hall, said
from tests.support.waiting import eventually


async def test_every_loss_is_a_gap_at_the_broker(running: Running, hall: Hall) -> None:
    """A server that goes and returns, and a queue that overflowed: one gap each, with times around what was missed."""
    plant = await hall.plant()
    for name in ("a", "b"):
        await plant.do(plant.add(name, 1))
    async with running({"cnc": opcua(plant.url, "a", "b")}) as (_, ear):
        await ear.good("cnc", ["a", "b"])
        await plant.do(plant.put("a", said(2), said(3, status=0x480)))
        await eventually(lambda: ear.readings("cnc", "a", value=3))
        await eventually(lambda: len(ear.gaps) == 1, what="the overflow is declared")
        await plant.do(plant.close_listener())
        await ear.hears("cnc", "offline")
        await plant.do(plant.put("b", said(2), said(3)))
        await plant.do(plant.open_listener())
        await ear.why("cnc", "recovered", ["a", "b"])
        await eventually(lambda: len(ear.gaps) == 2, what="the outage is declared")
    overflow, outage = ear.gaps
    assert (overflow["kind"], overflow["device"], overflow["tags"]) == ("missed", "cnc", ["a"])
    assert "overflowed" in overflow["reason"]
    assert (outage["kind"], outage["tags"], outage["from_seq"]) == ("missed", None, None)
    (offline,) = ear.readings("cnc", "b", why="offline")
    (back,) = ear.readings("cnc", "b", why="recovered")
    assert outage["from_ts"] <= offline.ts <= back.ts
    assert outage["from_ts"] < outage["to_ts"]
    assert (offline.value, back.value) == (None, 3)
    await hall.stop(plant)


async def test_types_and_times_reach_the_consumer_as_they_are(running: Running, hall: Hall) -> None:
    """A structure as an object, an enumeration with its text, a clock that is wrong beside the time of arrival."""
    plant = await hall.plant()
    ahead = dt.datetime(2090, 1, 1, tzinfo=dt.UTC)
    untyped: Any = ua
    await plant.do(plant.add("range", untyped.Range(1.0, 2.0)))
    await plant.do(plant.add("early", 1))
    await plant.do(plant.put("early", said(7, at=ahead)))
    device = opcua(plant.url, "range", "early")
    device["tags"]["state"] = {"node": "i=2259"}
    device["tags"]["way"] = {"path": "Objects/0:Server/0:ServerStatus/0:State"}
    async with running({"cnc": device}) as (_, ear):
        await ear.good("cnc", list(device["tags"]))
        newest = {name: ear.newest("cnc", name) for name in device["tags"]}
    assert newest["range"].value == {"Low": 1.0, "High": 2.0}
    assert (newest["state"].value, newest["state"].label) == (0, "Running")
    assert (newest["way"].value, newest["way"].label) == (0, "Running")
    early = newest["early"]
    assert (early.value, early.src) == (7, int(ahead.timestamp() * 1000))
    assert early.ts < early.src
    await hall.stop(plant)
