"""A consumer lacks records the broker has acknowledged, and asks the agent for them: what is seen at the broker."""

from __future__ import annotations

import json

from agent.core.ids import ulid
from tests.support.consumer import consuming
from tests.support.load import all_arrived, caught_up, route_of
from tests.support.mqtt import observing
from tests.support.waiting import eventually

REQUESTS = "edge/agents/gw-test/resend"


class Asking:
    """A consumer that asks."""

    def __init__(self, observer, consumer):
        self._observer = observer
        self._consumer = consumer

    async def ask(self, epoch, first, last, *, device="dev-1", name=None, retain=False):
        request = {"id": name or ulid(0), "device": device, "epoch": epoch, "from_seq": first, "to_seq": last}
        await self._observer.publish(REQUESTS, json.dumps(request).encode(), retain=retain)
        return request["id"]

    def resent(self):
        return [(said.epoch, said.seq) for said in self._consumer.records if said.resent]

    def lost(self):
        gaps = [gap for gap in self._consumer.gaps if "request" in gap]
        return [(gap["from_seq"], gap["to_seq"], gap["records"], gap["request"]) for gap in gaps]


async def counted(agent, result):
    """How many requests had this result."""
    for line in (await agent.metrics()).splitlines():
        if line.startswith("edge_agent_resend_requests_total") and f'result="{result}"' in line:
            return float(line.split()[-1])
    return 0.0


async def test_what_is_kept_comes_again_and_the_rest_is_declared(mosquitto, start_load, make_agent):
    """Within the session, without a snapshot, in the numbers asked for; of earlier runs too; each request once."""
    load = await start_load(2, tags=3)
    agent = make_agent(load, mosquitto.port, outbox={"keep_acked": {"age": "10m"}}, replay={"max_rate": "500/s"})
    async with consuming(mosquitto.url) as consumer, observing(mosquitto.port, REQUESTS) as observer:
        asking = Asking(observer, consumer)
        await agent.start()
        await consumer.heard(12, *load.devices)
        assert await agent.stop() == 0
        await asking.ask(consumer.epochs[0], 2, 3, retain=True)  # whoever was there then is gone
        await agent.start()
        await consumer.heard(12, *load.devices)
        earlier, present = consumer.epochs
        status = [one for one in consumer.agents["gw-test"] if one["state"] == "online"][-1]
        assert (status["publisher"], status["resend"]) == ("plant", True)
        (before,) = status["streams"]["dev-1"]["before"]
        last = max(said.seq for said in consumer.of("dev-1") if said.epoch == earlier)
        assert (before["epoch"], before["next"]) == (earlier, last + 1)
        assert before["readings"] == sum(len(said.values) for said in consumer.of("dev-1") if said.epoch == earlier)
        scans = [said for said in consumer.of("dev-1") if said.epoch == earlier and not said.snapshot]
        due, done, late = (before["scans"][name] for name in ("due", "done", "late"))
        assert len(scans) - 1 <= done <= len(scans)
        assert done + late <= due  # while it connects scans are due, too
        sessions = len(consumer.sessions())
        snapshots = sum(said.snapshot and not said.resent for said in consumer.records)

        name = await asking.ask(present, 2, 4)
        await eventually(lambda: asking.resent() == [(present, 2), (present, 3), (present, 4)])
        await asking.ask(earlier, last - 1, last + 50)  # the last two; the others never existed
        await eventually(lambda: asking.resent()[3:] == [(earlier, last - 1), (earlier, last)])
        await asking.ask(present, 2, 4, name=name)
        await asking.ask("01KB2XJ5W3Q8Z6T0M4N7V9YACD", 1, 5)
        await observer.publish(REQUESTS, b'{"id": 7}')
        await asking.ask(present, 1, 20_000)
        await eventually(lambda: counted(agent, "unknown"))
        assert [await counted(agent, one) for one in ("served", "repeated", "malformed", "retained")] == [2, 1, 2, 1]
        await consumer.heard(3, *load.devices)
        assert len(asking.resent()) == 5
        assert asking.lost() == []
        assert len(consumer.sessions()) == sessions
        assert sum(said.snapshot and not said.resent for said in consumer.records) == snapshots
        await observer.publish(REQUESTS, b"", retain=True)
        await all_arrived(agent, consumer)


async def test_what_is_not_kept_any_more_is_declared_exactly_and_once(mosquitto, start_load, make_agent):
    """With `keep_acked` too small the rest is `lost`, by number, under the request's id; a second one adds nothing."""
    load = await start_load(1, tags=20, interval_ms=50)
    keep = {"age": "10m", "max_bytes": "2KiB"}
    agent = make_agent(load, mosquitto.port, outbox={"keep_acked": keep}, replay={"max_rate": "500/s"})
    async with consuming(mosquitto.url) as consumer, observing(mosquitto.port, REQUESTS) as observer:
        asking = Asking(observer, consumer)
        await agent.start()
        await consumer.heard(60, "dev-1")
        await caught_up(agent)

        async def trimmed():
            await asking.ask(consumer.epochs[0], 1, 40)
            await consumer.heard(2, "dev-1")
            return asking.lost()

        await eventually(trimmed)  # kept records are weighed every few seconds
        declared = {seq for first, last, _, _ in asking.lost() for seq in range(first, last + 1)}
        assert [records for *_, records, _ in asking.lost()] == [last - first + 1 for first, last, *_ in asking.lost()]
        again = {seq for _, seq in asking.resent()}
        assert declared | again == set(range(1, 41))
        assert sum(last - first + 1 for first, last, *_ in asking.lost()) == len(declared)
        known = asking.lost()
        await asking.ask(consumer.epochs[0], 1, 40)
        await eventually(lambda: counted(agent, "served"))
        await consumer.heard(5, "dev-1")
        assert asking.lost() == known
        assert (await route_of(agent))["streams"]["dev-1"][-1]["low"] > 40
        await all_arrived(agent, consumer)


async def test_without_keep_acked_nobody_listens(mosquitto, start_load, make_agent):
    """The status says so, and a request changes nothing."""
    load = await start_load(1, tags=3)
    agent = make_agent(load, mosquitto.port)
    async with consuming(mosquitto.url) as consumer, observing(mosquitto.port, REQUESTS) as observer:
        asking = Asking(observer, consumer)
        await agent.start()
        await consumer.heard(5, "dev-1")
        await asking.ask(consumer.epochs[0], 1, 3)
        await consumer.heard(10, "dev-1")
        assert [one["resend"] for one in consumer.agents["gw-test"]][-1] is False
        assert asking.resent() == asking.lost() == []
        await all_arrived(agent, consumer)
