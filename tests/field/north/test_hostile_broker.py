"""A broker that means harm, or a stranger at an honest one: memory, and what is believed."""

from __future__ import annotations

import asyncio
import tracemalloc
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.field.north.plant import Plant, lines, values
from tests.support.mqtt_broker import FakeBroker, Script
from tests.support.mqtt_packets import properties, varint

MEGA = 1 << 20
STATUS = b"edge/agents/gw/status"


def large(size: int, qos: int, version: str) -> tuple[bytes, int]:
    """Head of a PUBLISH on the agent's status topic, and how many bytes of payload follow."""
    head = (
        len(STATUS).to_bytes(2, "big") + STATUS + (b"\x00\x07" if qos else b"") + (b"\x00" if version == "5" else b"")
    )
    return bytes((0x30 | qos << 1,)) + varint(len(head) + size) + head, size


@pytest.mark.parametrize(("version", "qos"), [("5", 0), ("5", 1), ("3.1.1", 1)])
async def test_a_packet_that_is_too_large_is_read_past(tmp_path: Path, version: str, qos: int) -> None:
    """CONNECT announces what we take; a liar's 40 MB are not kept, not decoded, counted, and acknowledged."""
    async with FakeBroker().serve() as broker:
        plant = Plant(tmp_path, broker.url, 1, version=version)
        with capture_logs() as logs:
            async with plant.running():
                plant.read(1)
                await plant.until(lambda: 1 in values(broker, "d0"))
                if version == "5":
                    assert broker.connects[0].properties[0x27] == [256 << 10]
                head, left = large(40 * MEGA, qos, version)
                broker.raw.clear()
                chunk = bytes(MEGA)
                tracemalloc.start()
                before, _ = tracemalloc.get_traced_memory()
                broker.script = Script(hold=True, pong=False)  # nothing may come in between
                broker.send(head)
                transport = broker.links[-1].transport
                assert transport is not None
                while left:
                    broker.send(chunk)
                    left -= MEGA
                    while transport.get_write_buffer_size():
                        await asyncio.sleep(0)
                broker.script = Script()
                for one in list(broker.waiting):
                    broker.ack(one)
                plant.read(2)
                await plant.until(lambda: 2 in values(broker, "d0"))
                await plant.until(lambda: lines(logs, "mqtt.incoming_too_large"))  # reading it takes its time
                _, peak = tracemalloc.get_traced_memory()
                tracemalloc.stop()
                assert peak - before < 4 * MEGA
                [line] = lines(logs, "mqtt.incoming_too_large")
                assert (line["topic"], line["bytes"] > 40 * MEGA) == (STATUS.decode(), True)
                await plant.until(lambda: not qos or b"\x40\x02\x00\x07" in broker.raw)
                assert (b"\x40\x02\x00\x07" in broker.raw) == bool(qos)
        assert len(broker.connects) == 1
        assert plant.route.conflict is None


async def test_a_broker_too_small_for_anything_makes_the_publisher_degraded(tmp_path: Path) -> None:
    """With the reason; no record is accused, and all of them come when the limit is raised."""
    async with FakeBroker(Script(connack_properties=properties(max_packet=20))).serve() as broker:
        plant = Plant(tmp_path, broker.url, 1)
        with capture_logs() as logs:
            async with plant.running():
                for number in range(5):
                    plant.read(number)
                await plant.until(lambda: plant.route.state == "degraded")
                assert "packets of 20 bytes at most, too small for any message" in str(plant.route.reason)
                await plant.clock.advance(200)
                assert not broker.published
                broker.script = Script()
                await plant.until(lambda: {0, 1, 2, 3, 4} <= set(values(broker, "d0")))
                assert plant.route.state == "online"
        assert plant.outbox.stats.quarantined == 0
        assert len(lines(logs, "publisher.offline")) <= 3
