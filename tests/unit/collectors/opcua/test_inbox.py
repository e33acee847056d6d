from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from agent.collectors.opcua.inbox import SampleInbox
from agent.core.errors import ConnectionLost
from agent.core.flow import Answer, Loss
from agent.testing.clock import ManualClock


def answer(*tags: int) -> Answer:
    return Answer(tags=tags, values=[0] * len(tags), ts=0)


def inbox(most: int = 100) -> tuple[SampleInbox, ManualClock]:
    clock = ManualClock()
    return SampleInbox(clock, lambda: None, most=most), clock


async def test_everything_queued_comes_as_one_sample_in_order() -> None:
    """At once if idle; types come with it."""
    clock = ManualClock()
    box = SampleInbox(clock, lambda: {1: "bool"})
    first, second = answer(0), answer(1)
    box.put(first)
    box.put(second)
    box.cycle(2, 300)
    box.cycle(1, 200)
    sample = await anext(box)
    assert list(sample.answers) == [first, second]
    assert (sample.skipped, sample.achieved_ms, sample.types) == (3, 300, {1: "bool"})


async def test_a_busy_inbox_yields_every_ten_milliseconds() -> None:
    """What comes within 10 ms of the last sample waits for the next."""
    box, clock = inbox()
    box.put(answer(0))
    await anext(box)
    box.put(answer(1))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(anext(box))
        await clock.advance(0.009)
        assert not task.done()
        box.put(answer(2))
        await clock.advance(0.002)
        assert [each.tags for each in (await task).answers] == [(1,), (2,)]


async def test_a_confirmation_is_an_empty_sample() -> None:
    """Nothing changed, and the server says so."""
    box, _ = inbox()
    box.confirm()
    assert list((await anext(box)).answers) == []


async def test_losses_of_one_reason_are_one_and_name_few_tags() -> None:
    """Declared with the next sample, over the whole time; where too many tags are concerned it is the device."""
    box, clock = inbox()
    box.lose(Loss(20, 30, "overflow", (2,), 1))
    box.lose(Loss(10, 25, "overflow", (1, 2), 2))
    box.lose(Loss(1, 2, "outage"))
    assert list((await anext(box)).losses) == [Loss(10, 30, "overflow", (1, 2), 3), Loss(1, 2, "outage")]
    await clock.advance(1)
    box.lose(Loss(1, 2, "overflow", tuple(range(101))))
    assert list((await anext(box)).losses) == [Loss(1, 2, "overflow")]


async def test_a_failure_comes_after_what_arrived_before_it() -> None:
    """Nothing that was read is lost; the first reason counts, and stays."""
    box, clock = inbox()
    box.put(answer(0))
    box.fail(ConnectionLost("first"))
    box.fail(ConnectionLost("second"))
    assert len((await anext(box)).answers) == 1
    await clock.advance(1)
    for _ in range(2):
        with pytest.raises(ConnectionLost, match="first"):
            await anext(box)


async def test_a_full_inbox_asks_for_nothing_more() -> None:
    """Bounded: whoever asks the server waits until the consumer has taken what is there."""
    box, _ = inbox(most=3)
    box.put(answer(0, 1))
    await box.room()
    box.put(answer(2))
    assert box.full
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(box.room())
        await asyncio.sleep(0)
        assert not waiting.done()
        await anext(box)
    assert not box.full


async def test_history_comes_in_turns_with_the_present() -> None:
    """Behind what is of today, but not never: a busy server fills its outages too; a failure comes after all of it."""
    box, clock = inbox()
    told: list[str] = []

    async def claim() -> None:
        told.append("claimed")

    for number in range(3):
        box.remember(answer(number), claim, lambda: told.append("handed"))
    kinds = []
    for _ in range(5):
        box.put(answer(9))
        await clock.advance(1)
        kinds.append("past" if (await anext(box)).history else "present")
    assert kinds == ["present", "past", "present", "past", "present"]
    assert box.remembers == 1
    box.fail(ConnectionLost("gone"))
    await clock.advance(1)
    assert (await anext(box)).history
    assert told == ["claimed", "handed"] * 3, "noted before it is handed on"
    with pytest.raises(ConnectionLost):
        await anext(box)


async def test_what_is_handed_on_is_prepared_first() -> None:
    """What comes while that is being written belongs to the same sample; an empty one says nothing."""

    class Slow:
        def __init__(self) -> None:
            self.seen: list[int] = []
            self.said: list[int] = []

        async def prepare(self, answers: Sequence[Answer]) -> None:
            if len(self.seen) == 0:
                self.seen.append(len(answers))
                box.put(answer(1))
            self.seen.append(len(answers))

        def handed(self, answers: Sequence[Answer]) -> None:
            self.said += [position for each in answers for position in each.tags]

    box, _ = inbox()
    box.witness = witness = Slow()
    box.put(answer(0))
    assert len((await anext(box)).answers) == 2
    assert (witness.seen, witness.said) == ([1, 2], [0, 1])
