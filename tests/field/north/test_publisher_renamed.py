"""A publisher gets another name while its backlog waits: nobody is told that it is lost, and it is not."""

from __future__ import annotations

import asyncio

from tests.support.consumer import consuming
from tests.support.load import SCAN, caught_up, offline
from tests.support.ports import free_port
from tests.support.processes import agent_command, run_process


async def edge_agent(*arguments):
    """A command, with the configuration as it is."""
    return await asyncio.to_thread(run_process, *agent_command(*arguments))


def renamed(agent, port, **keys):
    """The configuration with `main` in place of `plant`, at a broker that is there."""
    (plant,) = agent.document["publishers"].values()
    url = f"mqtt://127.0.0.1:{port}"
    agent.configure(agent.document | {"publishers": {"main": plant | {"url": url} | keys}})


async def test_the_backlog_of_a_former_name_is_kept_named_and_sent_on(mosquitto, start_load, make_agent):
    """Named at the start and by the commands; with `was` it arrives, under the epoch and numbers it had."""
    load = await start_load(1, tags=3)
    agent = make_agent(load, free_port())
    await agent.start()
    await load.goes_on(2)
    await offline(agent)
    assert await agent.stop() == 0
    listing = (await edge_agent("outbox", "-c", str(agent.config))).stdout
    backlog = int(listing.split("; ")[1].split()[0])
    assert backlog > 10

    async with consuming(mosquitto.url) as consumer:
        renamed(agent, mosquitto.port)
        await agent.start()
        await consumer.heard(5, "dev-1")
        (orphan,) = agent.events("outbox.orphaned")
        assert (orphan["level"], orphan["publisher"], orphan["records"]) == ("warning", "plant", backlog)
        shown = await edge_agent("outbox", "-c", str(agent.config))
        assert "plant (no publisher has this name; `was: plant` under its successor sends it): " in shown.stdout
        assert f"{backlog} records waiting" in shown.stdout
        checked = await edge_agent("check", "-c", str(agent.config))
        assert "plant.sqlite belongs to no publisher any more" in checked.stderr
        assert f"and {backlog} records will not be sent" in checked.stderr
        assert await agent.stop() == 0
        assert [gap["kind"] for gap in consumer.gaps] == []
        assert len(consumer.epochs) == 1

        renamed(agent, mosquitto.port, was="plant")
        refused = await edge_agent("check", "-c", str(agent.config))
        assert refused.returncode == 2
        assert "`publishers.main.was`: there is an outbox under the old name, plant, and" in refused.stderr

        (agent.data_dir / "outbox" / "main.sqlite").unlink()
        await agent.start()
        await consumer.heard(3, "dev-1")
        await caught_up(agent, "main")
        assert await agent.stop() == 0
        assert not (agent.data_dir / "outbox" / "plant.sqlite").exists()
        assert len(agent.events("outbox.orphaned")) == 1
        first = min(consumer.epochs)
        sent = [said for said in consumer.of("dev-1") if said.epoch == first]
        assert [said.seq for said in sent] == list(range(1, backlog + 1))
        assert all(said.historical for said in sent)
        scans = [said.values[SCAN] for said in sent if not said.snapshot]
        assert scans == list(range(scans[0], scans[0] + len(scans)))
        assert (first, "down") in {(gap["epoch"], gap["kind"]) for gap in consumer.gaps}
        assert {gap["kind"] for gap in consumer.gaps} == {"down"}
