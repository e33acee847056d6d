"""The database is away: nothing is acknowledged, memory is bounded, and what the broker could not keep is repaired."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.faults.historian.test_repair import FORGETFUL
from tests.faults.historian.test_stored import all_stored
from tests.support.consumer import consuming
from tests.support.load import caught_up
from tests.support.mqtt import observing
from tests.support.ports import free_port
from tests.support.waiting import eventually


async def test_what_came_while_the_database_was_away_is_there_afterwards(
    start_mosquitto, start_load, make_agent, make_historian, start_postgres
):
    """Behind a broker that keeps little. /readyz tells why; a stop meanwhile is in order."""
    broker, cluster = start_mosquitto(FORGETFUL), start_postgres()
    load = await start_load(1, tags=5, interval_ms=50)
    agent = make_agent(load, broker.port, outbox={"keep_acked": {"age": "10m"}}, replay={"max_rate": "1000/s"})
    historian = make_historian(broker.url, database=cluster.database().url)
    async with consuming(broker.url) as consumer:
        await historian.start()
        await agent.start()
        await consumer.heard(5, "dev-1")
        cluster.kill()
        await consumer.heard(60, "dev-1")
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"http://127.0.0.1:{historian.port}/readyz")
            assert (await client.get(f"http://127.0.0.1:{historian.port}/healthz")).status_code == 200
        assert answer.status_code == 503
        assert answer.json()["reason"].startswith("database: postgresql://edge@127.0.0.1")
        assert await historian.stop() == 0
        await historian.start(ready=False)
        await consumer.heard(5, "dev-1")
        cluster.start()
        await eventually(historian._is_ready, what="it is ready")
        await eventually(lambda: historian.events("historian.repaired"), what="it has asked, and nothing is missing")
        await caught_up(agent)
        assert await agent.stop() == 0
        await consumer.complete()
        await all_stored(historian, consumer)
    assert len(historian.events("historian.database_offline")) <= 6
    assert historian.events("component.bug") == []


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_a_flood_while_the_database_is_away_waits_outside(mosquitto, make_historian, version):
    """60 MB for a database that is not there: a few messages of 1 MB wait in the process, the rest outside of it."""
    away = f"postgresql://edge@127.0.0.1:{free_port()}/x"
    historian = make_historian(mosquitto.url, database=away, source={"version": version})
    await historian.start(ready=False)
    await eventually(lambda: historian.events("historian.source_online"), what="it listens")
    record = {"schema": "edge.readings.v1", "agent": "gw", "device": "d", "epoch": "E", "low": 1, "ts": 1, "cat": 1,
              "readings": [{"tag": "t", "value": "x" * 1_000_000, "ts": 1, "quality": "good"}]}  # fmt: skip
    async with observing(mosquitto.port, "nothing/#") as observer:
        for seq in range(1, 61):
            await observer.publish("edge/d/readings", json.dumps(record | {"seq": seq}).encode())
    status = await historian.status()
    assert status["database"]["state"] == "offline"
    assert 0 < status["historian"]["waiting"] <= 6
    assert await historian.stop() == 0
    # started anew it listens at once, though what the broker kept for it comes before the answer to its subscription
    await historian.start(ready=False)
    await eventually(lambda: len(historian.events("historian.source_online")) == 2, what="it listens again")
    assert await historian.stop() == 0
    assert historian.events("historian.source_offline") == []
