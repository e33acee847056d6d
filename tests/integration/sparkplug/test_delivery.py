"""Store and forward with Sparkplug: nothing is lost, what is late is history, what is proven is deleted in time."""

from __future__ import annotations

from typing import Any

import pytest

from agent.consumer.sparkplug.wire import Metric, Payload, decode
from agent.core.clock import SystemClock
from agent.core.image import TagInfo
from tests.integration.sparkplug.conftest import MakePlant
from tests.integration.sparkplug.story import NCMD, REBIRTH
from tests.support.mosquitto import Mosquitto, StartMosquitto
from tests.support.mqtt import Observer, observing
from tests.support.sparkplug_tap import Tap
from tests.support.sparkplug_wire import WireMonitor
from tests.support.waiting import eventually

TAG = (TagInfo("a", "int32", "bar"),)


def said(observer: Observer, kind: str) -> list[Payload]:
    return [decode(one.payload) for one in list(observer.seen) if f"/{kind}/" in one.topic]


def values(observer: Observer, *, historical: bool) -> list[Any]:
    """What DDATA said of tag a, in order of arrival."""
    metrics: list[Metric] = [metric for payload in said(observer, "DDATA") for metric in payload.metrics]
    return [metric.signed(3) for metric in metrics if metric.is_historical is historical]


@pytest.fixture(params=["strict", "qos1"])
def delivery(request: pytest.FixtureRequest) -> str:
    mode: str = request.param
    return mode


async def test_an_outage_becomes_history_after_the_births(
    make_plant: MakePlant, start_mosquitto: StartMosquitto, delivery: str
):
    """What was read while the broker was away follows the births, in order, flagged, with its own times."""
    broker = start_mosquitto()
    plant = make_plant(broker.url, delivery=delivery)
    plant.add("press", TAG)
    async with plant.running():
        async with observing(broker.port, "spBv1.0/#") as host:
            plant.read("press", a=0)
            await eventually(lambda: 0 in values(host, historical=False) + values(host, historical=True))
        broker.kill()
        await eventually(lambda: plant.route.state == "offline")
        stamps = [plant.clock.now_ms() + n for n in range(1, 51)]
        for number, ts in enumerate(stamps, 1):
            plant.read("press", a=number, ts=ts)
        broker.start()
        async with observing(broker.port, "spBv1.0/#") as host:
            await eventually(lambda: 50 in values(host, historical=True))
            kinds = [one.topic.split("/")[2] for one in host.seen]
            assert kinds[:2] == ["NBIRTH", "DBIRTH"]
            late = [value for value in values(host, historical=True) if value]
            assert late == list(range(1, 51))
            metrics = [m for p in said(host, "DDATA") for m in p.metrics if m.is_historical and m.value]
            assert [metric.timestamp for metric in metrics] == stamps
            assert said(host, "DBIRTH")[0].metric("a").value == 50


async def test_qos1_deletes_with_the_puback(make_plant: MakePlant, mosquitto: Mosquitto):
    """The deviation: data goes at QoS 1 and is done when the broker has acknowledged it."""
    plant = make_plant(mosquitto.url, delivery="qos1")
    plant.add("press", TAG)
    async with observing(mosquitto.port, "spBv1.0/#") as host, plant.running():
        await plant.settled()
        plant.read("press", a=1)
        await eventually(lambda: values(host, historical=False) == [1])
        await eventually(lambda: plant.outbox.stats.records == 0)
        assert {one.qos for one in host.seen} == {1}


async def test_strict_keeps_what_it_sent_for_two_keep_alives(make_plant: MakePlant, mosquitto: Mosquitto):
    """QoS 0 and no acknowledgement: a record stays for two keep-alives after its proof, and a drain ends that."""
    plant = make_plant(mosquitto.url, mqtt={"keep_alive": "1s"})
    plant.add("press", TAG)
    async with observing(mosquitto.port, "spBv1.0/#") as host, plant.running():
        await plant.settled()
        before = plant.clock.monotonic()
        plant.read("press", a=1)
        await eventually(lambda: values(host, historical=False) == [1])
        assert plant.outbox.stats.records == 1
        await eventually(lambda: plant.outbox.stats.records == 0)
        assert plant.clock.monotonic() - before >= 2.0
        plant.read("press", a=2)
        await eventually(lambda: values(host, historical=False) == [1, 2])
        await plant.route.drain()
        assert plant.outbox.stats.records == 0


