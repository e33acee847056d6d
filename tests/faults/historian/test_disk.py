"""The disk of an SQLite database is full, turns read-only, or answers no more."""

from __future__ import annotations

import errno
import json
import os

import httpx
import pytest

from tests.support.historian import NOW
from tests.support.mqtt import observing
from tests.support.refusing import RefusingDisk
from tests.support.waiting import eventually

RECORD = {"schema": "edge.readings.v1", "agent": "gw", "device": "d", "epoch": "E", "low": 1, "ts": NOW, "cat": 1,
          "readings": [{"tag": "t", "value": 7, "ts": NOW, "quality": "good"}]}  # fmt: skip


@pytest.fixture
def disk(tmp_path, monkeypatch):
    """Below the database of the historian the test starts, and of nothing else."""
    one = RefusingDisk(tmp_path, tmp_path / "hist-01" / "data" / "plant.db")
    for name, value in one.environment.items():
        monkeypatch.setenv(name, value)
    return one


async def publish(port, *numbers):
    async with observing(port, "nothing/#") as observer:
        for seq in numbers:
            await observer.publish("edge/d/readings", json.dumps(RECORD | {"seq": seq}).encode())


def numbers(historian):
    return [seq for (seq,) in historian.sql("SELECT seq FROM reading ORDER BY seq")]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
async def test_what_the_disk_refuses_waits_at_the_broker(mosquitto, disk, make_historian, number):
    """/readyz and the log say why; when there is room again, all of it is stored, once."""
    historian = make_historian(mosquitto.url)
    await historian.start()
    await publish(mosquitto.port, 1, 2)
    await eventually(lambda: numbers(historian) == [1, 2], what="it stores")
    disk.refuse(number)
    await publish(mosquitto.port, 3, 4)
    await eventually(lambda: historian.events("historian.database_offline"), what="it says that it cannot")
    await eventually(lambda: _told(historian, os.strerror(number)), what="/readyz says why")
    disk.accept()
    await eventually(lambda: numbers(historian) == [1, 2, 3, 4], what="all of it is there")
    await eventually(historian._is_ready, what="it is ready")
    assert historian.events("component.bug") == []
    assert await historian.stop() == 0


async def test_a_disk_that_hangs_does_not_keep_the_historian_from_ending(mosquitto, disk, make_historian):
    """Exit 1 within the time and a word in the log; what was not committed comes again, and stands once."""
    historian = make_historian(mosquitto.url)
    await historian.start()
    await publish(mosquitto.port, 1)
    await eventually(lambda: numbers(historian) == [1], what="it stores")
    disk.hang()
    await publish(mosquitto.port, 2, 3)
    await eventually(lambda: _waits(historian), what="it waits for its disk")
    assert await historian.stop() == 1
    assert historian.events("component.stop_slow")
    assert historian.events("historian.database_left")
    disk.accept()
    await historian.start()
    await eventually(lambda: numbers(historian) == [1, 2, 3], what="each stands once")
    assert await historian.stop() == 0


async def _told(historian, why):
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"http://127.0.0.1:{historian.port}/readyz")
    return answer.status_code == 503 and why in answer.json()["reason"]


async def _waits(historian):
    return "edge_agent_historian_waiting_messages 0.0" not in await historian.metrics()
