"""Tags a server is found to have reach the consumer like those that are configured."""

from __future__ import annotations

import json

from tests.faults.southbound.conftest import Running, opcua
from tests.integration.opcua.machines import machine
from tests.integration.opcua.server import URN, Hall, said
from tests.support.waiting import eventually


async def test_found_tags_are_in_the_catalogue_and_go_offline_with_their_device(running: Running, hall: Hall) -> None:
    """No tag configured: all of them found, catalogued, read, lost and recovered."""
    plant = await hall.plant()
    for name in ("a", "b"):
        await plant.do(plant.add(name, 1))
    device = opcua(plant.url) | {"browse": {"exclude": ["Server/*", "*Alias*", "Loc*"], "max_nodes": 20}}
    async with running({"cnc": device}) as (_, ear):
        await ear.good("cnc", ["a", "b"])
        topic = "edge/plant/hall/cnc/tags"
        await eventually(lambda: {"a", "b"} <= names(ear.topics[topic]), what="the catalogue has them")
        await plant.do(plant.put("a", said(2)))
        await eventually(lambda: ear.readings("cnc", "a", value=2))
        await plant.do(plant.close_listener())
        await ear.why("cnc", "offline", ["a", "b"])
        await plant.do(plant.open_listener())
        await ear.why("cnc", "recovered", ["a", "b"])
    await hall.stop(plant)


def names(catalogues: list[bytes]) -> set[str]:
    """Tags of the newest catalogue."""
    return {tag["tag"] for tag in json.loads(catalogues[-1])["tags"]} if catalogues else set()


async def test_what_the_server_says_is_in_the_catalogue(running: Running, hall: Hall) -> None:
    """Unit, description and node id of found tags, the configured keys above them; each reading has its unit."""
    plant = await hall.plant()
    await machine(plant, "m", URN)
    browse = {
        "include": ["m/Spindle/*"],
        "overrides": {"*/Temperature": {"scale": 2, "deadband": 0.5, "interval": "1s"}},
    }
    async with running({"cnc": opcua(plant.url) | {"browse": browse}}) as (agent, ear):
        await ear.good("cnc", ["m/Spindle/Speed", "m/Spindle/Temperature"])
        topic = "edge/plant/hall/cnc/tags"
        await eventually(lambda: len(names(ear.topics[topic])) == 4, what="the catalogue has them")
        tags = {tag["tag"]: tag for tag in json.loads(ear.topics[topic][-1])["tags"]}
        status = await agent.status()
        assert ear.readings("cnc", "m/Spindle/Temperature", value=80.0)[-1].unit == "Cel"
    assert tags["m/Spindle/Speed"]["unit"] == "1/min"
    assert tags["m/Spindle/Speed"]["description"] == "speed of the spindle"
    assert tags["m/Spindle/Speed"]["node"] == f"nsu={URN};s=m.Spindle.Speed"
    assert tags["m/Spindle/Temperature"]["interval"] == 1000
    assert status["devices"]["cnc"]["notes"]["opcua"]["found_nodes"]["m/Spindle/Mode"] == f"nsu={URN};s=m.Spindle.Mode"
    await hall.stop(plant)
