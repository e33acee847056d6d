"""When a reading is asserted for and why it is said, by example."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from agent.core.quality import number_of
from tests.unit.normalize.bench import T0, Bench


def test_without_source_time():
    """Its ts is when the answer arrived; the first reading is initial, the next ordinary."""
    bench = Bench({})
    first = bench.read(1)
    bench.wait()
    second = bench.read(1)
    assert [(reading.ts, reading.src, reading.why) for reading in first + second] == [
        (T0, None, "initial"),
        (T0 + 1000, None, None),
    ]


@pytest.mark.parametrize("tags", [1, 8])
def test_with_source_time(tags):
    """The source's time is ts; the first reading has the agent's and keeps the source's in src. All paths agree."""
    bench = Bench(*[{}] * tags)
    said = []
    for n in range(4):
        said += bench.read(*[n] * tags, src=[T0 - 50 + n] * tags)[:1]
        bench.wait()
    assert [(reading.ts, reading.src, reading.why) for reading in said] == [
        (T0, T0 - 50, "initial"),
        (T0 + 1000, T0 - 49, None),  # before the first one's ts: the arrival
        (T0 + 2000, T0 - 48, None),
        (T0 + 3000, T0 - 47, None),
    ]
    later = bench.read(*[9] * tags, src=[T0 + 3999] * tags)
    assert {(reading.ts, reading.src) for reading in later} == {(T0 + 3999, None)}


@pytest.mark.parametrize("tags", [1, 8])
def test_a_source_time_that_is_not_believed_is_only_shown(tags: int) -> None:
    """The reading has the time it arrived; the source's stays in src, through heartbeats and outages too."""
    bench = Bench(*[{}] * tags)
    bench.warm(*[1] * tags)
    doubted = bench.read(*[2] * tags, doubted=[T0 + 9_000_000] * tags)
    assert {(reading.value, reading.ts, reading.src) for reading in doubted} == {(2, T0 + 3000, T0 + 9_000_000)}
    assert {reading.src for reading in bench.lost()} == {T0 + 9_000_000}
    bench.warm(*[2] * tags)
    now = bench.clock.now_ms()
    mixed = bench.read(*[3] * tags, src=[now - 5] * tags, doubted=[None] * (tags - 1) + [0])
    assert [(reading.ts, reading.src) for reading in mixed] == [(now - 5, None)] * (tags - 1) + [(now, 0)]


@pytest.mark.parametrize("tags", [1, 8])
def test_a_source_time_that_stands_still(tags: int) -> None:
    """Once the source's millisecond was published, the next reading is the next millisecond, then each its arrival."""
    bench = Bench(*[{}] * tags)
    bench.warm(*[0] * tags)
    still = bench.clock.now_ms() - 5
    said = []
    for value in range(4):
        said += bench.read(*[value] * tags, src=[still] * tags)[:1]
        bench.wait()
    assert [(reading.ts, reading.src) for reading in said] == [
        (still, None),
        (still + 1, still),
        (T0 + 5000, still),
        (T0 + 6000, still),
    ]


@pytest.mark.parametrize("tags", [1, 8])
def test_a_source_clock_set_back(tags: int) -> None:
    """Every reading has its arrival and the source's word in src, until the source is ahead of the last one again."""
    bench = Bench(*[{}] * tags)
    bench.warm(*[0] * tags)
    said = []
    for hours in (0, 1, 1, 1, 0):
        now = bench.clock.now_ms()
        said += bench.read(*[hours] * tags, src=[now - 5 - hours * 3_600_000] * tags)[:1]
        bench.wait()
    assert [(reading.ts - T0, reading.src and reading.src - T0) for reading in said] == [
        (2995, None),
        (4000, 4000 - 5 - 3_600_000),
        (5000, 5000 - 5 - 3_600_000),
        (6000, 6000 - 5 - 3_600_000),
        (6995, None),
    ]


