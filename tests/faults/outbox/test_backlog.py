"""Long backlogs: they start flowing at once, live data flows beside them, and memory stays flat."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys

import psutil
import pytest

from agent.core.clock import SystemClock
from agent.outbox import open_outbox
from agent.settings.outbox import OutboxSettings
from tests.faults.outbox.backlog import batch
from tests.support.load import route_of
from tests.support.processes import ROOT
from tests.support.recorder import Recorder
from tests.support.waiting import eventually

SOAK = os.environ.get("EDGE_SOAK") == "1"
LIMIT = 1800 if SOAK else 200
#: How much memory may grow, MB.
FLAT = 10

log = logging.getLogger(__name__)


@pytest.mark.timeout(LIMIT)
@pytest.mark.parametrize(("records", "readings"), [(1_000_000 if SOAK else 50_000, 1), (8_640, 1_000)])
def test_backlog_beside_live_data(tmp_path, records, readings):
    """All of it comes, in order; no live record waits for it; memory does not grow, neither writing nor delivering."""
    argv = [
        sys.executable,
        "-m",
        "tests.faults.outbox.backlog",
        str(tmp_path / "o.sqlite"),
        str(records),
        str(readings),
    ]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    figures = json.loads(done.stdout)
    log.warning("%s", figures)
    assert figures["backlog"] == records
    assert (figures["disorder"], figures["late"], figures["left"]) == (0, 0, 0)
    assert figures["write_grown_mb"] < FLAT
    assert figures["deliver_grown_mb"] < FLAT


@pytest.mark.timeout(LIMIT)
async def test_agent_replays_a_backlog_beside_live_data(mosquitto, start_load, make_agent):
    """Every record of a long outage reaches the broker, live ones do not wait, the agent's memory stays flat."""
    records = 8_640 if SOAK else 800
    load = await start_load(2, tags=50, interval_ms=100)
    async with Recorder("127.0.0.1", mosquitto.port) as cable:
        agent = make_agent(load, cable.port, replay={"max_rate": "2000/s"}, max_message_bytes="1MiB")
        settings = OutboxSettings.model_validate({"min_free_disk": "0B"})
        before = open_outbox(
            agent.data_dir, name="plant", settings=settings, clock=SystemClock(), max_record_bytes=1 << 20
        )
        async with before.open():
            for number in range(records):
                before.append(batch(number % 8, 1000))
                if number % 20 == 19:
                    await before.flush()
            old = before.streams()[0].epoch
        await agent.start()
        await eventually(lambda: len(cable.acked) > 50)
        process, grown = psutil.Process(agent.pid), []
        first = process.memory_info().rss

        async def done():
            grown.append((process.memory_info().rss - first) / 1e6)
            return (await route_of(agent))["outbox"]["backlog"] == 0

        await eventually(done, LIMIT - 60, "the backlog is delivered")
        assert await agent.stop() == 0
        came = [key for key in cable.acked if key[0] == old]
        assert len(came) == records
        assert len(cable.acked) - records >= 20  # live ones, meanwhile
        assert max(grown) < FLAT
        log.warning("%s records, memory grew by %.1f MB", records, max(grown))
