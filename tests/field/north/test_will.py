"""A broker that closes on a retained will without a word, as MQTT 3.1.1 and 5 allow."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.field.north.plant import Plant, lines, values
from tests.support.mqtt_broker import FakeBroker, Script


@pytest.mark.parametrize("version", ["auto", "5", "3.1.1"])
async def test_a_retained_will_is_given_up_after_three_silent_closes(tmp_path: Path, version: str) -> None:
    """One try without, which is remembered; the consumer has its readings, the operator one line."""
    script = Script(hang_up_on=lambda connect: connect.will_retain)
    async with FakeBroker(script).serve() as broker:
        plant = Plant(tmp_path, broker.url, 1, version=version)
        with capture_logs() as logs:
            async with plant.running():
                plant.read(1)
                await plant.until(lambda: 1 in values(broker, "d0"))
                assert broker.connects[-1].version == ("3.1.1" if version == "3.1.1" else "5")
                assert (broker.connects[-1].will_topic, broker.connects[-1].will_retain) == (
                    "edge/agents/gw/status", False,
                )  # fmt: skip
                tries = len(broker.connects)
                broker.drop()
                plant.read(2)
                await plant.until(lambda: 2 in values(broker, "d0"))
                assert len(broker.connects) == tries + 1
        assert len(lines(logs, "mqtt.will_not_retained")) == 1


@pytest.mark.parametrize(("will", "expected"), [({"retain": False}, False), (None, None)])
async def test_a_will_as_it_is_configured(tmp_path: Path, will: object, expected: bool | None) -> None:
    """`will: {retain: false}` connects at once, and so does none."""
    script = Script(hang_up_on=lambda connect: connect.will_retain)
    async with FakeBroker(script).serve() as broker:
        plant = Plant(tmp_path, broker.url, 1, will=will)
        async with plant.running():
            plant.read(1)
            await plant.until(lambda: 1 in values(broker, "d0"))
            [connect] = broker.connects
            assert (connect.will_topic is None) == (expected is None)
            assert not connect.will_retain
