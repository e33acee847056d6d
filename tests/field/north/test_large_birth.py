"""A birth larger than the broker takes (mosquitto, MQTT 3.1.1): its own device waits, the others are heard."""

from __future__ import annotations

from pathlib import Path

from structlog.testing import capture_logs

from agent.consumer.sparkplug.wire import decode
from agent.encoders.sparkplug import SparkplugConfig
from tests.field.north.plant import Plant, lines
from tests.support.mosquitto import StartMosquitto
from tests.support.mqtt import observing


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
            for number in range(60):
                plant.read(number, "d0")
                await plant.clock.advance(1.0)
            await plant.until(lambda: 59 in heard())
            assert len([one for one in consumer.seen if "/NBIRTH/" in one.topic]) == births
    assert not lines(logs, "mqtt.taken_over")
    assert "client_id" not in " ".join(str(line.get("reason")) for line in lines(logs, "publisher.offline"))
