"""Somebody else answers: a redundant server, or the same one with another certificate. And events across an outage."""

from __future__ import annotations

import json
import time
from pathlib import Path

from asyncua import ua

from tests.faults.opcua.story import heard_truly, outages
from tests.faults.southbound.conftest import Running
from tests.integration.opcua.server import URN, Hall, Plant, node_id, said
from tests.integration.opcua_security.fort import Fort, trusting
from tests.support.agent import AgentProcess
from tests.support.opcua_counter import Counting
from tests.support.opcua_pki import make_pair
from tests.support.processes import agent_command, run_process
from tests.support.waiting import eventually

TAGS = {"a": 1, "b": 2}
COUNTED = {tag: {"node": f"nsu={URN};s={tag}", "queue_size": 1000} for tag in TAGS}
BASE = {"type": "opcua", "interval": "100ms", "timeout": "2s", "tags": COUNTED}


async def level(plant: Plant, value: int) -> None:
    await plant.do(plant.server.write_attribute_value(node_id("i=2267"), said(value, kind=ua.VariantType.Byte)))


async def test_redundant_servers_take_over_from_each_other(brisk: Running, hall: Hall) -> None:
    """One says it is not well, then the other is gone: the same tags from the next, each change heard or in a gap."""
    first, second = await hall.plant(), await hall.plant(["urn:other", URN])
    for plant in (first, second):
        await level(plant, 255)
    counting = Counting([first, second])
    await counting.add(*TAGS)
    counting.start()
    async with brisk({"cnc": BASE | {"urls": [first.url, second.url]}}) as (agent, ear):
        await ear.good("cnc", TAGS)
        await ear.goes_on("cnc", "a", 10)
        assert (first.sessions(), second.sessions()) == (1, 0)
        await level(first, 1)
        await eventually(lambda: (first.sessions(), second.sessions()) == (0, 1), what="the second has taken over")
        await ear.goes_on("cnc", "a", 10)
        await level(first, 255)
        await second.do(second.close_listener())
        await eventually(lambda: first.sessions() == 1, what="the first is back")
        await eventually(lambda: len(ear.readings("cnc", "b", why="recovered")) >= 2)
        await ear.goes_on("cnc", "a", 10)
        assert agent.events("opcua.failover")
    assert first.sessions() == 0
    unwell, gone = outages(ear, "cnc", list(TAGS))[:2]
    assert "service level is 1" in unwell.reason
    assert gone.reason
    assert "service level" not in gone.reason
    heard_truly(ear, "cnc", TAGS, counting.diary)
    counting.stop()


async def test_another_certificate_is_refused_until_somebody_trusts_it(
    brisk: Running, hall: Hall, tmp_path: Path
) -> None:
    """The server has a new one: nothing is told to it or taken from it; trusted, it is read, and the gap declared."""
    old, new = make_pair(tmp_path / "papers", "old"), make_pair(tmp_path / "papers", "new")
    trusting(tmp_path / "data", old)
    server = await Fort.build(hall, old)
    port = int(server.url.rsplit(":", 1)[1])
    device = BASE | {"url": server.url, "tags": {"b": COUNTED["b"]}, "security": {"policy": "Basic256Sha256"}}
    counting = Counting([server.plant])
    await counting.add("b")
    counting.start()
    async with brisk({"cnc": device}) as (agent, ear):
        await ear.good("cnc", ["b"])
        await ear.goes_on("cnc", "b", 10)
        counting.stop()
        await server.stop()
        server = await Fort.build(hall, new, port=port)
        again = Counting([server.plant])
        await again.add("b")
        again.start()
        await eventually(lambda: new.thumbprint in str(ear.state("cnc")["reason"]), what="it is refused")
        assert server.plant.sessions() == 0
        trust(agent, new.thumbprint)
        await ear.why("cnc", "recovered", ["b"])
        await ear.goes_on("cnc", "b", 10)
        assert len(agent.events("opcua.certificate_rejected")) == 1
    assert server.plant.sessions() == 0
    assert outages(ear, "cnc", ["b"])
    heard_truly(ear, "cnc", {"b": 1}, counting.diary | again.diary)
    again.stop()


def trust(agent: AgentProcess, thumbprint: str) -> None:
    """As a person does it, beside the running agent."""
    done = run_process(*agent_command("trust", "-c", str(agent.config), thumbprint))
    assert done.returncode == 0, done.stderr


async def test_an_event_is_heard_once_or_lies_in_a_gap(brisk: Running, hall: Hall) -> None:
    """Before, during and after an outage: those of the outage are declared missing, none comes twice."""
    plant = await hall.plant()
    happened: dict[str, int] = {}

    async def happen(message: str) -> None:
        async def trigger() -> None:
            generator = await plant.server.get_event_generator()
            happened[message] = time.time_ns() // 1_000_000
            await generator.trigger(message=message)

        await plant.do(trigger())

    device = BASE | {"url": plant.url, "tags": {}, "events": {"alarms": {"node": "i=2253"}}}
    async with brisk({"cnc": device}) as (_, ear):
        await ear.good("cnc", ["alarms"])
        for message in ("one", "two"):
            await happen(message)
        await eventually(lambda: len(ear.readings("cnc", "alarms", why=None)) == 2)
        await plant.do(plant.close_listener())
        await ear.why("cnc", "offline", ["alarms"])
        await happen("missed")
        await plant.do(plant.open_listener())
        await ear.why("cnc", "recovered", ["alarms"])
        await happen("three")
        await eventually(lambda: ear.newest("cnc", "alarms").value.get("message") == "three")
    (outage,) = outages(ear, "cnc", ["alarms"])
    assert outage.gap is not None
    assert outage.gap["from_ts"] <= happened["missed"] <= outage.gap["to_ts"]
    heard = [one for one in ear.readings("cnc", "alarms", quality="good") if one.value]
    assert [one.value["message"] for one in heard] == ["one", "two", "three"]
    assert len({one.value["id"] for one in heard}) == 3
    assert all(abs(one.ts - happened[one.value["message"]]) <= 1000 for one in heard), json.dumps(happened)