@pytest.mark.parametrize("tags", [1, 8])
def test_values_queued_during_an_outage(tags: int) -> None:
    """Several values of one tag that arrive together, older than its recovery, rise by a millisecond each."""
    bench = Bench(*[{}] * tags)
    bench.warm(*[0] * tags)
    bench.lost()
    bench.wait(10)
    (recovered, *_) = bench.read(*[1] * tags, src=[T0 + 3000] * tags)
    bench.wait(0.5)
    queued = bench.read(2, 3, 4, tags=(0, 0, 0), src=[T0 + 4000, T0 + 5000, T0 + 6000])
    assert [(reading.ts - T0, reading.src) for reading in (recovered, *queued)] == [
        (13_000, T0 + 3000),
        (13_500, T0 + 4000),
        (13_501, T0 + 5000),
        (13_502, T0 + 6000),
    ]


@pytest.mark.parametrize("tags", [1, 8])
def test_a_column_whose_source_times_partly_stand_still(tags: int) -> None:
    """Each tag of a warm column gets the time that is right for it; one without a source time has its arrival."""
    bench = Bench(*[{}] * 3 * tags)
    bench.warm(*[0] * 3 * tags)
    still, moving = bench.clock.now_ms() - 5, 0
    for _ in range(3):
        now = bench.clock.now_ms()
        moving = now - 7
        readings = bench.read(*[1] * 3 * tags, src=[still, moving, None] * tags)
        bench.wait()
    assert [(reading.ts, reading.src) for reading in readings] == [(now, still), (moving, None), (now, None)] * tags


@pytest.mark.parametrize("tags", [1, 8])
@pytest.mark.parametrize("src", [True, False])
def test_faster_than_milliseconds(tags: int, src: bool) -> None:
    """More values than milliseconds: `ts` counts up to one second ahead, repeats from there on, and says so once."""
    bench = Bench(*[{}] * tags)
    bench.warm(*[0] * tags)
    now = bench.clock.now_ms()
    with capture_logs() as lines:
        said = [
            reading.ts
            for value in range(1100)
            for reading in bench.read(*[value] * tags, src=[now] * tags if src else None)[:1]
        ]
    assert said == [now + n for n in range(1001)] + [now + 1000] * 99
    assert [(line["event"], line["device"], line["tag"], line["tags"]) for line in lines] == [
        ("tag.faster_than_ms", "d", "t0", tags)
    ]
    bench.wait()
    assert {reading.ts for reading in bench.read(*[0] * tags)} == {now + 1001}


@pytest.mark.parametrize("tags", [1, 8])
def test_our_clock_set_back_a_little(tags: int) -> None:
    """A step that begins no new session is waited out: times go on by a millisecond a reading."""
    bench = Bench(*[{}] * tags)
    bench.warm(*[1] * tags)
    last = bench.clock.now_ms() - 1000
    bench.clock.step_wall(-1.9)
    assert {(reading.ts, reading.src) for reading in bench.read(*[2] * tags)} == {(last + 1, None)}
    early = last - 5000
    assert {(reading.ts, reading.src) for reading in bench.read(*[3] * tags, src=[early] * tags)} == {(last + 2, early)}


@pytest.mark.parametrize("tags", [1, 8])
def test_source_ahead_of_our_clock(tags):
    """A source time later than our clock stays; what follows repeats it while it is more than a second ahead."""
    bench = Bench(*[{}] * tags)
    bench.warm(*[1] * tags)
    (ahead, *_) = bench.read(*[2] * tags, src=[T0 + 50_000] * tags)
    (offline, *_) = bench.lost()
    (back, *_) = bench.read(*[2] * tags)
    bench.wait(46.5)
    (soon, *_) = bench.read(*[2] * tags)
    assert [(reading.ts, reading.why) for reading in (ahead, offline, back, soon)] == [
        (T0 + 50_000, None),
        (T0 + 50_000, "offline"),
        (T0 + 50_000, "recovered"),
        (T0 + 50_001, None),
    ]


def test_overlapping_columns():
    """A tag that occurs in two columns has one past."""
    bench = Bench(*[{}] * 8)
    late = [T0 + 900] * 8
    some = bench.tags[:4]
    times = []
    for _ in range(4):
        times += [reading.ts for reading in bench.read(*[1] * 8, src=late) if reading.tag == "t0"]
        times += [reading.ts for reading in bench.read(1, 1, 1, 1, tags=some) if reading.tag == "t0"]
    assert times == [T0, T0 + 1] + [T0 + 900 + n for n in range(6)]


