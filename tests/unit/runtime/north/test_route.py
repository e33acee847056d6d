"""A route over a scripted broker and a real outbox: what is sent, in what order, and what an answer leads to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from structlog.testing import capture_logs

from agent.core.errors import ConnectionLost, Refused, Rejected, TransientError
from agent.core.flow import Batch, Message, Reading
from agent.core.image import AgentInfo, Image, TagInfo
from agent.core.ports import RouteInfo
from agent.encoders.json import JsonConfig
from agent.outbox import SqliteOutbox
from agent.runtime.north.replay import LATEST_START, start_delay
from agent.runtime.north.route import FIRST_RETRY, Route
from agent.settings.outbox import OutboxSettings
from agent.settings.publishers import Replay
from agent.testing.clock import ManualClock
from agent.testing.publisher import ScriptedPublisher
from tests.support.waiting import eventually

READINGS = "edge/hall/press/readings"


class Bench:
    """One route with two devices; the clock of the route is moved by hand, the disk is real."""

    def __init__(self, folder: Path, *, replay: Replay | None = None, max_delay: bool = False) -> None:
        self.clock = ManualClock()
        self.publisher = ScriptedPublisher()
        self.image = Image(AgentInfo("gw", "0", "h"))
        for name in ("press", "meter"):
            self.image.add(name, location=["hall"], tags=[TagInfo("a")], cat=1, now=0)
        self.outbox = SqliteOutbox(
            folder / "plant.outbox",
            name="plant",
            settings=OutboxSettings(),
            clock=self.clock,
            max_record_bytes=96 * 1024,
        )
        info = RouteInfo(name="plant", agent="gw")
        self.route = Route(
            "plant",
            self.publisher,
            JsonConfig().build(info),
            self.outbox,
            self.image,
            clock=self.clock,
            replay=replay or Replay(),
            wants=info.wants,
        )

    @asynccontextmanager
    async def running(self, *, store: bool = True) -> AsyncIterator[asyncio.Task[None]]:
        async with self.outbox.open(), asyncio.TaskGroup() as group:
            task = group.create_task(self.route.run())
            yield task
            task.cancel()

    def read(self, value: int, device: str = "press") -> None:
        """The device is read: into the image and the outbox, as device.py does it."""
        reading = Reading(tag="a", value=value, ts=self.clock.now_ms(), quality="good")
        batch = Batch(device=device, ts=reading.ts, readings=[reading])
        self.image.update(batch)
        self.outbox.append(batch)

    def messages(self, topic: str = READINGS, session: int = -1) -> list[dict[str, Any]]:
        """What this session sent on a topic."""
        sent = self.publisher.sessions[session].sent if self.publisher.sessions else []
        return [json.loads(message.payload) for message in sent if message.topic == topic]

    def values(self, *, historical: bool, session: int = -1) -> list[object]:
        return [
            message["readings"][0]["value"]
            for message in self.messages(session=session)
            if message.get("historical", False) is historical and not message.get("snapshot")
        ]

    async def move_until(self, condition: Any, stride: float = 0.05) -> None:
        """Move the clock in such steps until the condition holds."""

        async def step() -> object:
            await self.clock.advance(stride)
            return condition()

        await eventually(step)


async def test_status_goes_first_then_a_snapshot_of_every_device_then_live(tmp_path: Path) -> None:
    """Retained status and catalogue before data; the first live record of each device is a snapshot."""
    bench = Bench(tmp_path)
    async with bench.running():
        await bench.move_until(lambda: bench.messages() and bench.messages("edge/hall/meter/readings"))
        bench.read(1)
        await bench.move_until(lambda: len(bench.messages()) == 2)
        topics = [message.topic for message in bench.publisher.session.sent]
        assert topics[0] == "edge/agents/gw/status"
        assert topics.index(READINGS) > topics.index("edge/hall/meter/tags")
        first, second = bench.messages()
        assert first["snapshot"] is True
        assert (first["seq"], second["seq"]) == (1, 2)
        assert second["readings"][0]["value"] == 1
        await bench.move_until(lambda: bench.outbox.stats.records == 0)


async def test_whoever_listens_from_the_start_soon_learns_the_streams(tmp_path: Path) -> None:
    """The first status of an agent knows no stream; it is said again a second later, then every 30 s."""
    bench = Bench(tmp_path)
    async with bench.running():
        await bench.move_until(lambda: len(bench.messages("edge/agents/gw/status")) == 2)
        await bench.clock.advance(29)
        await bench.move_until(lambda: len(bench.messages("edge/agents/gw/status")) == 3)
    first, second, third = bench.messages("edge/agents/gw/status")
    assert first["streams"] == {}
    assert {device: stream["next"] for device, stream in second["streams"].items()} == {"press": 2, "meter": 2}
    assert 1000 <= second["ts"] - first["ts"] < 2000
    assert 30_000 <= third["ts"] - second["ts"] < 31_000


async def test_what_waited_comes_as_history_and_live_does_not_wait_for_it(tmp_path: Path) -> None:
    """After an outage live data goes out at once; the backlog follows, in order, throttled and flagged."""
    bench = Bench(tmp_path, replay=Replay.model_validate({"max_rate": "2/s"}))
    bench.publisher.script.reachable = False
    async with bench.running():
        for value in range(20):
            bench.read(value)
        await bench.move_until(lambda: bench.publisher.attempts > 1)
        bench.publisher.script.reachable = True
        await bench.move_until(bench.publisher.opened.is_set)
        await bench.move_until(lambda: len(bench.values(historical=True)) >= 3)
        bench.read(1000)
        await bench.move_until(lambda: bench.values(historical=False) == [1000])
        assert len(bench.values(historical=True)) < 20
        await bench.move_until(lambda: len(bench.values(historical=True)) == 20)
        assert bench.values(historical=True) == list(range(20))
        await bench.move_until(lambda: bench.outbox.stats.records == 0)


async def test_a_backlog_starts_a_random_moment_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a plant does not replay at once. Live data does not wait for it."""
    drawn = {start_delay() for _ in range(50)}
    assert len(drawn) > 40
    assert 0 <= min(drawn) < max(drawn) <= LATEST_START < 1
    monkeypatch.setattr("agent.runtime.north.forwarder.start_delay", lambda: 600.0)
    bench = Bench(tmp_path)
    async with bench.outbox.open():
        bench.read(1)
        await bench.outbox.flush()
    async with bench.running():
        await bench.move_until(bench.messages)
        cut = bench.clock.monotonic()
        bench.read(2)
        await bench.move_until(lambda: bench.values(historical=False) == [2])
        assert bench.values(historical=True) == []
        await bench.clock.advance(cut + 599.0 - bench.clock.monotonic())
        assert bench.values(historical=True) == []
        await bench.move_until(lambda: 1 in bench.values(historical=True))


