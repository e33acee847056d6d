"""A route over the wire: each reason code has its consequence, silence too, and no broker hurts another."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from agent.core.flow import Batch, Reading
from agent.core.image import TagInfo
from agent.publishers.mqtt import reasons
from agent.publishers.mqtt.config import MqttConfig
from agent.publishers.mqtt.publisher import MqttPublisher
from agent.testing.context import SimpleContext
from tests.support.mosquitto import Mosquitto, StartMosquitto
from tests.support.mqtt import Seen, observing
from tests.support.mqtt_broker import FakeBroker, Publish, Script
from tests.support.mqtt_packets import properties
from tests.support.waiting import eventually
from tests.unit.runtime.north.test_route import Bench

BAD = 666
#: What is said of every device.
AROUND = ("status", "tags")


@pytest.fixture
async def broker() -> AsyncIterator[FakeBroker]:
    async with FakeBroker().serve() as running:
        yield running


class Wired(Bench):
    """A route whose broker is a real socket away. Its clock is moved by hand, a second at a time."""

    def __init__(self, folder: Path, url: str, **keys: object) -> None:
        folder.mkdir(exist_ok=True)
        super().__init__(folder)
        config = {"type": "mqtt", "url": url, "connect_timeout": "5s", **keys}
        made = MqttConfig.model_validate(config).build("plant", SimpleContext(agent="gw"))
        assert isinstance(made, MqttPublisher)
        made._brokers.of(0).learned.fast = True  # else it is approached slowly, by a clock that no hand moves
        self.route._publisher = made

    async def until(self, condition: Callable[[], object], stride: float = 1.0) -> None:
        """Move the clock until the condition holds. Every step leaves the wire time to answer."""

        async def step() -> object:
            await self.clock.advance(stride)
            return condition()

        await eventually(step)

    def store(self, value: int, device: str = "press", *, tag: str = "a") -> None:
        """Into the outbox only: no snapshot repeats it."""
        reading = Reading(tag=tag, value=value, ts=self.clock.now_ms(), quality="good")
        self.outbox.append(Batch(device=device, ts=reading.ts, readings=[reading]))


def has(one: Publish | Seen, value: object) -> bool:
    if not one.topic.endswith("/readings"):
        return False
    return any(reading["value"] == value for reading in json.loads(one.payload)["readings"])


def said(logs: list[Any], event: str) -> list[str]:
    return [str(log.get("reason")) for log in logs if log["event"] == event]


# --- each row of each table -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [code for code in reasons.CONNACK if code])
async def test_connack(broker: FakeBroker, tmp_path: Path, code: int) -> None:
    """Refused, the route says why once, keeps the data, waits as long as the row says, and gets on once it may."""
    row = reasons.CONNACK[code]
    broker.script = Script(connack=code)
    bench = Wired(tmp_path, broker.url, version="5")
    with capture_logs() as logs:
        async with bench.running():
            bench.store(1)
            await bench.until(lambda: bench.route.reason and row.text in bench.route.reason)
            began = bench.clock.monotonic()
            assert bench.outbox.stats.records == 1
            broker.script = Script()
            waited = 300 if row.kind == "permanent" else row.retry_after or 0
            await bench.until(lambda: any(has(one, 1) for one in broker.published), max(1.0, waited / 20))
            await bench.until(lambda: bench.outbox.stats.records == 0)
            assert bench.clock.monotonic() - began >= waited - 2
    [line] = said(logs, "publisher.offline")
    assert row.text in line
    assert len(said(logs, "component.failed")) == (row.kind == "permanent")


@pytest.mark.parametrize("code", reasons.PUBACK)
async def test_puback(broker: FakeBroker, tmp_path: Path, code: int) -> None:
    """Taken, quarantined at once, quarantined after some tries, kept until the broker relents: nothing vanishes."""
    row = reasons.PUBACK[code]
    broker.script = Script(puback=lambda one: code if has(one, BAD) else 0)
    bench = Wired(tmp_path, broker.url)
    with capture_logs() as logs:
        async with bench.running():
            await bench.until(lambda: bench.route.state == "online")
            bench.store(BAD)
            bench.store(2, "meter")
            await bench.until(lambda: any(has(one, 2) for one in broker.published))
            if row.kind == "accepted":
                await bench.until(lambda: bench.outbox.stats.records == 0)
                assert bench.outbox.stats.quarantined == 0
            elif row.kind == "rejected" or row.attempts is not None:
                await bench.until(lambda: bench.outbox.stats.quarantined == 1)
                await bench.until(lambda: bench.outbox.stats.records == 0)
                assert sum(has(one, BAD) for one in broker.published) == (row.attempts or 1)
                [line] = said(logs, "publisher.quarantined")
                assert row.text in line
            else:
                again = 2 if row.kind == "refused" else 1
                await bench.until(lambda: sum(has(one, BAD) for one in broker.published) >= again, 10.0)
                broker.script = Script()
                await bench.until(lambda: bench.outbox.stats.records == 0)
                assert bench.outbox.stats.quarantined == 0
            assert len(broker.connects) >= 2 if row.kind == "lost" else len(broker.connects) == 1
            assert any(one.topic.endswith("/gaps") for one in broker.published) is bool(
                said(logs, "publisher.quarantined")
            )
    if row.kind == "refused":
        first, *repeated = said(logs, "publisher.refused")
        assert row.text in first
        assert len(repeated) <= 1  # those kept long are said again, rarely


@pytest.mark.parametrize("code", reasons.DISCONNECT)
async def test_disconnect(broker: FakeBroker, tmp_path: Path, code: int) -> None:
    """Sent away, the route says why once, waits as long as the row says, and sends again what was in flight."""
    row = reasons.DISCONNECT[code]
    bench = Wired(tmp_path, broker.url)
    with capture_logs() as logs:
        async with bench.running():
            await bench.until(lambda: bench.route.state == "online" and bench.outbox.stats.records == 0)
            broker.script = Script(hold=True)
            bench.store(1)
            await bench.until(lambda: any(has(one, 1) for one in broker.waiting))
            broker.script = Script()
            broker.disconnect(code)
            await eventually(lambda: bench.route.state == "offline")
            began = bench.clock.monotonic()
            await bench.until(lambda: sum(has(one, 1) for one in broker.published) == 2)
            assert bench.clock.monotonic() - began >= (row.retry_after or 0) - 1
            await bench.until(lambda: bench.outbox.stats.records == 0)
    [line] = said(logs, "publisher.offline")
    assert row.text in line


# --- around the readings ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("refused", ["agents/gw/status", "hall/meter/tags"])
async def test_a_status_that_is_refused_costs_no_other(broker: FakeBroker, tmp_path: Path, refused: str) -> None:
    """Access rules that forbid one topic: it is said which, and all else around the readings is there."""
    broker.script = Script(
        connack_properties=properties(receive_maximum=1),
        puback=lambda one: 0x87 if one.topic == f"edge/{refused}" else 0,
    )
    bench = Wired(tmp_path, broker.url)
    with capture_logs() as logs:
        async with bench.running():
            await bench.until(lambda: bench.route.state == "online" and bench.outbox.stats.records == 0)
    around = {"agents/gw/status", *(f"hall/{device}/{what}" for device in ("press", "meter") for what in AROUND)}
    assert around <= {one.topic.removeprefix("edge/") for one in broker.published}
    [line] = said(logs, "publisher.refused")
    assert f": edge/{refused} -> " in line


async def test_what_is_too_large_around_the_readings_costs_nothing_else(broker: FakeBroker, tmp_path: Path) -> None:
    """A broker that takes little: the agent is online without its streams; one tag's catalogue is missing, and said."""
    broker.script = Script(connack_properties=properties(max_packet=1500))
    bench = Wired(tmp_path, broker.url)
    for number in range(20):
        long = "x" * 3000 if number == 7 else None
        bench.image.add(f"dev-{number}", location=["hall"], tags=[TagInfo("a", description=long)], cat=1, now=0)
    with capture_logs() as logs:
        async with bench.running():
            await bench.until(lambda: bench.route.state == "online" and bench.outbox.stats.records == 0)
            await bench.until(lambda: sum(one.topic == "edge/agents/gw/status" for one in broker.published) >= 2)
    *_, status = (json.loads(one.payload) for one in broker.published if one.topic == "edge/agents/gw/status")
    assert (status["state"], status["streams"]) == ("online", {})
    for what in AROUND:
        heard = {one.topic for one in broker.published if one.topic.endswith(f"/{what}") and "agents" not in one.topic}
        assert len(heard) == 22 - (what == "tags")
    [line] = said(logs, "publisher.refused")
    assert line.endswith("hall/dev-7/tags")
    assert list(bench.route.standing.refusals.lately) == [""]  # the status shows it


