"""From simulated machines into the database: what stands there is what an independent consumer heard."""

from __future__ import annotations

import asyncio
import json

import pytest

from agent.cli.historian import count_lost, screen
from tests.support.consumer import consuming
from tests.support.historian_process import heard_by
from tests.support.load import caught_up
from tests.support.mqtt import observing
from tests.support.processes import agent_command, run_process
from tests.support.waiting import eventually


async def all_stored(historian, consumer):
    """Every reading the consumer heard stands in the database, once, with its value; nothing is missing."""

    def same():
        assert historian.missing() == []
        ours, theirs = historian.stored(), heard_by(consumer)
        assert sorted(theirs.keys() - ours.keys())[:3] == []
        assert ours == theirs
        return True

    await eventually(same, what="the database has what the consumer heard")


@pytest.mark.parametrize("version", ["auto", "3.1.1"])
async def test_every_reading_stands_once_whatever_is_killed(mosquitto, start_load, make_agent, make_historian, version):
    """Historian and agent, kill -9 while data flow; each kind of MQTT. Commands tell how it stands."""
    load = await start_load(3, tags=20)
    agent = make_agent(load, mosquitto.port, outbox={"keep_acked": {"age": "10m"}})
    historian = make_historian(mosquitto.url, source={"version": version})
    async with consuming(mosquitto.url) as consumer:
        await historian.start()
        await agent.start()
        await consumer.heard(10, *load.devices)
        historian.kill()
        await consumer.heard(5, *load.devices)
        await historian.start()
        await consumer.heard(5, *load.devices)
        if version == "auto":
            agent.kill()
            historian.kill()
            await agent.start()
            await historian.start()
            await consumer.heard(10, *load.devices)
        told = await asyncio.to_thread(run_process, *agent_command("status", "-c", str(historian.config), "--json"))
        assert told.returncode == 0, told.stdout
        assert json.loads(told.stdout)["historian"]["state"] == "online"
        metrics = await historian.metrics()
        assert "edge_agent_historian_rows_total" in metrics
        await caught_up(agent)
        assert await agent.stop() == 0
        await consumer.complete()
        await all_stored(historian, consumer)
        assert await historian.stop() == 0
    kinds = historian.sql("SELECT DISTINCT kind FROM gap")
    assert kinds == ([("down",)] if version == "auto" else [])
    assert {name for (name,) in historian.sql("SELECT DISTINCT name FROM current")} == set(
        load.devices["dev-1"]["tags"]
    )
    ((states,),) = historian.sql("SELECT count(DISTINCT session) FROM agent_state WHERE state = 'online'")
    assert states == (2 if version == "auto" else 1)


async def _offline(historian):
    document = await historian.status()
    return document if document["missing"]["offline"] == {"gw": 3} else None


async def test_hostile_payloads_cost_a_counter_each(mosquitto, make_historian, capsys):
    """Huge, nested, wrong types, foreign producers, other encoders: never a row, never the process."""
    historian = make_historian(mosquitto.url, source={"max_incoming_bytes": "64KiB", "version": "3.1.1"})
    await historian.start()
    topic = "edge/plant/press-01/readings"
    good = {"schema": "edge.readings.v1", "agent": "gw", "device": "press-01", "epoch": "E", "seq": 1, "low": 1,
            "ts": 1_790_000_000_000, "cat": 1,
            "readings": [{"tag": "t", "value": 2**63, "ts": 1_790_000_000_000, "quality": "good"}]}  # fmt: skip

    def bad(**change):
        return json.dumps(good | change).encode()

    async with observing(mosquitto.port, "nothing/#") as observer:
        for payload in (
            b"", b"{", b"\xff\xfe", b"[" * 10_000, b"null", bad(seq=-1), bad(seq="1"), bad(low=0), bad(seq=1 << 63),
            bad(ts=1 << 62), bad(agent=""), bad(epoch="a\0b"), bad(part=[3, 2]), bad(part=[1, 1 << 40]),
            bad(readings=[{"tag": "t"}]), bad(readings=[{"tag": "t", "value": 1, "ts": 1 << 62, "quality": "good"}]),
            bad(readings=[{"tag": "t", "value": 1, "ts": 1, "quality": "excellent"}]), b" " * 100_000,
            bad(schema="edge.readings.v2", seq="x"),
        ):  # fmt: skip
            await observer.publish(topic, payload)
        await observer.publish("edge/plant/press-01/gaps", b'{"id": 1}')
        await observer.publish("edge/agents/gw/status", b'{"state": "online", "session": "s", "streams": {"d": 1}}')
        await observer.publish("edge/plant/press-01/oil_temperature", b"61.2")
        await observer.publish("edge/plant/press-01/tags", b'{"version": "x"}')
        await observer.publish(topic, json.dumps(good).encode())
        await eventually(lambda: historian.sql("SELECT text FROM reading") == [(str(2**63),)], what="the good one")
        await observer.publish("edge/agents/gw/status", b'{"state": "online", "session": "s"}')
        await observer.publish(topic, bad(seq=5, low=5))
        await eventually(lambda: historian.missing() == [("press-01", "E", 2, 4, "refused")], what="a hole")
        (told,) = historian.events("historian.no_repair")  # an agent that answers no requests, and what to paste
        assert "keep_acked" in told["line"]
        assert (await historian.status())["missing"] == {"holes": 1, "records": 3, "offline": {}}
        assert await asyncio.to_thread(count_lost, historian.config, "gw") == 1
        assert "gw is online" in capsys.readouterr().err
        await observer.publish("edge/agents/gw/status", b'{"state": "offline", "session": "s"}')
        document = await eventually(lambda: _offline(historian), what="it is known to be offline")
        assert "edge-agent historian --gone gw" in screen(document)
        assert await asyncio.to_thread(count_lost, historian.config, "other") == 1
        assert "nothing is missing of other; records of gw are missing" in capsys.readouterr().err
        assert await asyncio.to_thread(count_lost, historian.config, "gw") == 0
        assert "3 records of gw" in capsys.readouterr().out
        assert await asyncio.to_thread(count_lost, historian.config, "gw") == 1
        assert "nothing is missing of gw, nor of any other agent" in capsys.readouterr().err
        assert historian.missing() == []
        assert historian.sql("SELECT kind, from_seq, to_seq, records FROM gap") == [("lost", 2, 4, 3)]
        await observer.publish(topic, bad(seq=3, low=5))  # and what comes all the same is stored
        await eventually(lambda: len(historian.sql("SELECT 1 FROM reading")) == 3, what="the record that was lost")
    metrics = await historian.metrics()
    assert 'edge_agent_historian_refused_total{reason="undecodable"} 19.0' in metrics
    assert 'edge_agent_historian_refused_total{reason="encoder"} 1.0' in metrics
    assert 'edge_agent_historian_refused_total{reason="too_large"} 1.0' in metrics
    assert "edge_agent_historian_aside_total 1.0" in metrics
    assert historian.sql("SELECT count(*) FROM aside") == [(1,)]
    assert historian.events("component.bug") == []
    (refused,) = [one for one in historian.events("historian.refused") if one["reason"] == "encoder"]
    assert "(epoch, seq)" in refused["detail"]
    assert await historian.stop() == 0