def test_source_time_is_forgotten():
    """A device that stops sending source times has none in what follows."""
    bench = Bench(*[{}] * 8)
    bench.warm(*[1] * 8)
    bench.warm(*[1] * 8, src=[T0 + 5000] * 8)
    bench.warm(*[1] * 8)
    assert {reading.src for reading in bench.lost()} == {None}


@pytest.mark.parametrize("tags", [1, 8])
def test_lost(tags):
    """A lost device: one bad reading per tag, null, offline, with code and reason; a second loss says nothing."""
    bench = Bench(*[{"unit": "bar"}] * tags)
    bench.warm(*[5] * tags)
    readings = bench.lost("connection refused")
    assert [reading.tag for reading in readings] == [f"t{n}" for n in range(tags)]
    assert {(reading.value, reading.ts, reading.src, reading.why) for reading in readings} == {
        (None, T0 + 3000, None, "offline")
    }
    assert {(reading.quality, reading.code, reading.status, reading.reason) for reading in readings} == {
        ("bad", "BadNoCommunication", 0x80310000, "connection refused")
    }
    bench.wait()
    assert bench.lost("still refused") == []


@pytest.mark.parametrize("tags", [1, 8])
@pytest.mark.parametrize("keys", [{}, {"scale": 1}, {"report": "on_change"}, {"deadband": 100}])
def test_recovered(tags, keys):
    """After an outage every tag is restated once, also unchanged, also where its source time is older than that."""
    bench = Bench(*[keys] * tags)
    old = [T0 - 999] * tags
    bench.warm(*[5] * tags, src=old)
    (offline, *_) = bench.lost()
    assert (offline.src, offline.ts) == (T0 - 999, T0 + 3000)
    bench.wait()
    back = bench.read(*[5] * tags, src=old)
    assert {(reading.value, reading.ts, reading.src, reading.why) for reading in back} == {
        (5, T0 + 4000, T0 - 999, "recovered")
    }
    assert len(back) == tags
    again = bench.read(*[5] * tags, src=old)
    assert {reading.why for reading in again} <= {None}


@pytest.mark.parametrize("tags", [1, 8])
def test_recovered_without_source_time(tags):
    """The same where the protocol carries no times."""
    bench = Bench(*[{}] * tags)
    bench.warm(*[5] * tags)
    bench.lost()
    bench.wait()
    assert [(r.ts, r.src, r.why) for r in bench.read(*[5] * tags)] == [(T0 + 4000, None, "recovered")] * tags


def test_recovered_one_by_one():
    """Each tag is restated with its own first answer, good or bad; a new loss says all of them again."""
    bench = Bench({}, {})
    bench.read(1, 2)
    bench.lost()
    (first,) = bench.read(1, tags=(0,), status=number_of("BadDeviceFailure"))
    assert (first.why, first.quality) == ("recovered", "bad")
    assert [reading.tag for reading in bench.lost("again")] == ["t0", "t1"]
    assert [reading.why for reading in bench.read(1, 2)] == ["recovered", "recovered"]


def test_lost_before_the_first_answer():
    """A device that never answered is offline, then recovered; nothing is initial twice."""
    bench = Bench({})
    assert [reading.why for reading in bench.lost() + bench.read(1) + bench.read(1)] == ["offline", "recovered", None]


def test_disabled():
    """A disabled tag is said once as out of service; outages and recoveries do not touch it."""
    bench = Bench({"enabled": False}, {})
    (reading,) = bench.read(None, tags=(0,), status=number_of("BadOutOfService"))
    assert (reading.value, reading.quality, reading.code, reading.why) == (None, "bad", "BadOutOfService", "disabled")
    assert [reading.tag for reading in bench.lost()] == ["t1"]


def test_out_of_service_by_the_device():
    """A server's own BadOutOfService is an ordinary bad reading."""
    bench = Bench({})
    bench.read(1)
    (reading,) = bench.read(None, status=number_of("BadOutOfService"))
    assert (reading.quality, reading.why) == ("bad", None)
