"""What a broker has acknowledged and lost: asked for, and sent again or declared."""

from __future__ import annotations

import pytest

from tests.faults.historian.test_stored import all_stored
from tests.support.consumer import consuming
from tests.support.load import caught_up, route_of
from tests.support.waiting import eventually

#: A broker that keeps ten messages for who is away; who listens is never behind.
FORGETFUL = "max_queued_messages 10\nmax_inflight_messages 1000"
#: What a broker keeps, and how many records each device says meanwhile: mosquitto's default takes a minute.
QUEUES = [(10, 60), pytest.param(1000, 1500, marks=[pytest.mark.soak, pytest.mark.timeout(600)])]


@pytest.mark.parametrize(("keeps", "away"), QUEUES)
async def test_away_behind_a_broker_that_keeps_little_it_is_complete_by_repair_alone(
    start_mosquitto, start_load, make_agent, make_historian, keeps, away
):
    """Live data first; what the broker threw away comes from the agent, and nothing else is asked of anybody."""
    broker = start_mosquitto(FORGETFUL.replace("10", str(keeps), 1))
    load = await start_load(2, tags=5, interval_ms=50)
    keep = {"keep_acked": {"age": "10m"}}
    agent = make_agent(load, broker.port, outbox=keep, replay={"max_rate": "1000/s"})
    historian = make_historian(broker.url)
    async with consuming(broker.url) as consumer:
        await historian.start()
        await agent.start()
        await consumer.heard(5, *load.devices)
        assert await historian.stop() == 0
        await consumer.heard(away, *load.devices, timeout=300)
        before = len(consumer.fresh)
        await historian.start()
        await eventually(
            lambda: any(
                key in historian.stored() for key in [(s.device, s.epoch, s.seq) for s in consumer.fresh[before:]]
            ),
            what="live data is there",
        )
        await eventually(lambda: "historian.asked" in historian.log_text, what="it asks")
        await eventually(lambda: historian.missing() == [] and "historian.repaired" in historian.log_text, 120)
        await caught_up(agent)
        assert await agent.stop() == 0
        await consumer.complete()
        await all_stored(historian, consumer)
        repaired = [line for line in (await historian.metrics()).splitlines() if "historian_repaired_total " in line][
            -1
        ]
        assert float(repaired.split()[-1]) > 2 * away - keeps - 60
    assert historian.sql("SELECT count(*) FROM gap WHERE kind = 'lost'") == [(0,)]


@pytest.mark.parametrize(("keeps", "away"), [(10, 150), QUEUES[1]])
async def test_what_is_not_kept_is_declared_exactly(
    start_mosquitto, start_load, make_agent, make_historian, keeps, away
):
    """With `keep_acked` too small: every number is received or declared lost, and none of them is both for nothing."""
    broker = start_mosquitto(FORGETFUL.replace("10", str(keeps), 1))
    load = await start_load(1, tags=20, interval_ms=50)
    keep = {"keep_acked": {"age": "10m", "max_bytes": "4KiB"}}
    agent = make_agent(load, broker.port, outbox=keep, replay={"max_rate": "1000/s"})
    historian = make_historian(broker.url)
    async with consuming(broker.url) as consumer:
        await historian.start()
        await agent.start()
        await consumer.heard(5, "dev-1")
        assert await historian.stop() == 0
        await consumer.heard(away, "dev-1", timeout=300)
        await historian.start()
        await eventually(lambda: historian.sql("SELECT count(*) FROM gap WHERE kind = 'lost'")[0][0], what="declared")
        await eventually(lambda: historian.missing() == [], what="nothing is missing")
        await caught_up(agent)
        assert await agent.stop() == 0
        await consumer.complete()
        heard = {said.seq: said.values for said in consumer.fresh}

        def accounted():
            ours = {seq: values for (_, _, seq), values in historian.stored().items()}
            lost = set()
            for first, last in historian.sql("SELECT from_seq, to_seq FROM gap WHERE kind = 'lost'"):
                lost |= set(range(first, last + 1))
            assert ours.keys() | lost == heard.keys()
            assert lost - ours.keys() == heard.keys() - ours.keys()
            assert all(heard[seq] == values for seq, values in ours.items())
            return bool(lost)

        await eventually(accounted, what="each number is here or declared")


@pytest.mark.soak  # the second request is made half a minute after the first one
@pytest.mark.timeout(400)
async def test_a_declaration_that_the_broker_lost_comes_once_more(
    start_mosquitto, start_load, make_agent, make_historian
):
    """An outbox was full, and its gap went to a broker that had forgotten us: what is lost is declared, exactly."""
    broker = start_mosquitto(FORGETFUL)
    load = await start_load(1, tags=20, interval_ms=50)
    small = {"max_bytes": "24KiB", "keep_acked": {"age": "10m"}}
    agent = make_agent(load, broker.port, outbox=small, replay={"max_rate": "1000/s"})
    historian = make_historian(broker.url)
    await historian.start()
    await agent.start()
    await eventually(lambda: len(historian.stored()) > 5, what="it stores")
    assert await historian.stop() == 0
    broker.kill()

    async def gave_up():
        return (await route_of(agent))["lost"]["records"] > 20

    await eventually(gave_up, what="the outbox is full")
    broker.start()
    await caught_up(agent)
    await load.goes_on(1)
    await historian.start()
    await eventually(lambda: historian.events("historian.asked"), what="it asks")
    repaired = len(historian.events("historian.repaired"))
    await eventually(lambda: len(historian.events("historian.repaired")) > repaired, 200, "nothing is missing any more")
    dropped = (await route_of(agent))["lost"]["records"]
    assert await agent.stop() == 0

    def accounted():
        assert historian.missing() == []
        stored = {seq for _, _, seq in historian.stored()}
        gaps = historian.sql("SELECT kind, from_seq, to_seq FROM gap WHERE kind <> 'down'")
        lost = {seq for kind, first, last in gaps for seq in range(first, last + 1)}
        assert {kind for kind, *_ in gaps} == {"lost"}
        assert stored | lost == set(range(1, max(stored) + 1))
        assert not stored & lost
        return len(lost) == dropped

    await eventually(accounted, what="each number is here or declared")
