"""A record that makes the broker hang up: found without a reason code, and nothing else waits for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.core.flow import Batch, Message, Reading, Record, Stream
from agent.runtime.suspects import DROPS, Suspects
from agent.settings.base import Replay
from tests.support.waiting import eventually
from tests.unit.runtime.test_route import Bench

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
    assert suspects.patience("press") > suspects.patience("meter")
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

        await eventually(step, 60)

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
        await bench.move_until(lambda: bench.outbox.stats.records == 0, 60)
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
        assert "hangs up" in gap["reason"]
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
