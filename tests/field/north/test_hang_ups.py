"""A broker that hangs up on what is said around the data: the readings of all devices come, and it is named once."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.field.north.plant import Plant, lines, topics, values
from tests.support.mqtt_broker import FakeBroker, Publish, Script

#: Their catalogue is larger than anything the broker has taken before it.
MANY = ["a", *(f"machine/section/some_long_metric_name_{number:03}" for number in range(60))]


@pytest.mark.parametrize("suffix", ["/tags", "/status", "agents/gw/status", "d1/tags"])
@pytest.mark.parametrize("how", ["close", "0x87"])
async def test_what_a_broker_hangs_up_on_is_left_out(tmp_path: Path, suffix: str, how: str) -> None:
    """Three hang-ups, one alone, and never again; readings flow from the fourth session on. Its size is not accused."""

    def judge(one: Publish) -> int | None:
        if one.topic.endswith(suffix):
            if how == "close":
                broker.drop()
            else:
                broker.disconnect(0x87)
                broker.drop_soon()
            return None
        return 0

    version = "3.1.1" if how == "close" else "5"
    async with FakeBroker(Script(puback=judge)).serve() as broker:
        plant = Plant(tmp_path, broker.url, 3, version=version, tags=dict.fromkeys(("d0", "d1", "d2"), MANY))
        with capture_logs() as logs:
            async with plant.running():
                plant.read(1)
                await plant.until(lambda: all(1 in values(broker, device) for device in plant.devices))
                assert len(broker.connects) == 4
                await plant.until(lambda: lines(logs, "publisher.left_out"))
                want = 2 if suffix in ("/tags", "/status") else 1
                await plant.until(lambda: len(lines(logs, "publisher.left_out")) == want)
                sessions = len(broker.connects)
                plant.read(2)
                await plant.until(lambda: all(2 in values(broker, device) for device in plant.devices))
                for _ in range(120):
                    await plant.clock.advance(1.0)
                assert len(broker.connects) <= sessions + 1  # the one after the last hang-up
                last = [one for one in broker.published if one.link == len(broker.connects) - 1]
                assert not [topic for topic in topics(last) if topic.endswith(suffix)]
        assert plant.outbox.stats.quarantined == 0
        assert not lines(logs, "mqtt.taken_over")
        assert not lines(logs, "mqtt.limit_learned")
        assert not lines(logs, "publisher.quarantined")
        told = [line["topic"] for line in lines(logs, "publisher.left_out")]
        assert told[-1] == (f"#{suffix}" if want == 2 else told[0])


def has_all(plant: Plant, broker: FakeBroker, wanted: set[int]) -> bool:
    return all(wanted <= set(values(broker, device)) for device in plant.devices)


@pytest.mark.parametrize("how", ["close", "0x87", "PUBACK 0x87"])
async def test_a_broker_that_takes_no_gaps_has_all_readings(tmp_path: Path, how: str) -> None:
    """After a restart each device has one to declare: that costs no reading its time, whatever becomes of the gap."""

    def judge(one: Publish) -> int | None:
        if not one.topic.endswith("/gaps"):
            return 0
        if how == "PUBACK 0x87":
            return 0x87
        if how == "0x87":
            broker.disconnect(0x87)
        broker.drop_soon()
        return None

    async with FakeBroker(Script(puback=judge)).serve() as broker:
        for run in range(2):
            plant = Plant(tmp_path, broker.url, 2, version="3.1.1" if how == "close" else "5")
            began = plant.clock.monotonic()
            wanted = set(range(20 * run, 20 * run + 20))
            async with plant.running():
                for value in sorted(wanted):
                    plant.read(value)
                    await plant.until(lambda: True)
                await plant.until(partial(has_all, plant, broker, wanted), stride=0.5)
            assert plant.clock.monotonic() - began < 250  # a device that is parked waits 300 s
        assert any(one.topic.endswith("/gaps") for one in broker.published)