async def test_a_device_that_is_always_too_large_is_said_once_a_minute(broker: FakeBroker, tmp_path: Path) -> None:
    """Each record is quarantined and declared; the log does not fill with it."""
    broker.script = Script(puback=lambda one: 0x95 if one.topic == "edge/hall/press/readings" else 0)
    bench = Wired(tmp_path, broker.url)
    with capture_logs() as logs:
        async with bench.running():
            await bench.until(lambda: bench.route.state == "online" and bench.outbox.stats.records == 0, stride=0.05)
            for number in range(40):
                bench.store(number)
            await bench.until(lambda: bench.outbox.stats.quarantined == 41, stride=0.05)  # all within the minute
            await bench.clock.advance(61)
            bench.store(41)
            await bench.until(lambda: bench.outbox.stats.quarantined == 42)
    assert [log["repeats"] for log in logs if log["event"] == "publisher.quarantined"] == [0, 40]


# --- silence ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limited", "version", "refuses"),
    [
        ("max_packet_size 4000", "5", None),
        ("max_packet_size 4000", "3.1.1", "oversize packet"),
        ("message_size_limit 4000", "5", "too large PUBLISH"),
        ("message_size_limit 4000\nmax_queued_messages 0", "5", "too large PUBLISH"),  # and closes
    ],
)
async def test_mosquitto_with_a_packet_limit_gets_it_all_in_parts(
    start_mosquitto: StartMosquitto, tmp_path: Path, limited: str, version: str, refuses: str | None
) -> None:
    """MQTT 5 is told the limit, or that one was too large (0x95); else it hangs up without a word, and it is learned.

    Split either way, nothing lost.
    """
    mosquitto = start_mosquitto(limited)
    bench = Wired(tmp_path / "outbox", mosquitto.url, version=version)
    async with observing(mosquitto.port, "edge/#") as observer, bench.running():
        await bench.until(lambda: bench.route.state == "online" and bench.outbox.stats.records == 0)
        ts = bench.clock.now_ms()
        readings = [Reading(tag="a", value=number, ts=ts, quality="good") for number in range(100)]
        bench.outbox.append(Batch(device="press", ts=ts, readings=readings))
        bench.store(2, "meter")
        await bench.until(lambda: bench.outbox.stats.records == 0)
        assert bench.outbox.stats.quarantined == 0

        def values() -> list[object]:
            heard = [json.loads(one.payload) for one in list(observer.seen) if one.topic.endswith("press/readings")]
            return [reading["value"] for one in heard if "part" in one for reading in one["readings"]]

        await eventually(lambda: values() == list(range(100)))
        refused = mosquitto.log.count("oversize packet") + mosquitto.log.count("too large PUBLISH")
        assert refused == (0 if refuses is None else mosquitto.log.count(refuses))
        assert (refused > 0) is (refuses is not None)
        if limited == "message_size_limit 4000":  # where it closes, its word may not leave its side
            assert refused == 1


