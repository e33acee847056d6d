"""Whatever is killed, again and again: the database has each record the agent committed, once, and nothing is missing.

The truth does not come from the historian's ledger: an epoch's last number is told by the agent (`down` gaps, and its
last status with `before`), and the machines count how often they are asked, so every value says which scan it belongs
to.
"""

from __future__ import annotations

import os
import random

import pytest

from tests.support.consumer import consuming
from tests.support.load import SCAN, caught_up
from tests.support.waiting import eventually

KILLS = int(os.environ.get("EDGE_HISTORIAN_KILLS", "10"))
TAGS = int(os.environ.get("EDGE_HISTORIAN_TAGS", "12"))  #: of each of four machines, ten times a second
LOSSY = "max_queued_messages 1000"


class Plant:
    """Agent, broker, historians and database; each can be killed and comes back."""

    def __init__(self, agent, load, broker, cluster, historians):
        self.agent = agent
        self.load = load
        self.historians = historians
        self._broker = broker
        self._cluster = cluster

    async def kill(self, what):
        if what == "agent":
            self.agent.kill()
            await self.agent.start(ready=False)
        elif what == "broker":
            self._broker.kill()
            self._broker.start()
        elif what == "postgres":
            self._cluster.kill()
            self._cluster.start()
        else:
            historian = self.historians[0]
            historian.kill()
            await historian.start(ready=False)

    async def settled(self):
        """Everything is up, and nothing is missing."""
        for one in (self.agent, *self.historians):
            await eventually(one._is_ready, what="it is ready")
        await caught_up(self.agent)
        goal = {device: len(log) for device, log in self.load.asked.items()}
        # until then nobody knows of a hole behind it, and who has stopped cannot fill one
        await eventually(lambda: self._has(goal), what="it has stored something newer than what the broker kept")
        await eventually(lambda: self.historians[0].missing() == [], what="nothing is missing")

    def _has(self, goal):
        scans = (
            "SELECT t.device, max(r.value) FROM reading r JOIN tag t ON t.id = r.tag WHERE t.name = 'r000' GROUP BY 1"
        )
        newest = dict(self.historians[0].sql(scans))
        return all(newest.get(device, 0) >= scan for device, scan in goal.items())


def check_rows(historian, last):
    """Each number of each epoch, from 1 to the last one the agent tells of; each value of the scan it belongs to."""
    records = historian.stored()
    ends = {(device, epoch): to for device, epoch, to in historian.sql("SELECT device, epoch, to_seq FROM gap")} | last
    numbers: dict[tuple[str, str], set[int]] = {}
    for device, epoch, seq in records:
        numbers.setdefault((device, epoch), set()).add(seq)
    for stream, seqs in numbers.items():
        assert seqs == set(range(1, len(seqs) + 1)), f"{stream}: not without a hole"
        # a broker that is killed may lose a `down` gap, and an agent names eight earlier epochs
        assert len(seqs) == ends.get(stream, len(seqs)), f"{stream}: {len(seqs)} records, the agent tells of {ends}"
    assert numbers.keys() >= last.keys()
    for place, values in records.items():
        good = {tag: value for tag, value in values.items() if value is not None}
        begin = good.get(SCAN, 0)
        assert all(value == (begin + int(tag[1:])) % 65536 for tag, value in good.items()), place
    return True


def check_kinds_and_times(historian, asked):
    """Type and quality of each reading; each time lies between its scan and the next one, as the device logged them."""
    wrong = historian.sql(
        "SELECT * FROM reading WHERE (value IS NULL) <> (quality = 'bad')"
        " OR kind <> CASE WHEN value IS NULL THEN 'null' ELSE 'int' END LIMIT 3"
    )
    assert wrong == []
    scans = historian.sql(
        "SELECT t.device, r.value::int, (extract(epoch FROM r.ts) * 1000)::int8 FROM reading r"
        " JOIN tag t ON t.id = r.tag WHERE t.name = 'r000' AND r.value IS NOT NULL"
    )
    assert scans
    for device, scan, ts in scans:
        log = asked[device]
        assert log[scan] <= ts <= (log[scan + 1] if scan + 1 < len(log) else ts), (device, scan)


async def run(plant, victims, load, broker, seed):
    chance = random.Random(seed)
    for historian in plant.historians:
        await historian.start()
    await plant.agent.start()
    for victim in victims:
        await load.goes_on(chance.uniform(0.1, 0.6))
        await plant.kill(victim)
    async with consuming(broker.url) as consumer:
        await plant.settled()
        await load.goes_on(0.5)
        assert await plant.agent.stop() == 0
        status = await eventually(lambda: [one for one in consumer.agents["gw-test"] if one["state"] == "offline"])
    told = [(device, one) for device, own in status[-1]["streams"].items() for one in (own, *own.get("before", ()))]
    last = {(device, one["epoch"]): one["next"] - 1 for device, one in told}
    await eventually(lambda: check_rows(plant.historians[0], last), what="every record the agent committed")
    check_kinds_and_times(plant.historians[0], load.asked)
    for historian in plant.historians:
        assert historian.events("component.bug") == []
        assert await historian.stop() == 0
    kinds = dict(plant.historians[0].sql("SELECT kind, count(*) FROM gap GROUP BY 1"))
    assert kinds.keys() <= {"down"}


@pytest.fixture
def plant_of(start_mosquitto, start_load, make_agent, make_historian, start_postgres):
    async def make(names, **settings):
        broker = start_mosquitto(LOSSY, persistent=True)
        cluster = start_postgres()
        load = await start_load(4, tags=TAGS)
        keep = {"keep_acked": {"age": "1h", "max_bytes": "256MiB"}}
        agent = make_agent(load, broker.port, outbox=keep, replay={"max_rate": "1000/s"})
        url = cluster.database().url
        historians = [make_historian(broker.url, name, database=url, **settings) for name in names]
        return Plant(agent, load, broker, cluster, historians), load, broker

    return make


@pytest.mark.timeout(240 + 20 * KILLS)
async def test_each_record_stands_once_whatever_is_killed(plant_of):
    """Historian, agent, PostgreSQL and broker, kill -9, mixed."""
    plant, load, broker = await plant_of(["hist-01"])
    kinds = ["historian", "agent", "postgres", "broker"]
    chance = random.Random(7)
    victims = [*kinds, *(chance.choice(kinds) for _ in range(KILLS - len(kinds)))]
    await run(plant, victims, load, broker, 11)


@pytest.mark.timeout(240 + 20 * KILLS)
@pytest.mark.parametrize("group", ["plant", pytest.param(None, marks=pytest.mark.soak)], ids=["group", "full"])
async def test_two_historians_of_one_database_and_one_is_killed_again_and_again(plant_of, group):
    """Sharing a plant by a shared subscription, or each with a subscription to all of it: each record once."""
    plant, load, broker = await plant_of(["hist-01", "hist-02"], group=group)
    await run(plant, ["historian"] * max(3, KILLS // 4), load, broker, 13)