async def test_in_order_live_waits_behind_the_backlog(tmp_path: Path) -> None:
    """With in_order nothing overtakes: seq rises over the whole session."""
    bench = Bench(tmp_path, replay=Replay(order="in_order"))
    bench.publisher.script.reachable = False
    async with bench.running():
        for value in range(20):
            bench.read(value)
        await bench.move_until(lambda: bench.publisher.attempts > 1)
        bench.publisher.script.reachable = True
        await bench.move_until(bench.publisher.opened.is_set)
        bench.read(1000)
        await bench.move_until(lambda: bench.values(historical=False) == [1000])
        seqs = [message["seq"] for message in bench.messages()]
        assert seqs == sorted(seqs)
        assert bench.values(historical=True) == list(range(20))


async def test_a_lost_session_loses_nothing(tmp_path: Path) -> None:
    """What was not acknowledged when the connection broke comes again under the same key, as history."""
    bench = Bench(tmp_path)
    bench.publisher.script.auto_ack = False
    async with bench.running():
        await bench.move_until(lambda: bench.messages() and bench.messages("edge/hall/meter/readings"))
        bench.publisher.session.ack_all()
        for value in (1, 2, 3):
            bench.read(value)
        await bench.move_until(lambda: bench.values(historical=False) == [1, 2, 3])
        sent = {message["seq"]: message["readings"] for message in bench.messages()}
        bench.publisher.opened.clear()
        bench.publisher.drop()
        bench.publisher.script.auto_ack = True
        await bench.move_until(bench.publisher.opened.is_set)
        await bench.move_until(lambda: bench.values(historical=True) == [1, 2, 3])
        again = {m["seq"]: m["readings"] for m in bench.messages() if m.get("historical")}
        assert again.items() <= sent.items()
        await bench.move_until(lambda: bench.outbox.stats.records == 0)


async def test_a_poison_record_is_quarantined_and_declared(tmp_path: Path) -> None:
    """A record the broker will never take costs itself only, and its loss is said on the gaps topic."""
    bench = Bench(tmp_path)

    def judge(message: Message) -> Rejected | None:
        return Rejected("payload format invalid", code=0x99) if b'"value":13' in message.payload else None

    bench.publisher.script.judge = judge
    async with bench.running():
        await bench.move_until(bench.messages)
        for value in (12, 13, 14):
            bench.read(value)
        await bench.move_until(lambda: bench.messages("edge/hall/press/gaps"))
        (gap,) = bench.messages("edge/hall/press/gaps")
        assert (gap["kind"], gap["records"], gap["from_seq"], gap["to_seq"]) == ("quarantined", 1, 3, 3)
        assert bench.values(historical=False) == [12, 13, 14]
        assert bench.outbox.stats.quarantined == 1


