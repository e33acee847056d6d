"""A birth that a broker does not take: its own device waits, the others are heard."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agent.consumer.sparkplug.wire import decode
from agent.encoders.sparkplug import SparkplugConfig
from tests.field.north.plant import Plant, lines
from tests.support.mosquitto import StartMosquitto
from tests.support.mqtt import observing
from tests.support.mqtt_broker import FakeBroker, Publish, Script

DEVICES = ("d0", "d1", "d2")


async def test_a_birth_that_is_too_large_costs_its_device_only(tmp_path: Path, start_mosquitto: StartMosquitto) -> None:
    """Three hang-ups teach the limit; nobody is accused of using our client id."""
    broker = start_mosquitto(config="max_packet_size 20000")
    big = [f"machine/section/some_long_metric_name_{number:04}" for number in range(900)]
    encoder = SparkplugConfig(type="sparkplug_b", group="plant")
    plant = Plant(tmp_path, broker.url, 2, encoder=encoder, tags={"d1": big}, version="3.1.1")
    with capture_logs() as logs:
        async with observing(broker.port, "spBv1.0/#") as consumer, plant.running():
            plant.read(1, "d0")

            def heard() -> list[object]:
                seen = [one for one in consumer.seen if one.topic == "spBv1.0/plant/DDATA/gw/d0"]
                return [metric.value for one in seen for metric in decode(one.payload).metrics]

            await plant.until(lambda: lines(logs, "mqtt.limit_learned"))
            plant.read(7, "d0")
            await plant.until(lambda: 7 in heard())
            births = len([one for one in consumer.seen if "/NBIRTH/" in one.topic])
            for number in range(25):
                plant.read(number, "d0")
                await plant.clock.advance(1.0)
            await plant.until(lambda: 24 in heard())
            assert len([one for one in consumer.seen if "/NBIRTH/" in one.topic]) == births
    assert not lines(logs, "mqtt.taken_over")
    assert "client_id" not in " ".join(str(line.get("reason")) for line in lines(logs, "publisher.offline"))


@pytest.mark.parametrize("guilty", ["d0", "d1", "d2"])
@pytest.mark.parametrize("how", ["close", "0x87"])
async def test_a_birth_that_a_broker_hangs_up_on_costs_its_device_only(tmp_path: Path, how: str, guilty: str) -> None:
    """Three hang-ups, one alone, wherever it stands among the others; its data waits, the others are born and heard.

    Where the broker gives no reason, the births are large: another one of that size is taken, so it is not the size.
    """
    large = how == "close"
    tags = {name: ["a", *(f"machine/section/some_long_name_{number:03}" for number in range(60))] for name in DEVICES}
    others = [name for name in DEVICES if name != guilty]

    def judge(one: Publish) -> None:
        if one.topic == f"spBv1.0/plant/DBIRTH/gw/{guilty}":
            if how == "0x87":
                broker.disconnect(0x87)
            broker.drop_soon()

    def values(device: str) -> list[object]:
        seen = [one for one in broker.published if one.topic == f"spBv1.0/plant/DDATA/gw/{device}"]
        return [metric.value for one in seen for metric in decode(one.payload).metrics]

    encoder = SparkplugConfig(type="sparkplug_b", group="plant")
    async with FakeBroker(Script(heard=judge)).serve() as broker:
        plant = Plant(
            tmp_path, broker.url, 3, encoder=encoder, version="3.1.1" if large else "5", tags=tags if large else None
        )
        with capture_logs() as logs:
            async with plant.running():
                await plant.until(lambda: lines(logs, "publisher.left_out"))
                connects = len(broker.connects)
                assert connects <= 5 + large
                plant.read(7)
                await plant.until(lambda: all(7 in values(name) for name in others))
                for number in range(25):
                    plant.read(number)
                    await plant.clock.advance(1.0)
                await plant.until(lambda: all(24 in values(name) for name in others))
                assert len(broker.connects) <= connects + 1
                assert plant.outbox.stats.records
                assert plant.outbox.stats.quarantined == 0
                broker.script = Script()
        assert [line["topic"] for line in lines(logs, "publisher.left_out")] == [f"spBv1.0/plant/DBIRTH/gw/{guilty}"]
        assert not lines(logs, "publisher.quarantined")
        assert not values(guilty)