async def test_what_cannot_be_split_is_sent_although_a_limit_below_it_was_learned(
    start_mosquitto: StartMosquitto, tmp_path: Path
) -> None:
    """A limit learned from a refusal is a guess: the broker says what it does not take, and only that is kept."""
    mosquitto = start_mosquitto("message_size_limit 4000")
    bench = Wired(tmp_path / "outbox", mosquitto.url)
    async with observing(mosquitto.port, "edge/#") as observer, bench.running():
        await bench.until(lambda: bench.route.state == "online" and bench.outbox.stats.records == 0)
        ts = bench.clock.now_ms()

        def store(device: str, *values: object) -> None:
            readings = [Reading(tag="a", value=value, ts=ts, quality="good") for value in values]
            bench.outbox.append(Batch(device=device, ts=ts, readings=readings))

        store("press", *range(100))
        await bench.until(lambda: bench.outbox.stats.records == 0)
        texts = [str(number) * 3600 for number in range(5)]
        for text in texts:
            store("meter", text)
        store("press", "x" * 5000)
        await bench.until(lambda: bench.outbox.stats.records == 0)
        assert bench.outbox.stats.quarantined == 1

        def values(device: str) -> list[object]:
            heard = [json.loads(one.payload) for one in observer.seen if one.topic.endswith(f"{device}/readings")]
            return [reading["value"] for one in heard for reading in one["readings"]]

        await eventually(lambda: [value for value in values("meter") if isinstance(value, str)] == texts)
        await eventually(lambda: set(range(100)) <= set(values("press")))