async def test_a_bounded_refusal_is_tried_again_then_quarantined_while_others_flow(tmp_path: Path) -> None:
    """0x80 may be a poison message: it gets its tries beside the traffic, and then goes."""
    bench = Bench(tmp_path)

    def judge(message: Message) -> Refused | None:
        return Refused("unspecified error", retry_after=2, attempts=3) if b'"value":13' in message.payload else None

    bench.publisher.script.judge = judge
    async with bench.running():
        await bench.move_until(bench.messages)
        bench.read(13)
        bench.read(14)
        await bench.move_until(lambda: bench.values(historical=False) == [13, 14])
        await bench.move_until(lambda: bench.outbox.stats.quarantined == 1)
        assert bench.values(historical=True) == [13, 13]


async def test_a_missing_permission_parks_one_device_and_eats_nothing(tmp_path: Path) -> None:
    """0x87 on one topic: that device's records stay in the file, others flow, and all come when it is allowed."""
    bench = Bench(tmp_path)
    forbidden = True

    def judge(message: Message) -> Refused | None:
        denied = forbidden and message.topic == READINGS
        return Refused("not authorised", retry_after=300) if denied else None

    bench.publisher.script.judge = judge
    async with bench.running():
        await bench.move_until(bench.messages)
        for value in (1, 2, 3):
            bench.read(value)
            bench.read(value, "meter")
            await bench.clock.advance(1)
        await bench.move_until(lambda: bench.outbox.stats.records == 4)
        forbidden = False
        await bench.clock.advance(301)
        await bench.move_until(lambda: bench.outbox.stats.records == 0)
        assert bench.values(historical=True) == [1, 2, 3]


@pytest.mark.parametrize("order", ["live_first", "in_order"])
async def test_a_parked_device_costs_no_memory(tmp_path: Path, order: Literal["live_first", "in_order"]) -> None:
    """However much of it waits, and however long: it is on the disk, still counted as backlog, and may be dropped."""
    bench = Bench(tmp_path, replay=Replay(order=order))
    bench.publisher.script.judge = lambda message: (
        Refused("not authorised", retry_after=300) if message.topic == READINGS else None
    )
    async with bench.running():
        await bench.move_until(bench.messages)
        for value in range(300):
            bench.read(value)
            bench.read(value, "meter")
        await bench.move_until(lambda: bench.outbox.stats.records == 301)
        held = bench.outbox._state.lanes
        assert held is not None
        await bench.move_until(lambda: not (held.live or held.left))
        assert len(held.flight) <= bench.publisher.session.limits.window
        assert bench.outbox.stats.backlog == 301


async def test_quota_pauses_everything_and_keeps_it(tmp_path: Path) -> None:
    """0x97: nothing more is sent for a while, nothing is lost."""
    bench = Bench(tmp_path)
    full = True

    def judge(_message: Message) -> Refused | None:
        return Refused("quota exceeded", retry_after=5) if full else None

    bench.publisher.script.judge = judge
    async with bench.running():
        await bench.move_until(bench.messages)
        before = len(bench.publisher.session.sent)
        for value in (1, 2, 3):
            bench.read(value)
        await bench.clock.advance(3)
        assert len(bench.publisher.session.sent) <= before + 2
        full = False
        await bench.move_until(lambda: bench.outbox.stats.records == 0)


async def test_leaving_drains_and_says_offline(tmp_path: Path) -> None:
    """On a clean end the outbox is empty, the last message is the retained offline status, and the task ends."""
    bench = Bench(tmp_path)
    async with bench.running() as task:
        await bench.move_until(bench.messages)
        bench.read(5)
        async with asyncio.TaskGroup() as group:
            draining = group.create_task(bench.route.drain())
            await bench.move_until(draining.done)
        bench.route.leave()
        await bench.move_until(task.done)
        assert bench.outbox.stats.records == 0
        last = bench.publisher.session.sent[-1]
        assert (last.topic, last.retain) == ("edge/agents/gw/status", True)
        assert json.loads(last.payload)["state"] == "offline"
        assert bench.publisher.session.left_cleanly


