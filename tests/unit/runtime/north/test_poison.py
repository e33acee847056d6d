"""A record that makes the broker hang up: found without a reason code, and nothing else waits for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agent.core.flow import Batch, DialogueEvent, Message, Reading, Record, Stream
from agent.core.ports import Dialogue
from agent.outbox.memo import CachedMemo
from agent.runtime.north.suspects import DROPS, MOST, Suspects
from agent.settings.publishers import Replay
from tests.support.waiting import eventually
from tests.unit.runtime.north.test_route import Bench

POISON = 666


def record(row: int, device: str = "press") -> Record:
    content = Batch(device=device, ts=1, readings=[])
    return Record(row=row, stream=Stream("E", device), seq=row, ts=1, content=content)


# --- who is suspected -------------------------------------------------------------------------------------------------


def test_only_what_was_there_each_time_is_accused() -> None:
    """Three hang-ups in a row accuse what was in flight at all of them; what was taken in between is cleared."""
    suspects = Suspects()
    one, two, other = record(1), record(2, "meter"), record(3, "pump")
    for number in range(DROPS):
        assert not suspects.accused(one)
        for flying in (one, two) if number else (one, two, other):
            suspects.dropped(flying, proven=True)
        suspects.session(None)
    assert suspects.accused(one)
    assert suspects.accused(two)
    assert not suspects.accused(other)
    suspects.cleared(two)
    assert not suspects.accused(two)
    assert not suspects.guilty(one)


def test_alone_three_times_is_guilty() -> None:
    """What hung up the connection three times while it was alone is guilty; its device stays accused."""
    suspects = Suspects()
    for _ in range(DROPS):
        suspects.dropped(record(1), proven=True)
        suspects.session(None)
    assert suspects.guilty(record(1)) == DROPS
    suspects.convicted(record(1))
    assert not suspects.guilty(record(2))
    assert suspects.patience(record(2)) > suspects.patience(record(2, "meter"))
    suspects.dropped(record(3), proven=True)
    suspects.session(None)
    assert suspects.guilty(record(3)) == 1
    assert not suspects.guilty(record(2))
    assert suspects.accused(record(2))
    suspects.cleared(record(3))
    assert not suspects


def test_a_gap_that_is_taken_clears_no_device() -> None:
    """What was quarantined is declared, and the broker takes the gap: its device stays accused."""
    suspects = Suspects()
    for _ in range(DROPS):
        suspects.dropped(record(1), proven=True)
        suspects.session(None)
    suspects.convicted(record(1))
    gap = record(2)
    gap.seq = 0
    assert not suspects.accused(gap)
    suspects.cleared(gap)
    assert suspects.accused(record(3))
    suspects.dropped(record(3), proven=True)
    suspects.session(None)
    assert suspects.guilty(record(3)) == 1


def test_a_broker_that_takes_nothing_convicts_nobody() -> None:
    """Where the broker took nothing in a session its hang-up accuses, and no more: it eats no data."""
    suspects = Suspects()
    for _ in range(10):
        suspects.dropped(record(1), proven=False)
        suspects.session(None)
    assert suspects.accused(record(1))
    assert not suspects.guilty(record(1))


def test_another_limit_is_another_chance() -> None:
    """Once the publisher has learned a smaller packet limit the record is tried in parts before it is condemned."""
    suspects = Suspects()
    for _ in range(DROPS):
        suspects.dropped(record(1), proven=True)
    suspects.session(None)
    for _ in range(DROPS - 1):
        suspects.dropped(record(1), proven=True)
        suspects.session(None)
    suspects.session(5000)
    assert suspects.accused(record(1))
    assert not suspects.guilty(record(1))


def test_what_is_known_outlives_the_process() -> None:
    """One hang-up a run: the search goes on in the next, and who was found guilty is so without another hang-up."""
    memo = CachedMemo()

    def run() -> Suspects:
        suspects = Suspects()
        suspects.recall(memo)
        suspects.session(2000)
        return suspects

    for number in range(2 * DROPS):
        suspects = run()
        assert suspects.accused(record(1)) is (number >= DROPS)
        for flying in (1,) if number >= DROPS else (1, 2):
            suspects.dropped(record(flying), proven=True)
        suspects.ended()
        suspects.keep(memo)
    assert run().guilty(record(1)) == DROPS
    assert run().refused(record(9)) == 1
    suspects = run()
    for number in (1, 2):
        assert suspects.refused(record(9)) == number
        suspects.keep(memo)
    suspects = run()
    assert suspects.refused(record(9)) == 3
    for one in (record(1), record(9), record(2)):
        suspects.cleared(one)
    suspects.keep(memo)
    assert memo.get("route.suspects") is None


@pytest.mark.parametrize(
    "kept", [b"\xff", b"7", b'{"drops":{"E/press/1":3}}', b'{"version":2,"drops":{"E/press/1":3}}']
)
def test_a_note_nobody_can_read_accuses_nobody(kept: bytes) -> None:
    """Damaged, or of another version: the search begins anew."""
    memo = CachedMemo()
    memo.put("route.suspects", kept)
    suspects = Suspects()
    suspects.recall(memo)
    assert not suspects


def test_what_is_known_is_bounded() -> None:
    """However many records are in flight when a broker hangs up, the note of it stays small."""
    memo = CachedMemo()
    suspects = Suspects()
    for row in (7, *range(5 * MOST)):
        suspects.dropped(record(row, f"d{row}"), proven=True)
    suspects.session(None)
    for row in (*range(100, 5 * MOST), 7):
        suspects.dropped(record(row, f"d{row}"), proven=True)
    for row in range(5 * MOST):
        suspects.refused(record(row))
        suspects.unsayable(record(row))
    suspects.ended()
    suspects.keep(memo)
    assert len(memo.get("route.suspects") or b"") < 100 * MOST
    assert suspects.refused(record(5 * MOST - 1)) == 2
    assert suspects.refused(record(0)) == 1


# --- over a route -----------------------------------------------------------------------------------------------------


def poisonous(message: Message) -> bool:
    if not message.topic.endswith("/readings"):
        return False
    return any(reading["value"] == POISON for reading in json.loads(message.payload)["readings"])


class PoisonBench(Bench):
    """A broker that hangs up when it reads a certain value, and says nothing of why."""

    hang_ups = 0
    blames = True

    def poison(self) -> None:
        def judge(message: Message) -> None:
            if poisonous(message):
                self.hang_ups += 1
                self.publisher.drop("the connection was closed from outside", blames=self.blames)

        self.publisher.script.judge = judge

    async def leap_until(self, condition: Callable[[], object]) -> None:
        """Like `move_until`, in steps of a second."""

        async def step() -> object:
            await self.clock.advance(1.0)
            return condition()

        await eventually(step)

    def store(self, value: int, device: str = "press") -> None:
        """Into the outbox only: the next snapshot does not repeat it."""
        reading = Reading(tag="a", value=value, ts=self.clock.now_ms(), quality="good")
        self.outbox.append(Batch(device=device, ts=reading.ts, readings=[reading]))


@pytest.mark.parametrize("order", ["live_first", "in_order"])
async def test_the_culprit_goes_to_quarantine_and_the_rest_flows(tmp_path: Path, order: str) -> None:
    """The poison is found, declared and kept; all else arrives, in order, and other devices do not wait for it."""
    bench = PoisonBench(tmp_path, replay=Replay.model_validate({"order": order, "max_rate": "1000/s"}))
    bench.poison()
    bench.publisher.script.reachable = False
    async with bench.running():
        for value in (1, 2, POISON, 3, 4):
            bench.store(value)
            bench.store(value + 1000, "meter")
        await bench.outbox.flush()
        bench.publisher.script.reachable = True
        await bench.leap_until(lambda: bench.outbox.stats.quarantined == 1)
        assert bench.hang_ups <= 2 * DROPS
        await bench.move_until(lambda: bench.outbox.stats.records == 0)
        arrived = [
            one["readings"][0]["value"]
            for number in range(len(bench.publisher.sessions))
            for one in bench.messages(session=number)
            if not one.get("snapshot")
        ]
        assert {1, 2, 3, 4} <= set(arrived)
        last = bench.publisher.sessions[-1]
        [gap] = [json.loads(one.payload) for one in last.sent if one.topic.endswith("/gaps")]
        assert gap["kind"] == "quarantined"
        assert "disconnected" in gap["reason"]
        meter = {
            one["readings"][0]["value"]
            for number in range(len(bench.publisher.sessions))
            for one in bench.messages("edge/hall/meter/readings", session=number)
        }
        assert {1001, 1002, POISON + 1000, 1003, 1004} <= meter


async def test_a_snapshot_that_cannot_be_said_is_found_too(tmp_path: Path) -> None:
    """The newest value of a device is poison: every session makes another such record, and the route still gets on."""
    bench = PoisonBench(tmp_path)
    bench.poison()
    async with bench.running():
        bench.read(POISON)
        await bench.leap_until(lambda: bench.outbox.stats.quarantined >= 2)
        bench.read(1)
        await bench.leap_until(
            lambda: [
                one
                for number in range(len(bench.publisher.sessions))
                for one in bench.messages(session=number)
                if one["readings"][0]["value"] == 1
            ]
        )


async def test_links_that_die_accuse_nobody(tmp_path: Path) -> None:
    """Without a hang-up nothing is held against what was in flight."""
    bench = PoisonBench(tmp_path)
    bench.blames = False
    bench.poison()
    async with bench.running():
        bench.store(POISON)
        await bench.leap_until(lambda: bench.hang_ups >= 8)
        assert bench.outbox.stats.quarantined == 0
        bench.publisher.script.judge = lambda _message: None
        await bench.leap_until(lambda: bench.outbox.stats.records == 0)
        await eventually(lambda: bench.route.state == "online")


@pytest.mark.parametrize("order", ["live_first", "in_order"])
async def test_restarts_do_not_keep_the_poison_at_the_head(tmp_path: Path, order: str) -> None:
    """An agent that is restarted after each hang-up finds it all the same; what is in quarantine hangs up nobody."""
    replay = Replay.model_validate({"order": order, "max_rate": "1000/s"})
    hang_ups, quarantined, arrived = 0, 0, set[object]()
    for number in range(4 * DROPS):
        bench = PoisonBench(tmp_path, replay=replay)
        bench.poison()
        bench.publisher.script.reachable = number > 0
        async with bench.running():
            if not number:
                for value in (1, 2, POISON, 3, 4):
                    bench.store(value)
                    bench.store(value + 1000, "meter")
                await bench.outbox.flush()
                continue

            def over(bench: PoisonBench = bench) -> bool:
                return bool(bench.hang_ups or bench.outbox.stats.quarantined)

            await bench.leap_until(over)
            quarantined = bench.outbox.stats.quarantined
            if quarantined:
                await bench.leap_until(lambda bench=bench: bench.outbox.stats.records == 0)  # type: ignore[misc]
        hang_ups += bench.hang_ups
        for session in range(len(bench.publisher.sessions)):
            for topic in ("press", "meter"):
                said = bench.messages(f"edge/hall/{topic}/readings", session=session)
                arrived |= {one["readings"][0]["value"] for one in said}
        if quarantined:
            assert number > DROPS
            break
    assert quarantined == 1
    assert hang_ups <= 2 * DROPS
    assert {1, 2, 3, 4, 1001, 1002, POISON + 1000, 1003, 1004} <= arrived
    bench = PoisonBench(tmp_path, replay=replay)
    bench.poison()
    async with bench.running():
        bench.store(5)
        await bench.leap_until(lambda: bench.outbox.stats.records == 0)
        assert (bench.hang_ups, bench.outbox.stats.quarantined) == (0, 1)


async def test_what_our_own_code_cannot_say_does_not_block_the_rest(tmp_path: Path) -> None:
    """A bug in the encoder ends the session three times; then the record is in quarantine, and the others arrive."""
    bench = PoisonBench(tmp_path)
    begin = bench.route._encoder.begin

    class Flawed:
        """A dialogue that trips over one value."""

        def __init__(self, inner: Dialogue) -> None:
            self.inner, self.will, self.listens = inner, inner.will, inner.listens

        def __call__(self, event: DialogueEvent) -> Sequence[Message]:
            content = event.content if isinstance(event, Record) else None
            if isinstance(content, Batch) and content.readings[0].value == POISON:
                msg = "unforeseen"
                raise ZeroDivisionError(msg)
            return self.inner(event)

    bench.route._encoder.begin = lambda image, memo: Flawed(begin(image, memo))  # type: ignore[method-assign]
    bench.publisher.script.reachable = False
    with capture_logs() as logs:
        async with bench.running():
            for value in (1, POISON, 2):
                bench.store(value)
            await bench.outbox.flush()
            bench.publisher.script.reachable = True
            await bench.leap_until(lambda: bench.outbox.stats.quarantined == 1)
            await bench.leap_until(lambda: bench.outbox.stats.records == 0)
    assert len(bench.publisher.sessions) == DROPS
    [bug] = [log for log in logs if log["event"] == "component.bug"]
    assert "ZeroDivisionError" in bug["traceback"]
    [gone] = [log for log in logs if log["event"] == "publisher.quarantined"]
    assert "we cannot say it, ZeroDivisionError: unforeseen" in gone["reason"]
    assert {1, 2} <= {one["readings"][0]["value"] for one in bench.messages()} | {
        one["readings"][0]["value"] for one in bench.messages(session=0)
    }