async def test_mosquitto_3_1_1_and_what_cannot_be_split_is_found(
    start_mosquitto: StartMosquitto, tmp_path: Path
) -> None:
    """One reading larger than the broker takes: quarantined and declared, and all around it arrives."""
    mosquitto = start_mosquitto("max_packet_size 3000")
    bench = Wired(tmp_path / "outbox", mosquitto.url, version="3.1.1")
    async with observing(mosquitto.port, "edge/#") as observer, bench.running():
        await bench.until(lambda: bench.route.state == "online" and bench.outbox.stats.records == 0)
        text = Reading(tag="a", value="x" * 5000, ts=bench.clock.now_ms(), quality="good")
        bench.store(1)
        bench.outbox.append(Batch(device="press", ts=text.ts, readings=[text]))
        for number in (2, 3):
            bench.store(number)
            bench.store(number, "meter")
        await bench.until(lambda: bench.outbox.stats.quarantined == 1)
        await bench.until(lambda: bench.outbox.stats.records == 0)

        def heard(topic: str) -> list[Any]:
            return [json.loads(one.payload) for one in list(observer.seen) if one.topic.endswith(topic)]

        def values(device: str) -> set[object]:
            return {reading["value"] for one in heard(f"{device}/readings") for reading in one["readings"]}

        await eventually(lambda: heard("/gaps"))
        [gap] = heard("/gaps")
        assert gap["kind"] == "quarantined"
        await eventually(lambda: values("press") & values("meter") >= {2, 3})


async def test_mosquitto_tells_that_nobody_subscribes(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """`on_no_subscriber: hold` at a real broker: kept while nobody listens, delivered once somebody does."""
    bench = Wired(tmp_path / "outbox", mosquitto.url, on_no_subscriber="hold")
    with capture_logs() as logs:
        async with bench.running():
            bench.store(1)
            await bench.until(lambda: any("nobody subscribes" in one for one in said(logs, "publisher.refused")))
            assert bench.outbox.stats.records > 0
            async with observing(mosquitto.port, "edge/#") as observer:
                await bench.until(lambda: bench.outbox.stats.records == 0, 5.0)
                await eventually(
                    lambda: any(b'"value":1,' in one.payload for one in observer.on("edge/hall/press/rea"))
                )
    assert bench.outbox.stats.quarantined == 0


# --- one broker does not hurt another ---------------------------------------------------------------------------------


async def test_a_dead_and_a_stuck_broker_slow_no_other_route(tmp_path: Path) -> None:
    """Beside a broker that is away and one that acknowledges nothing, a third gets all at once."""
    async with FakeBroker().serve() as good, FakeBroker(Script(hold=True)).serve() as stuck:
        routes = [
            Wired(tmp_path / "dead", "mqtt://127.0.0.1:1"),
            Wired(tmp_path / "stuck", stuck.url),
            Wired(tmp_path / "good", good.url),
        ]
        async with routes[0].running(), routes[1].running(), routes[2].running():
            dead, slow, quick = routes
            await quick.until(lambda: quick.route.state == "online")
            await slow.until(lambda: slow.route.state == "online" and stuck.waiting)
            for number in range(200):
                for one in routes:
                    one.store(number)
            await quick.until(lambda: quick.outbox.stats.records == 0)
            assert slow.outbox.stats.records >= 200
            assert dead.outbox.stats.records >= 200
            assert dead.route.state == "offline"
            values = [value for one in good.published for value in range(200) if has(one, value)]
            assert values == list(range(200))


async def test_a_link_that_dies_under_load_is_noticed_and_nothing_is_lost(broker: FakeBroker, tmp_path: Path) -> None:
    """Data on its way, and no answer at all any more: noticed by the keep-alive, sent again, accusing nobody."""
    bench = Wired(tmp_path, broker.url, keep_alive="1s")
    with capture_logs() as logs:
        async with bench.running():
            await bench.until(lambda: bench.route.state == "online" and bench.outbox.stats.records == 0)
            broker.freeze()
            for number in range(50):
                bench.store(number)
            await bench.until(lambda: any("dead" in one for one in said(logs, "publisher.offline")))
            await bench.until(lambda: bench.outbox.stats.records == 0)
            assert bench.outbox.stats.quarantined == 0
            await asyncio.sleep(0)
    arrived = [number for one in broker.published for number in range(50) if has(one, number)]
    assert set(arrived) == set(range(50))
