from __future__ import annotations

import asyncio
import sys

from agent.core.image import TagInfo
from tests.integration.sparkplug.conftest import MakePlant
from tests.integration.sparkplug.story import NCMD, REBIRTH, command
from tests.support.mosquitto import Mosquitto
from tests.support.mqtt import observing
from tests.support.waiting import eventually

VERIFY = (sys.executable, "-m", "agent", "verify", "--sparkplug")


async def test_a_right_node_passes_and_a_wrong_one_is_named(make_plant: MakePlant, mosquitto: Mosquitto):
    """The command knows nothing of us but what the broker delivers, and names the ids another node violates."""
    plant = make_plant(mosquitto.url)
    plant.add("press", (TagInfo("a", "int32"),))
    async with observing(mosquitto.port, "spBv1.0/#") as host, plant.running():
        await plant.settled()
        right = await asyncio.create_subprocess_exec(
            *VERIFY, "--url", mosquitto.url, "--seconds", "3", stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert right.stderr is not None
        assert b"listening" in await asyncio.wait_for(right.stderr.readline(), 20)
        await host.publish(NCMD, REBIRTH)
        await eventually(lambda: sum("/NBIRTH/" in one.topic for one in host.seen) >= 2)
        plant.read("press", a=1)
        said, _ = await asyncio.wait_for(right.communicate(), 20)
        assert right.returncode == 0, said
        assert b"0 violated" in said
        wrong = await asyncio.create_subprocess_exec(
            *VERIFY, "--url", mosquitto.url, "--seconds", "2", stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert wrong.stderr is not None
        await asyncio.wait_for(wrong.stderr.readline(), 20)
        await host.publish("spBv1.0/plant/NBIRTH/other", command({"name": "x", "int_value": 1}, seq=3))
        said, _ = await asyncio.wait_for(wrong.communicate(), 20)
        assert wrong.returncode == 1
        for statement in ("topics-nbirth-seq-num", "topics-nbirth-bdseq-included", "payloads-metric-datatype-req"):
            assert f"tck-id-{statement}:".encode() in said