async def test_a_goodbye_nobody_answers_is_logged_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker is frozen: the end does not wait for it, and the log says what was missed."""
    monkeypatch.setattr("agent.runtime.north.session.LAST_WORDS", 0.01)
    bench = Bench(tmp_path)
    with capture_logs() as logs:
        async with bench.running() as task:
            await bench.move_until(bench.messages)
            bench.publisher.script.auto_ack = False
            bench.route.leave()
            await eventually(task.done)
    assert [line["reason"] for line in logs if line["event"] == "publisher.offline"] == [
        "`offline` could not be published: no answer within 0.01 s"
    ]


async def test_a_broker_that_is_away_does_not_hold_up_the_end(tmp_path: Path) -> None:
    """Without a session there is nothing to drain into and nobody to say goodbye to."""
    bench = Bench(tmp_path)
    bench.publisher.script.reachable = False
    async with bench.running() as task:
        await bench.move_until(lambda: bench.publisher.attempts >= 1)
        bench.read(5)
        await bench.route.drain()
        bench.route.leave()
        await eventually(task.done)
        assert bench.outbox.stats.records == 1


async def test_device_changes_are_said_and_the_newest_wins(tmp_path: Path) -> None:
    """A device's state goes out retained as it changes."""
    bench = Bench(tmp_path)
    async with bench.running():
        await bench.move_until(bench.messages)
        bench.image.set_state("press", "online", now=bench.clock.now_ms())
        bench.image.set_state("press", "offline", now=bench.clock.now_ms(), reason="cable out")
        await bench.move_until(lambda: bench.messages("edge/hall/press/status")[-1]["reason"] == "cable out")
        states = [message["state"] for message in bench.messages("edge/hall/press/status")]
        assert states == ["offline", "offline"]


async def test_a_failing_broker_is_tried_again_with_growing_delays(tmp_path: Path) -> None:
    """A broker that refuses connections is asked rarely, not in a loop."""
    bench = Bench(tmp_path)
    bench.publisher.script.open_errors.extend(ConnectionLost("refused") for _ in range(100))
    async with bench.running():
        until = bench.clock.monotonic() + 120

        async def some_time_and_some_attempts() -> bool:
            await bench.clock.advance(1)
            return bench.publisher.attempts >= 3 and bench.clock.monotonic() >= until

        await eventually(some_time_and_some_attempts)
        assert bench.publisher.attempts < 30


async def test_a_second_outage_within_a_minute_is_over_as_soon_as_the_broker_is_back(tmp_path: Path) -> None:
    """A session that carried data resets the back-off: after the next loss the first delay is the longest wait."""
    bench = Bench(tmp_path)
    bench.publisher.script.open_errors.extend(ConnectionLost("refused") for _ in range(8))
    async with bench.running():
        await bench.move_until(lambda: bench.route.state == "online", stride=1.0)  # eight waits are up to three minutes
        await bench.move_until(lambda: bench.messages() and bench.outbox.stats.records == 0)
        assert bench.route.next_attempt is None
        sessions = len(bench.publisher.sessions)
        bench.publisher.drop()
        lost = bench.clock.monotonic()
        await bench.move_until(lambda: len(bench.publisher.sessions) > sessions)
        assert bench.clock.monotonic() - lost <= FIRST_RETRY + 0.1


async def test_a_wait_tells_when_it_ends_and_can_be_ended(tmp_path: Path) -> None:
    """Each loss that is logged and the route itself tell when the next attempt is; waking it makes that now."""
    bench = Bench(tmp_path)
    bench.publisher.script.open_errors.append(TransientError("no such user", retry_after=500))
    with capture_logs() as logs:
        async with bench.running():
            await bench.move_until(lambda: bench.route.next_attempt)
            assert bench.route.next_attempt == pytest.approx(bench.clock.monotonic() + 500, abs=1)
            assert [log["retry_in_s"] for log in logs if log["event"] == "publisher.offline"] == [500]
            bench.route.wake()
            began = bench.clock.monotonic()
            await bench.move_until(lambda: bench.route.state == "online")
            assert bench.clock.monotonic() - began < 5


async def test_one_trouble_is_said_once_however_often_it_comes_back(tmp_path: Path) -> None:
    """A rival under our client id throws us out again and again: one line; after a quiet time it is news again."""
    bench = Bench(tmp_path)
    with capture_logs() as logs:

        def said() -> list[str]:
            return [log["reason"] for log in logs if log["event"] == "publisher.offline"]

        async with bench.running():
            for number in range(1, 4):
                await bench.move_until(lambda: bench.route.state == "online")
                bench.publisher.session.drop(TransientError("taken over", retry_after=5))
                await bench.move_until(lambda number=number: len(bench.publisher.sessions) > number)
            assert said() == ["taken over"]
            await bench.move_until(lambda: bench.route.state == "online")
            bench.publisher.session.drop(TransientError("busy", retry_after=5))
            await bench.move_until(lambda: len(said()) == 2)
            await bench.move_until(lambda: bench.route.state == "online")
            await bench.clock.advance(70)
            bench.publisher.session.drop(TransientError("taken over", retry_after=5))
            await bench.move_until(lambda: said() == ["taken over", "busy", "taken over"])
