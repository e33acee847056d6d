"""From one configuration of a device to the next: what its tags go on with."""

from __future__ import annotations

from agent.core.flow import Answer, Reading, Sample
from agent.normalize import compile_normalizer
from agent.normalize.normalizer import DeviceNormalizer
from agent.settings.tags import TagBase
from agent.testing.clock import ManualClock

CALM = TagBase(deadband=5, max_silence="60s")  # type: ignore[arg-type]
PLAIN = TagBase()
HOUR = 3_600_000


class Bench:
    """Normalizers of one device under one clock."""

    def __init__(self) -> None:
        self.clock = ManualClock()

    def normalizer(self, **tags: TagBase) -> DeviceNormalizer:
        return compile_normalizer("press", tags, cat=lambda: 1, clock=self.clock)

    def take(self, normalizer: DeviceNormalizer, *values: object, ahead: int = 0) -> list[Reading]:
        now = self.clock.now_ms()
        answer = Answer(tuple(range(len(values))), list(values), now, src=[now + ahead] * len(values))
        batch = normalizer(Sample(ts=now, answers=[answer]))
        return [] if batch is None else batch.readings


async def test_a_tag_that_did_not_change_goes_on_wherever_it_stands() -> None:
    """Its deadband is measured from what was said last, and its heartbeat is due when it would have been."""
    bench = Bench()
    before = bench.normalizer(a=PLAIN, b=CALM)
    bench.take(before, 1, 100)
    after = bench.normalizer(new=PLAIN, b=CALM)
    after.resume(before, {"b"}.__contains__)
    said = bench.take(after, 1, 104)
    assert [(one.tag, one.why) for one in said] == [("new", "initial")]
    assert [one.value for one in bench.take(after, 1, 105) if one.tag == "b"] == [105]
    await bench.clock.advance(61)
    assert [(one.tag, one.why) for one in bench.take(after, 1, 106) if one.tag == "b"] == [("b", "heartbeat")]


def test_a_changed_tag_begins_and_its_time_does_not_go_back() -> None:
    """It is said as `initial`, after everything that was said of it before, also where it was away for a while."""
    bench = Bench()
    first = bench.normalizer(a=PLAIN, b=PLAIN)
    last = bench.take(first, 1, 2, ahead=500)[0].ts
    second = bench.normalizer(a=TagBase(scale=10))
    second.resume(first, {"b"}.__contains__)
    (changed,) = bench.take(second, 1)
    third = bench.normalizer(a=TagBase(scale=10), b=PLAIN)
    third.resume(second, {"a"}.__contains__)
    same, again = bench.take(third, 1, 2)
    assert (changed.value, changed.why) == (10, "initial")
    assert same.why is None
    assert again.why == "initial"
    assert last < changed.ts < same.ts
    assert again.ts > last


def test_a_device_that_was_away_goes_on_after_its_last_time() -> None:
    """The times of a device that was removed are all that is kept of it."""
    bench = Bench()
    before = bench.normalizer(a=PLAIN)
    last = bench.take(before, 1, ahead=500)[0].ts
    after = bench.normalizer(a=PLAIN)
    after.begin_after(before.times())
    (reading,) = bench.take(after, 1)
    assert reading.ts > last
    assert reading.why == "initial"


def test_a_tag_that_comes_back_after_the_clock_was_set_back_is_not_said_for_a_time_to_come() -> None:
    """What was said of it before it went was said an hour ahead; an hour ago that was now."""
    bench = Bench()
    first = bench.normalizer(a=PLAIN, b=PLAIN)
    bench.take(first, 1, 2)
    second = bench.normalizer(a=PLAIN)
    second.resume(first, {"a"}.__contains__)
    bench.clock.step_wall(-HOUR / 1000)
    second.set_back(-HOUR)
    third = bench.normalizer(a=PLAIN, b=PLAIN)
    third.resume(second, {"a"}.__contains__)
    _, again = bench.take(third, 1, 2)
    assert again.ts - bench.clock.now_ms() <= 1
