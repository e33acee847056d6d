"""Kill -9 of the agent at random moments under 5,000 readings a second, while the broker comes and goes.

The judge is the cable: it knows each record the broker has acknowledged. After every kill each number of every stream
is acknowledged, still in the outbox's file, or declared.
"""

from __future__ import annotations

import logging
import os
import random

import pytest

from tests.support.outbox_file import contents
from tests.support.recorder import Recorder

KILLS = int(os.environ.get("EDGE_AGENT_KILLS", "20"))
SEED = int(os.environ.get("EDGE_SEED", "0")) or random.randrange(1, 1 << 32)
WINDOW = 20
#: What a broker may have acknowledged without the file knowing: the window, and half a second of acknowledgements.
AGAIN = WINDOW + 100

log = logging.getLogger(__name__)


def unaccounted(recorder, file):
    """Numbers that are neither acknowledged, nor in the file, nor declared."""
    inside = contents(file)
    declared = set()
    last: dict[tuple[str, str], int] = {stream: number - 1 for stream, number in inside.next.items()}
    for gap in [*recorder.gaps.values(), *({**one} for one in map(_fields, inside.gaps))]:
        stream = (gap["epoch"], gap["device"])
        if gap["kind"] == "down":
            last[stream] = max(last.get(stream, 0), gap["to_seq"] or 0)
        elif gap["from_seq"] and gap["to_seq"]:
            declared |= {(*stream, seq) for seq in range(gap["from_seq"], gap["to_seq"] + 1)}
    for epoch, device, seq in recorder.published:
        last[epoch, device] = max(last.get((epoch, device), 0), seq)
    known = recorder.acked | inside.records.keys() | declared
    return [(*stream, seq) for stream, top in last.items() for seq in range(1, top + 1) if (*stream, seq) not in known]


def _fields(gap):
    return {name: getattr(gap, name) for name in ("kind", "epoch", "device", "from_seq", "to_seq")}


@pytest.mark.timeout(max(240, KILLS * 10))
async def test_agent_killed_under_load(mosquitto, start_load, make_agent):
    """Missing: none, after each kill; no key means two things; what comes twice is bounded."""
    log.warning("EDGE_SEED=%s gives the same plan", SEED)
    chance = random.Random(SEED)
    load = await start_load(4, tags=125, interval_ms=100)
    assert load.rate == 5000
    async with Recorder("127.0.0.1", mosquitto.port) as cable:
        agent = make_agent(load, cable.port, replay={"max_rate": "500/s"}, window=WINDOW)
        file = agent.data_dir / "outbox" / "plant.sqlite"
        for _ in range(KILLS):
            await agent.start(ready=chance.random() < 0.9)
            if chance.random() < 0.4:
                if cable.is_cut:
                    await cable.restore()
                else:
                    await cable.cut()
            elif chance.random() < 0.2:
                mosquitto.kill()
                await load.goes_on(0.2)
                mosquitto.start()
            await load.goes_on(chance.uniform(0.05, 1.0))
            agent.kill()
            assert unaccounted(cable, file) == [], f"seed {SEED}"
        if cable.is_cut:
            await cable.restore()
        await agent.start()
        await load.goes_on(1)
        assert await agent.stop() == 0
        assert unaccounted(cable, file) == [], f"seed {SEED}"
        assert cable.two_faced == [], f"seed {SEED}"
        assert len(cable.acked) > KILLS * 4
        assert cable.duplicates <= KILLS * AGAIN
        log.warning("kills=%s acked=%s duplicates=%s missing=0", KILLS, len(cable.acked), cable.duplicates)


@pytest.mark.timeout(max(240, KILLS * 10))
async def test_agent_that_spares_the_flash_killed_under_load(mosquitto, start_load, make_agent):
    """What is missing is declared as lost, and is no more than was read within 5 s; no key means two things."""
    load = await start_load(4, tags=25, interval_ms=100)
    kills = max(3, KILLS // 6)
    async with Recorder("127.0.0.1", mosquitto.port) as cable:
        agent = make_agent(load, cable.port, replay={"max_rate": "500/s"}, outbox={"disk": "on_outage"})
        file = agent.data_dir / "outbox" / "plant.sqlite"
        for number in range(kills):
            await agent.start()
            await load.goes_on(1.5)
            if number % 2:
                cable.freeze()
                await load.goes_on(0.5)
            agent.kill()
            cable.thaw()
        await agent.start()
        await load.goes_on(1)
        assert await agent.stop() == 0
        lost = {(gap["epoch"], gap["device"]): gap for gap in cable.gaps.values() if gap["kind"] == "lost"}
        assert len(lost) == kills * len(load.devices)
        missing = unaccounted(cable, file)
        for epoch, device, seq in missing:
            gap = lost[epoch, device]
            assert gap["from_seq"] <= seq
            assert gap["to_seq"] is None
        assert len(missing) <= kills * 5 * 10 * len(load.devices)
        assert cable.two_faced == []
        assert len(cable.acked) >= kills * 10 * len(load.devices)
        log.warning("kills=%s acked=%s lost and declared=%s", kills, len(cable.acked), len(missing))