async def test_strict_says_again_what_was_never_proven(make_plant: MakePlant, mosquitto: Mosquitto):
    """A link that is dead looks alive: what went into it comes again as history, once the session is another one."""
    monitor = WireMonitor(SystemClock().now_ms)
    plant_tap = Tap(mosquitto.port, monitor)
    async with plant_tap.open() as tap, observing(mosquitto.port, "spBv1.0/#") as host:
        plant = make_plant(tap.url, mqtt={"keep_alive": "1s"})
        plant.add("press", TAG)
        async with plant.running():
            await plant.settled()
            tap.freeze()
            for number in (1, 2, 3):
                plant.read("press", a=number)
            await eventually(lambda: plant.route.state == "offline")
            assert values(host, historical=False) == []
            tap.cut()
            tap.thaw()
            await eventually(lambda: values(host, historical=True) == [1, 2, 3])
    assert monitor.ledger.ok, monitor.ledger.violations()


async def test_a_restart_goes_on_where_it_stopped(make_plant: MakePlant, mosquitto: Mosquitto):
    """The number bdSeq grows over restarts; what was left on disk is history; aliases and types are said anew."""
    async with observing(mosquitto.port, "spBv1.0/#") as host:
        for _ in range(3):
            plant = make_plant(mosquitto.url)
            plant.add("press", TAG)
            async with plant.running():
                await plant.settled()
        await eventually(lambda: len(said(host, "NBIRTH")) == 3)
        births = said(host, "NBIRTH")
        assert [birth.metric("bdSeq").value for birth in births] == [0, 1, 2]
        assert [birth.seq for birth in births] == [0, 0, 0]


async def test_a_number_is_used_per_connect_packet(make_plant: MakePlant, start_mosquitto: StartMosquitto):
    """Attempts that reach nobody burn no bdSeq; it starts at 0."""
    broker = start_mosquitto()
    broker.stop()
    plant = make_plant(broker.url)
    plant.add("press", TAG)
    async with plant.running():
        await eventually(lambda: plant.route.reason and "cannot connect" in plant.route.reason)
        broker.start()
        async with observing(broker.port, "spBv1.0/#") as host:
            await host.publish(NCMD, REBIRTH)
            await eventually(lambda: plant.route.state == "online")
            await host.publish(NCMD, REBIRTH)
            await eventually(lambda: said(host, "NBIRTH"))
            assert said(host, "NBIRTH")[-1].metric("bdSeq").value == 0


async def test_many_rebirth_requests_get_few_births(make_plant: MakePlant, mosquitto: Mosquitto):
    """The first is answered at once, those that come while births rest are merged into one more."""
    plant = make_plant(mosquitto.url)
    plant.add("press", TAG)
    async with observing(mosquitto.port, "spBv1.0/#") as host, plant.running():
        await plant.settled()
        await eventually(lambda: said(host, "NBIRTH"))
        for _ in range(20):
            await host.publish(NCMD, REBIRTH)
        await eventually(lambda: len(said(host, "NBIRTH")) == 2)
        plant.read("press", a=1)
        await eventually(lambda: 1 in values(host, historical=False))
        births = said(host, "NBIRTH")
        assert len(births) <= 3
        aliases = [[metric.alias for metric in birth.metrics] for birth in said(host, "DBIRTH")]
        assert all(one == aliases[0] for one in aliases)
        assert said(host, "NDEATH") == []


async def test_without_aliases_data_names_its_metrics(make_plant: MakePlant, mosquitto: Mosquitto):
    """For hosts that do not know aliases: names in data, no alias anywhere."""
    monitor = WireMonitor(SystemClock().now_ms)
    async with Tap(mosquitto.port, monitor).open() as tap, observing(mosquitto.port, "spBv1.0/#") as host:
        plant = make_plant(tap.url, aliases=False)
        plant.add("press", TAG)
        async with plant.running():
            await plant.settled()
            plant.read("press", a=5)
            plant.gap("press")
            await eventually(lambda: said(host, "NDATA"))
            assert said(host, "DDATA")[-1].metric("a").value == 5
            assert all(m.alias is None for one in host.seen for m in decode(one.payload).metrics)
    assert monitor.ledger.ok, monitor.ledger.violations()
