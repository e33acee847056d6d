"""A server that calls and goes away: what the consumer at the broker sees."""

from __future__ import annotations

from tests.faults.southbound.conftest import Running, opcua
from tests.integration.opcua.server import Hall, said
from tests.support.opcua_dialler import calling
from tests.support.ports import free_port
from tests.support.waiting import eventually


async def test_a_server_that_calls_again_is_read_on(running: Running, hall: Hall) -> None:
    """Offline while it does not call; then its values are restated, and what was missed is a declared gap."""
    plant = await hall.plant()
    for name in ("a", "b"):
        await plant.do(plant.add(name, 1))
    port = free_port()
    device = opcua(plant.url, "a", "b", reverse={"listen": f"127.0.0.1:{port}", "server_uri": "urn:cnc"})
    del device["url"]
    async with (
        calling(port, plant.url, "urn:cnc") as dialler,
        calling(port, plant.url, "urn:stranger"),
        running({"cnc": device}) as (agent, ear),
    ):
        await ear.good("cnc", ["a", "b"])
        await dialler.hush()
        await ear.hears("cnc", "offline")
        await plant.do(plant.put("b", said(2), said(3)))
        dialler.resume()
        await ear.why("cnc", "recovered", ["a", "b"])
        await eventually(lambda: ear.gaps, what="the outage is declared")
        refusals = agent.events("opcua.call_refused")
    (outage,) = ear.gaps
    assert (outage["kind"], outage["device"], outage["tags"]) == ("missed", "cnc", None)
    (offline,) = ear.readings("cnc", "b", why="offline")
    (back,) = ear.readings("cnc", "b", why="recovered")
    assert (offline.quality, offline.value, back.quality, back.value) == ("bad", None, "good", 3)
    assert outage["from_ts"] <= offline.ts <= back.ts
    assert [(one["server"], one["reason"]) for one in refusals] == [("urn:stranger", "no device expects it")]
    await hall.stop(plant)
